"""Plans: which pictures are meant, and where each result goes without harm."""

import errno
import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image

from tf_style.config import GatysConfig, HubConfig, Job
from tf_style.jobs import manifest, plan

TREE = (
    "photos/b.png",
    "photos/a.jpg",
    "photos/C.JPG",
    "photos/.hidden.png",
    "photos/notes.txt",
    "photos/deep/d.webp",
    "s.png",
    "odd[1].png",
)


@pytest.fixture(autouse=True)
def _tree(tmp_path, monkeypatch):
    """Works in a folder of its own that holds `TREE`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in TREE:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"mine")


@pytest.mark.parametrize(
    "sources, expected",
    [
        (["s.png"], ["s.png"]),
        (["photos"], ["photos/C.JPG", "photos/a.jpg", "photos/b.png"]),
        (["photos/"], ["photos/C.JPG", "photos/a.jpg", "photos/b.png"]),
        (["photos/*.png"], ["photos/b.png"]),
        (["photos/[ab].*"], ["photos/a.jpg", "photos/b.png"]),
        (["**/*.webp"], ["photos/deep/d.webp"]),
        (["odd[1].png"], ["odd[1].png"]),
        (["s.png", "photos/b.png"], ["s.png", "photos/b.png"]),
        (["s.png", "photos/b.png", "s.png"], ["s.png", "photos/b.png"]),
        (
            ["photos/b.png", "photos", "photos/*.png"],
            ["photos/b.png", "photos/C.JPG", "photos/a.jpg"],
        ),
        (["https://x.org/a*.jpg"] * 2, ["https://x.org/a*.jpg"]),
        (["nowhere.png"], ["nowhere.png"]),
    ],
)
def test_sources_expand_in_order_and_once(sources, expected):
    assert plan.expand(sources).pictures == expected


def test_a_folder_refuses_what_is_no_picture_by_name():
    for name in ("sky", "roof.jfif"):
        Image.new("RGB", (4, 3)).save(f"photos/{name}", "JPEG")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        Path(f"photos/{name}").write_bytes(b"system")
    Path("photos/gone.jpg").symlink_to("nowhere.jpg")
    found = plan.expand(["photos"])
    names = ["C.JPG", "a.jpg", "b.png", "roof.jfif", "sky"]
    assert found.pictures == [f"photos/{name}" for name in names]
    link, notes = sorted(found.refused)
    assert link == "photos/gone.jpg is a link to a file that does not exist"
    assert notes.startswith("photos/notes.txt is not a picture that can be read")


def test_what_was_made_is_no_input_of_folders_and_globs():
    made = Path("photos/b_s.png")
    with manifest.publishing({}, [made], {}) as (temporary,):
        temporary.write_bytes(b"ours")
    for source in ("photos", "photos/*.[jp]*"):
        found = plan.expand([source])
        assert str(made) not in found.pictures
        assert found.results == 2  # with its manifest
        assert not any("b_s" in line for line in found.refused)
    assert plan.expand([str(made)]).pictures == [str(made)]  # It is named.
    made.write_bytes(b"retouched")
    assert str(made) in plan.expand(["photos"]).pictures


def test_folders_of_a_glob_may_have_brackets_in_their_names():
    Path("[2023] trip").mkdir()
    for name in ("a[1].png", "b.png"):
        Path("[2023] trip", name).write_bytes(b"mine")
    both = ["[2023] trip/a[1].png", "[2023] trip/b.png"]
    assert plan.expand(["[2023] trip/*.png"]).pictures == both
    assert plan.expand(["[2023] trip/a[1]*"]).pictures == both[:1]


def test_a_folder_without_a_picture_says_what_there_is():
    Path("texts/deep").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"holds no picture; .* give 'texts/\*\*'"):
        plan.expand(["texts"])
    Path("texts/a.txt").write_text("text")
    Path("texts/b.txt").write_text("text")
    with pytest.raises(ValueError, match=r"texts/a.txt is not a .* \(and 1 more\)"):
        plan.expand(["texts"])


SLOW = {"mode": "gatys"}


def test_of_several_films_those_that_cannot_be_made_are_refused(moving):
    job = Job(contents=("walk.MOV", "s.png"), styles=("t.png",), mode="compare")
    good, refused = plan.find_refused(job, ["walk.MOV", "s.png"])
    assert good == ["s.png"]
    assert len(refused) == 1 and "mode compare paints pictures only" in refused[0]


@pytest.mark.parametrize(
    "settings", [{"mode": "compare"}, SLOW | {"gatys": GatysConfig(time_budget=9.0)}]
)
def test_what_is_for_pictures_only_takes_the_first_frame_of_a_film(moving, settings):
    job = Job(("walk.MOV",), ("t.png",), output="first.jpg", **settings)
    assert plan.find_refused(job, ["walk.MOV"]) == (["walk.MOV"], [])
    [pair] = plan.assign(job, ["walk.MOV"], ["t.png"])
    assert not pair.is_film


def test_each_setting_of_a_sweep_over_a_film_is_a_film(moving):
    settings = SLOW | {"sweep": ("steps=1,2",)}
    assert _outputs("out/", ["walk.MOV"], ["s.png"], **settings) == [
        "out/walk_s_steps=1.mp4",
        "out/walk_s_steps=2.mp4",
    ]


def test_a_folder_that_cannot_be_read_is_named(monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(OSError, match="^cannot read photos: Permission denied$"):
        plan.expand(["photos"])


def test_tilde_is_the_home_folder(tmp_path):
    assert plan.expand(["~/photos/*.png"]).pictures == [
        str(tmp_path / "photos" / "b.png")
    ]


def test_folder_named_like_a_picture_is_no_picture():
    Path("photos/folder.jpg").mkdir()
    assert "photos/folder.jpg" not in plan.expand(["photos"]).pictures


def test_name_may_begin_with_a_tilde():
    Path("~a.png").write_bytes(b"mine")
    assert plan.expand(["~a.png"]).pictures == ["~a.png"]


@pytest.mark.parametrize(
    "source, reason",
    [
        ("empty", "folder empty holds no picture (.jpg, "),
        ("photos/*.gif", "no file matches photos/*.gif"),
        ("photo?", "no file matches photo?"),  # but a folder does
    ],
)
def test_source_without_a_picture_is_named(source, reason):
    Path("empty").mkdir()
    Path("empty/.hidden.png").write_bytes(b"mine")
    with pytest.raises(ValueError) as caught:
        plan.expand([source])
    assert str(caught.value).startswith(reason)


def _assign(output, contents, styles, **settings):
    job = Job(tuple(contents), tuple(styles), output, **settings)
    return plan.assign(job, contents, styles)


def _outputs(*arguments, **settings):
    return [str(pair.output) for pair in _assign(*arguments, **settings)]


@pytest.mark.parametrize(
    "output, expected",
    [
        ("", "stylized.png"),
        ("new.jpg", "new.jpg"),
        ("NEW.WEBP", "NEW.WEBP"),
        ("a/b/new.tiff", "a/b/new.tiff"),
        ("folder", "folder/b_s.png"),
        ("v1.0/", "v1.0/b_s.png"),
        ("photos", "photos/b_s.png"),
    ],
)
def test_single_picture_goes_into_the_file_or_folder(output, expected):
    assert _outputs(output, ["photos/b.png"], ["s.png"]) == [expected]
    assert Path(expected).parent.is_dir()


def test_output_may_be_an_existing_folder_whose_name_has_a_dot():
    Path("v1.0").mkdir()
    assert _outputs("v1.0", ["photos/b.png"], ["s.png"]) == ["v1.0/b_s.png"]


def test_every_content_meets_every_style_contents_outermost():
    pairs = _assign("", ["photos/a.jpg", "photos/b.png"], ["s.png", "t.png"])
    assert pairs == [
        (0, "photos/a.jpg", ("s.png",), Path("stylized/a_s.png"), ()),
        (1, "photos/a.jpg", ("t.png",), Path("stylized/a_t.png"), ()),
        (2, "photos/b.png", ("s.png",), Path("stylized/b_s.png"), ()),
        (3, "photos/b.png", ("t.png",), Path("stylized/b_t.png"), ()),
    ]


def test_weights_blend_all_styles_into_one_picture_for_each_content():
    blend = HubConfig(style_weights=(3.0, 1.0))
    pairs = _assign("out/", ["a.jpg", "b.jpg"], ["x.jpg", "y.jpg"], hub=blend)
    assert [(pair.content, pair.styles, pair.output.name) for pair in pairs] == [
        ("a.jpg", ("x.jpg", "y.jpg"), "a_x_y.png"),
        ("b.jpg", ("x.jpg", "y.jpg"), "b_x_y.png"),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"style_blend": True},
        {"style_blend": True, "mode": "gatys"},
        {"masks": ("m.png", "n.png")},
        {"masks": ("m.png", "n.png"), "mode": "compare"},
        {"gatys": GatysConfig(style_weights=(3.0, 1.0)), "mode": "gatys"},
        {"gatys": GatysConfig(style_weights=(3.0, 1.0)), "mode": "compare"},
    ],
)
def test_other_ways_to_blend_do_so_in_every_mode(settings):
    pairs = _assign("out/", ["a.jpg", "b.jpg"], ["x.jpg", "y.jpg"], **settings)
    assert [pair.styles for pair in pairs] == [("x.jpg", "y.jpg")] * 2


def test_one_mask_blends_nothing():
    pairs = _assign("out/", ["a.jpg"], ["x.jpg", "y.jpg"], masks=("m.png",))
    assert [pair.styles for pair in pairs] == [("x.jpg",), ("y.jpg",)]


@pytest.mark.parametrize("mode, kind", [("hub", HubConfig), ("gatys", GatysConfig)])
def test_there_is_one_weight_for_each_style(mode, kind):
    blend = {"mode": mode, mode: kind(style_weights=(3.0, 1.0))}
    with pytest.raises(ValueError, match="2 numbers for 3 styles"):
        _assign("out/", ["a.jpg"], ["x.jpg", "y.jpg", "z.jpg"], **blend)


@pytest.mark.parametrize("masks, styles", [("mn", "xyz"), ("mn", "x"), ("mno", "xy")])
def test_there_is_one_mask_or_one_for_each_style(masks, styles):
    reason = f"there are {len(masks)} masks for {len(styles)} styles; give one, or one"
    with pytest.raises(ValueError, match=reason):
        _assign("out/", ["a.jpg"], list(styles), masks=tuple(masks))


@pytest.mark.parametrize(
    "contents, styles, names",
    [
        (["x/a.jpg", "y/a.png"], ["s.png"], ["a_s", "a_s_2"]),
        (["x/a.jpg", "y/A.jpg", "z/a.jpg"], ["s.png"], ["a_s", "A_s_2", "a_s_3"]),
        (
            ["a.jpg", "a_s.jpg"],
            ["s_s.png", "s.png"],
            ["a_s_s", "a_s", "a_s_s_s", "a_s_s_2"],
        ),
        (["contact.jpg"], ["sheet.png"], ["contact_sheet_2"]),
    ],
)
def test_names_never_collide_even_where_case_is_ignored(contents, styles, names):
    expected = [f"out/{name}.png" for name in names]
    assert _outputs("out/", contents, styles) == expected


def test_names_leave_room_for_the_parts_of_other_comparisons():
    pairs = _outputs("out/", ["a.png"], ["s.png", "s_hub.png"], mode="compare")
    assert pairs == ["out/a_s.png", "out/a_s_hub_2.png"]


def test_names_are_cut_to_what_file_systems_hold():
    (name,) = _outputs("out/", ["\N{ARTIST PALETTE}" * 60 + ".png"], ["s.png"])
    assert 190 < len(Path(name).name.encode()) <= 204


@pytest.mark.parametrize(
    "source, stem",
    [
        ("photos/a.b.jpg", "a.b"),
        ("https://x.org/pics/Starry%20Night.jpg?size=9", "Starry Night"),
        ("https://x.org/up%2Fdown.png", "down"),
        ("https://x.org/a/", "a"),
        ("https://x.org", "picture"),
        ("http://x.org/?id=1.jpg", "picture"),
    ],
)
def test_names_come_from_the_end_of_a_path_or_url(source, stem):
    assert plan.stem_of(source) == stem


@pytest.mark.parametrize(
    "output, contents, reason",
    [
        (
            "o.png",
            ["photos/a.jpg", "photos/b.png"],
            "output o.png is one file, but ther",
        ),
        (
            "o.gif",
            ["photos/b.png"],
            "output o.gif has the ending of a film, but photos/b.png is a picture",
        ),
        ("s.png", ["photos/b.png"], "output s.png would overwrite an input"),
        ("photos/b.png", ["photos/b.png"], "output photos/b.png would overwrite an in"),
        ("deep/../s.png", ["photos/b.png"], "output deep/../s.png would overwrite an"),
        ("~/s.png", ["photos/b.png"], "would overwrite an input"),
        ("out.png", ["photos/b.png"], "out.png.json is not a manifest of tf_style"),
        ("photos", ["photos/b.png"], "photos/b_s.png.json is not a manifest of"),
        ("photos", ["photos/contact_sheet.png", "s.png"], "would overwrite an input"),
    ],
)
def test_nothing_that_is_not_ours_would_be_lost(output, contents, reason):
    Path("deep").mkdir()
    for name in ("out.png.json", "photos/b_s.png.json", "photos/contact_sheet.png"):
        Path(name).write_text('{"mine": 1}')
    with pytest.raises(ValueError) as caught:
        _assign(output, contents, ["s.png"])
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "settings, content",
    [
        ({"gatys": GatysConfig(init="new.png")}, "photos/b.png"),
        ({"gatys": GatysConfig(backbone="./new.png")}, "photos/b.png"),
        ({"hub": HubConfig(model="photos/../new.png")}, "photos/b.png"),
        ({}, "new_hub.png"),
        ({}, "new_gatys.png"),
        ({}, "new_loss.png"),
    ],
)
def test_no_part_of_a_comparison_overwrites_an_input(settings, content):
    with pytest.raises(ValueError, match="would overwrite an input"):
        _assign("new.png", [content], ["s.png"], mode="compare", **settings)


@pytest.mark.parametrize("output", ["new.png", "./deep/../new.png"])
def test_no_mask_is_overwritten(output):
    with pytest.raises(ValueError, match="would overwrite an input"):
        _assign(output, ["photos/b.png"], ["s.png"], masks=("new.png",))


def test_one_file_under_two_names_is_one_picture(tmp_path):
    sources = ["s.png", "./s.png", "photos/../s.png", str(tmp_path / "s.png")]
    assert plan.expand(sources).pictures == ["s.png"]


def test_our_own_manifest_may_be_replaced():
    Path("out.png.json").write_text(json.dumps({"tf_style": "0.1.0"}))
    assert _outputs("out.png", ["photos/b.png"], ["s.png"]) == ["out.png"]


def test_linked_input_is_recognised():
    Path("link.png").symlink_to("s.png")
    with pytest.raises(ValueError, match="link.png would overwrite an input"):
        _assign("link.png", ["photos/b.png"], ["s.png"])


@pytest.mark.parametrize("output", ["s.png/", "s.png/new.png", "s.png/deep/"])
def test_folder_that_cannot_be_written_is_one_line(output):
    with pytest.raises(OSError, match="^cannot write to folder s.png.*: it is not a"):
        _assign(output, ["photos/b.png"], ["odd[1].png"])


def test_planning_changes_no_file():
    _assign("out.png", ["photos/b.png"], ["s.png"])
    assert {str(path) for path in Path().rglob("*") if path.is_file()} == {*TREE}


@pytest.mark.parametrize("name", ["out.png", "photos/contact_sheet.png", "lapse.gif"])
def test_pictures_that_are_not_ours_are_refused_before_painting(name):
    Path(name).write_bytes(b"mine")
    wanted = ["photos/b.png"] if name == "out.png" else ["photos/b.png", "photos/a.jpg"]
    output = "out.png" if name == "out.png" else "photos"
    values = {}
    if name == "lapse.gif":
        wanted, values = wanted[:1], {"mode": "gatys", "timelapse": name}
    with pytest.raises(ValueError, match=f"^{name} was not made by tf_style"):
        _assign(output, wanted, ["s.png"], **values)
    assert Path(name).read_bytes() == b"mine"


@pytest.fixture
def moving():
    """A GIF that moves, one that does not, and a film; what is in it nobody asks."""
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save("still.gif")
    Path("walk.MOV").write_bytes(b"mine")
    pytest.importorskip("av")
    pytest.importorskip("cv2")


@pytest.mark.parametrize(
    "output, content, expected, is_film",
    [
        ("", "walk.MOV", "stylized.mp4", True),
        ("", "moving.gif", "stylized.gif", True),
        ("", "still.gif", "stylized.png", False),
        ("out/", "walk.MOV", "out/walk_s.mp4", True),
        ("out/", "moving.gif", "out/moving_s.gif", True),
        ("out/", "still.gif", "out/still_s.png", False),
        ("new.gif", "walk.MOV", "new.gif", True),
        ("new.MP4", "moving.gif", "new.MP4", True),
        ("new.jpg", "moving.gif", "new.jpg", False),  # of its first frame
        ("new.jpg", "still.gif", "new.jpg", False),
        ("", "https://x.org/walk.webm?size=9", "stylized.mp4", True),
    ],
)
def test_a_film_becomes_a_film(moving, output, content, expected, is_film):
    (pair,) = _assign(output, [content], ["s.png"])
    assert (str(pair.output), pair.is_film) == (expected, is_film)


def test_films_and_pictures_of_one_name_do_not_share_a_manifest(moving):
    Path("moving.png").write_bytes(b"mine")
    sources = ["moving.png", "moving.gif", "walk.MOV", "walk.jpg"]
    assert _outputs("out/", sources, ["s.png"]) == [
        "out/moving_s.png",
        "out/moving_s_2.gif",
        "out/walk_s.mp4",
        "out/walk_s_2.png",
    ]


def test_there_is_no_contact_sheet_of_films(moving):
    pairs = _assign("out/", ["walk.MOV", "photos/b.png"], ["s.png"])
    assert plan.sheet_path(pairs) is None
    pairs = _assign("out/", ["photos/a.jpg", "photos/b.png"], ["s.png"])
    assert plan.sheet_path(pairs) == Path("out/contact_sheet.png")


@pytest.mark.parametrize(
    "output, content, settings, reason",
    [
        (
            "o.mp4",
            "s.png",
            {},
            "output o.mp4 has the ending of a film, but s.png is a picture; use one",
        ),
        (
            "o.gif",
            "still.gif",
            {},
            "output o.gif has the ending of a film, but still.gif is a picture",
        ),
        (
            "o.mov",
            "walk.MOV",
            {},
            "walk.MOV is a film, which is written as .gif or .mp4, ",
        ),
        (
            "o.avi",
            "walk.MOV",
            {},
            "walk.MOV is a film, which is written as .gif or .mp4, ",
        ),
        (
            "o.mp4",
            "walk.MOV",
            {"mode": "compare"},
            "mode compare paints pictures only, and walk.MOV is a film; give an output "
            "such as first.png to paint its first frame, or use another mode",
        ),
        (
            "",
            "walk.MOV",
            SLOW | {"sweep": ("time_budget=0,2",)},
            "time_budget works for pictures only, and walk.MOV is a film; set steps",
        ),
        (
            "",
            "walk.MOV",
            SLOW | {"save_every": 5},
            "save_every works for pictures only, and wa",
        ),
        (
            "",
            "walk.MOV",
            SLOW | {"timelapse": "t.gif"},
            "timelapse works for pictures only, an",
        ),
        (
            "",
            "moving.gif",
            SLOW | {"gatys": GatysConfig(time_budget=9.0)},
            "time_budget works for pictures only, and moving.gif is a film",
        ),
    ],
)
def test_what_is_not_for_films_is_refused_in_one_line(
    moving, output, content, settings, reason
):
    with pytest.raises(ValueError) as caught:
        _assign(output, [content], ["t.png"], **settings)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)
    assert not Path("o.mp4").exists() and not Path("stylized").exists()


@pytest.mark.parametrize(
    "lacking, content, flow, reason",
    [
        ("av", "walk.MOV", False, "PyAV"),
        ("av", "moving.gif", True, None),
        ("cv2", "moving.gif", True, "--noflow"),
        ("cv2", "walk.MOV", False, None),
        ("cv2", "photos/b.png", True, None),
    ],
)
def test_what_is_not_installed_is_missed_only_where_it_is_needed(
    moving, lacking, content, flow, reason, monkeypatch
):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == lacking else name
    )
    if not reason:
        assert len(_assign("", [content], ["s.png"], flow=flow)) == 1
        return
    with pytest.raises(ImportError) as caught:
        _assign("", [content], ["s.png"], flow=flow)
    assert reason in str(caught.value) and "tf_style[video]" in str(caught.value)


def test_a_film_is_not_overwritten_by_its_own(moving):
    Path("walk.mp4").write_bytes(b"mine")
    for output in ("walk.mp4", "./walk.mp4"):
        with pytest.raises(ValueError, match="would overwrite an input"):
            _assign(output, ["walk.mp4"], ["s.png"])
    with pytest.raises(ValueError, match="moving.gif would overwrite an input"):
        _assign("moving.gif", ["moving.gif"], ["s.png"])
