"""The parts of the page, without a browser; and how it starts."""

import dataclasses
import io
import math
import os
import re
import signal
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from page_client import PATIENCE, PROGRAM, free_port, png
from PIL import Image

from tf_style import images
from tf_style.app import bundle, chart, folder, sessions
from tf_style.app.__main__ import main
from tf_style.app.request import StylizeRequest
from tf_style.app.waiting_queue import WaitingQueue
from tf_style.config import LOSS_COLORS, NeighborsConfig
from tf_style.jobs import manifest


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"photo": None}, "Choose a photo first"),
        ({"styles": ()}, "Choose a style first"),
        ({"styles": ("a.png",) * 5}, "5 styles are too many; mix at most 4"),
        ({"side": 4096}, "side is 4096; it must be from 128 to 2048"),
        ({"mode": "gatys", "side": 2048}, "it must be from 128 to 1024"),
        ({"steps": 0}, "steps is 0; it must be from 1 to 1000"),
        ({"neighbors_steps": 0}, "neighbors_steps is 0; it must be from 1 to 1000"),
        ({"mode": "neighbors", "side": 2048}, "it must be from 128 to 1024"),
        ({"strength": "1"}, "strength is '1'; it must be a number"),
        ({"strength": math.nan}, "strength is nan; it must be from 0 to 1"),
        ({"strength": True}, "strength is True; it must be a number"),
        ({"steps": math.inf}, "steps is inf; it must be a whole number"),
        ({"side": "256"}, "side is '256'; it must be a whole number"),
        ({"side": [256]}, "side is [256]; it must be a whole number"),
        ({"seed": None}, "seed is None; it must be a whole number"),
        ({"seed": -(10**400)}, "seed is -1000"),
        ({"colors": {}}, "colors is {}; it must be text"),
        ({"init": ["hub"]}, "init is ['hub']; it must be text"),
        (
            {"mode": "magic"},
            "mode is 'magic'; it must be hub or neighbors or gatys or compare",
        ),
    ],
)
def test_request_out_of_bounds_is_refused(changes, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        StylizeRequest(
            **{"photo": "a.png", "styles": ("b.png",), "mode": "hub"} | changes
        )


def test_request_becomes_a_job():
    settings = 0.5, "luminance", 256, 9, "noise"
    request = StylizeRequest("a.png", ("b.png", "c.png"), "gatys", *settings)
    job = request.to_job("gatys", "/tmp/there")
    assert (job.contents, job.styles) == (("a.png",), ("b.png", "c.png"))
    assert (job.output, job.max_side, job.style_blend) == ("/tmp/there/", 256, True)
    assert (job.gatys.steps, job.gatys.init) == (9, "noise")
    assert job.gatys.style_weight == pytest.approx(1e-3 * 1e-3**0.5)
    assert job.hub.strength == 0.5
    assert job.gatys.preserve_color == job.hub.preserve_color == "luminance"


@pytest.mark.parametrize("strength, weight", [(1, 0), (0.5, 0.3), (0, 0.6)])
def test_request_for_neighbors_becomes_such_a_job(strength, weight):
    settings = strength, "histogram", 256, 9, "noise", 0
    request = StylizeRequest("a.png", ("b.png",), "neighbors", *settings)
    job = request.to_job("neighbors", "/tmp/there")
    assert (job.mode, job.methods, job.max_side) == ("neighbors", ("neighbors",), 256)
    # Steps and the first picture are gatys'; it has its own.
    expected = NeighborsConfig(preserve_color="histogram")
    assert job.neighbors.content_weight == pytest.approx(weight)
    assert dataclasses.replace(job.neighbors, content_weight=0) == expected
    request = dataclasses.replace(request, neighbors_steps=7)
    assert request.to_job("neighbors", "/tmp/there").configs[-1].steps == 7


class _Task:
    abandoned = False


def test_queue_is_served_in_order():
    queue, first, second = WaitingQueue(1), _Task(), _Task()
    with queue.enter(first) as ahead_of_first, queue.enter(second) as ahead_of_second:
        assert (ahead_of_first(), ahead_of_second()) == (0, 1)
        first.abandoned = True
        assert ahead_of_second() == 0


def test_full_queue_is_refused():
    queue = WaitingQueue(1)
    with queue.enter(_Task()), queue.enter(_Task()):
        with pytest.raises(ValueError, match="1 pictures are waiting already"):
            with queue.enter(_Task()):
                pass
    with queue.enter(_Task()) as count_ahead:
        assert count_ahead() == 0


@pytest.fixture
def opened(tmp_path):
    """`Sessions` in a folder of their own, with one example."""
    root = tmp_path / "root"
    (root / "examples").mkdir(parents=True)
    images.save_image(root / "examples" / "ours.png", np.ones((1, 8, 8, 3)))
    return sessions.Sessions(root, [root / "examples" / "ours.png"])


def _uploaded(opened, name, owner="me", content=None):
    """Returns the path of a file that is there as if a browser had uploaded it."""
    path = opened.root / ("ab" * 32) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content or png())
    opened.record_upload(owner, path)
    return str(path)


def test_closed_page_leaves_no_files(opened):
    session = opened.get("me.page")
    before = {*opened.root.iterdir()} - {session.folder}
    opened.resolve("me.page", _uploaded(opened, "photo.png"))
    task = session.start("one")
    opened.close("me.page")
    assert task.abandoned and task.stop.requested
    assert {*opened.root.iterdir()} - before == {opened.root / ("ab" * 32)}
    task.folder.mkdir(parents=True)  # written by what had not ended yet
    task.clean_up()
    assert not session.folder.exists()


def test_examples_own_files_and_own_uploads_may_be_used(opened):
    ours = str(opened.root / "examples" / "ours.png")
    assert opened.resolve("me.page", ours) == ours
    assert opened.resolve("me.page", {"path": ours, "url": "http://x/"}) == ours
    mine = opened.resolve("me.page", {"path": _uploaded(opened, "a.PNG")})
    assert Path(mine).parent.parent == opened.get("me.page").folder
    assert Path(mine).read_bytes() == png()
    assert opened.resolve("me.page", mine) == mine
    assert opened.may_read("me", mine) and not opened.may_read("you", mine)


@pytest.mark.parametrize("name", ["photo", "a.svg", "a.mp4", "photo.2024"])
def test_upload_with_any_ending_is_a_picture(opened, name):
    mine = opened.resolve("me.page", _uploaded(opened, name))
    assert Path(mine).name == f"{name}.png"


@pytest.mark.parametrize("name", ["a.heic", "a.jpg"])
def test_what_browsers_do_not_show_is_kept_as_png(opened, name):
    heif = pytest.importorskip("pillow_heif", reason="pip install '.[heif]'")
    stream = io.BytesIO()
    heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(stream)
    mine = opened.resolve("me.page", _uploaded(opened, name, content=stream.getvalue()))
    assert Path(mine).suffix == ".png"
    with Image.open(mine) as image:
        assert (image.format, image.size) == ("PNG", (64, 48))


NO_FILES = (
    None,
    True,
    0,
    math.nan,
    "",
    "a\0b",
    [],
    {},
    {"path": None},
    {"path": ["a"]},
    {"path": {"path": "a"}},
    {"url": "http://127.0.0.1:9/a.png"},
    "http://127.0.0.1:9/a.png",
    "file:///etc/hostname",
    "data:image/png;base64,AAAA",
    "examples/ours.png",
    "/",
    "~",
)


@pytest.mark.parametrize("given", NO_FILES, ids=repr)
def test_what_is_no_file_is_refused(opened, given):
    with pytest.raises(ValueError, match="no such picture on this page"):
        opened.resolve("me.page", given)
    assert not opened.may_read("me", given)


def test_files_of_others_are_refused(opened, tmp_path):
    victim = tmp_path / "victim.png"
    victim.write_bytes(png())
    me, you = opened.get("me.page"), opened.get("you.page")
    yours = opened.resolve("you.page", _uploaded(opened, "yours.png", "you"))
    (me.folder / "link.png").symlink_to(victim)
    (me.folder / "way").symlink_to(tmp_path)
    (opened.root / "plain").mkdir()
    (opened.root / "plain" / "a.png").write_bytes(png())
    opened.record_upload("me", opened.root / "plain" / "a.png")
    opened.record_upload("me", victim)
    refused = (
        victim,
        tmp_path,
        yours,
        you.folder,
        me.folder,
        opened.root,
        opened.root / "plain" / "a.png",
        opened.root / ("ab" * 32) / "yours.png",
        me.folder / ".." / you.folder.name / Path(yours).relative_to(you.folder),
        f"{me.folder}/../../victim.png",
        f"{opened.root}/examples/../../victim.png",
        f"{me.folder}-else",
        me.folder / "link.png",
        me.folder / "way" / "victim.png",
    )
    for path in refused:
        for given in (str(path), {"path": str(path)}):
            with pytest.raises(ValueError, match="no such picture on this page"):
                opened.resolve("me.page", given)
        assert not opened.may_read("me", str(path)), path
    # One browser's pages are apart, but may show each other's files.
    with pytest.raises(ValueError, match="no such picture"):
        opened.resolve("you.other", yours)
    assert opened.may_read("you", yours)


def test_large_style_is_kept_smaller(opened):
    content = png(4100, 10)
    photo = opened.resolve("me.page", _uploaded(opened, "a.bmp", content=content))
    style = _uploaded(opened, "a.bmp", content=content)
    style = opened.resolve("me.page", style, "style")
    assert Path(photo).read_bytes() == content
    assert (Path(style).name, Image.open(style).size) == ("a.png", (2048, 5))
    assert len([*Path(style).parent.iterdir()]) == 1


def test_photo_that_is_named_as_a_style_is_kept_smaller_too(opened):
    upload = _uploaded(opened, "a.png", content=png(4100, 10))
    photo = opened.resolve("me.page", upload)
    style = opened.resolve("me.page", {"path": photo}, "style")
    assert Image.open(photo).size == (4100, 10)
    assert Image.open(style).size == (2048, 5)
    assert opened.resolve("me.page", style, "style") == style


@pytest.mark.parametrize("kind", ["photo", "style"])
def test_of_an_animation_the_first_frame_is_kept(opened, kind):
    stream = io.BytesIO()
    first, second = (Image.new("RGB", (20, 10), colour) for colour in ("red", "blue"))
    first.save(stream, "GIF", save_all=True, append_images=[second])
    upload = _uploaded(opened, "moving.gif", content=stream.getvalue())
    path = opened.resolve("me.page", upload, kind)
    assert Path(path).name == "moving.png"
    with Image.open(path) as image:
        assert (image.n_frames, image.getpixel((0, 0))) == (1, (255, 0, 0))
    assert opened.resolve("me.page", path, kind) == path
    assert [*Path(path).parent.iterdir()] == [Path(path)]


def test_uploads_of_a_page_are_counted(opened, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_UPLOADS", 1)
    upload = _uploaded(opened, "a.png")
    opened.resolve("me.page", upload)
    with pytest.raises(ValueError, match="1 files were uploaded on this page"):
        opened.resolve("me.page", upload)


def test_refused_upload_leaves_nothing(opened):
    with pytest.raises(ValueError, match="is not a picture that can be read"):
        opened.resolve("me.page", _uploaded(opened, "a.png", content=b"text"))
    assert [*opened.get("me.page").folder.iterdir()] == []


def test_only_direct_children_are_removed(tmp_path):
    root, victim = tmp_path / "root", tmp_path / "victim"
    for made in (root / "deep" / "deeper", victim):
        made.mkdir(parents=True)
        (made / "kept").touch()
    (root / "link").symlink_to(victim)
    (tmp_path / "other").symlink_to(root)
    for child in (
        root,
        tmp_path,
        victim,
        root / "deep" / "deeper",
        root / "..",
        root / "link" / "kept",
        root / "deep" / ".." / ".." / "victim",
        "/",
        "",
        "deep",
    ):
        with pytest.raises(ValueError, match="does not lie directly in"):
            folder.remove(root, child)
    with pytest.raises(ValueError, match="does not lie directly in"):
        folder.remove(tmp_path / "other", root / "deep")
    assert (root / "deep" / "deeper" / "kept").exists()
    for name in ("link", "deep", "nothing"):
        folder.remove(root, root / name)
    assert [*root.iterdir()] == [] and (victim / "kept").exists()


def test_what_nobody_claims_is_removed_after_a_while(opened, monkeypatch):
    upload = Path(_uploaded(opened, "a.png"))
    (opened.root / "tmpabc").touch()
    (opened.root / "tmp").mkdir()
    opened.connect("me.shown")
    shown, left = opened.get("me.shown"), opened.get("me.left")
    opened.sweep()
    assert upload.exists() and not left.closed
    monkeypatch.setattr(sessions, "IDLE_TIMEOUT", -1)
    opened.sweep()
    assert not upload.parent.exists() and not (opened.root / "tmpabc").exists()
    assert (left.closed, shown.closed) == (True, False)
    assert (opened.root / "examples" / "ours.png").exists()
    assert (opened.root / "tmp").exists()
    opened.disconnect("me.shown")
    opened.sweep()
    assert shown.closed


def test_new_task_replaces_the_last(tmp_path):
    session = sessions.Sessions(tmp_path).get("name")
    first, other, second = map(session.start, ("one", "pair", "one"))
    assert first.stop.requested and not first.folder.exists()
    assert other.folder.exists() and not other.stop.requested
    assert second.folder != first.folder


def test_too_many_pages_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_PAGES", 1)
    opened = sessions.Sessions(tmp_path)
    assert opened.get("a") is opened.get("a")
    opened.connect("a")
    with pytest.raises(ValueError, match="1 pages are open already"):
        opened.get("b")
    opened.disconnect("a")  # who is gone makes place
    opened.get("b")
    assert len([*tmp_path.glob("page-*")]) == 1


def test_errors_name_files_as_the_user_does(tmp_path):
    opened = sessions.Sessions(tmp_path)
    error = ValueError(f"{tmp_path}/page-1/upload-2/my photo.jpg is\nempty")
    assert opened.describe(error) == "my photo.jpg is empty"


def test_chart_breaks_the_line_where_the_size_changes():
    losses = {"style": 100.0, "content": 1.0, "total": 101.0}
    sizes = [(64, 48)] * 2 + [(128, 96)] * 2
    points = [chart.Point(i, size, losses) for i, size in enumerate(sizes)]
    drawing = chart.draw(points, 10)
    assert drawing.count("<polyline") == 2 * len(LOSS_COLORS)
    assert "128 px" in drawing and "10²" in drawing


@pytest.mark.parametrize("losses", [{}, {"style": np.nan, "content": 0.0}])
def test_chart_of_nothing_is_empty(losses):
    points = [chart.Point(i, (8, 8), losses) for i in range(2 if losses else 0)]
    assert chart.draw(points, 10) == ""


def test_bundle_can_be_repeated_where_it_is_unpacked(tmp_path, monkeypatch):
    photo, style = tmp_path / "in" / "photo.JPG", tmp_path / "in" / "paint.png"
    for path in (photo, style, tmp_path / "out.png"):
        images.save_image(path.with_suffix(path.suffix.lower()), np.ones((1, 8, 8, 3)))
    photo.with_suffix(".jpg").rename(photo)
    request = StylizeRequest(str(photo), (str(style),), "hub")
    job = request.to_job("hub", tmp_path)
    inputs = {"content": (str(photo), "1"), "style": (str(style), "2")}
    model = types.SimpleNamespace(name="builtin", source="here", checksum="3")
    account = manifest.describe(job, inputs, {"hub": model})
    with manifest.publishing(account, [tmp_path / "out.png"], {}) as (temporary,):
        temporary.write_bytes((tmp_path / "in" / "paint.png").read_bytes())
    bundle.write(tmp_path / "out.zip", [tmp_path / "out.png"])
    there = tmp_path / "there"
    zipfile.ZipFile(tmp_path / "out.zip").extractall(there)
    assert sorted(path.name for path in there.iterdir()) == [
        "content.jpg",
        "out.png",
        "out.png.json",
        "style.png",
    ]
    monkeypatch.chdir(there)
    again = manifest.read("out.png.json")
    assert (again.contents, again.styles) == (("content.jpg",), ("style.png",))


def test_without_gradio_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['gradio'] = None; "
        "from tf_style.app.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    said = "tf_style: the page needs Gradio: pip install 'tf_style[app]'\n"
    assert done.stderr == said


@pytest.mark.parametrize("argument", ["--port=99999", "--port=x", "--nonsense"])
def test_bad_usage_is_one_line(argument, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tf_style.app", argument])
    with pytest.raises(SystemExit) as ended:
        main()
    out, said = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert re.fullmatch(r"tf_style: .*; see --help\n", said)


def test_start_removes_what_a_killed_page_left(tmp_path):
    pytest.importorskip("gradio", reason="no Gradio: pip install '.[app]'")
    for name in ("plain", "empty"):
        (tmp_path / f"tf_style_app-{name}").mkdir()
    (tmp_path / "tf_style_app-plain" / "photo.png").touch()
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / folder.MARKER).touch()
    (tmp_path / "tf_style_app-link").symlink_to(target)
    kept = {*tmp_path.rglob("*")}
    wrong = {
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "SSL_CERT_FILE": str(tmp_path / "none.pem"),
    }
    for end in (signal.SIGKILL, signal.SIGHUP):
        process = subprocess.Popen(
            [*PROGRAM, f"--port={free_port()}"],
            cwd=tmp_path,
            env=os.environ | wrong | {"TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "the page is at" in process.stdout.readline()
        assert len({*tmp_path.glob("tf_style_app-*")} - kept) == 1
        process.send_signal(end)
        assert process.wait(PATIENCE / 1000) == {signal.SIGHUP: 130}.get(end, -end)
    assert {*tmp_path.rglob("*")} == kept


def test_pages_that_live_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(folder.tempfile, "tempdir", str(tmp_path))
    mine = folder.create()
    code = "from tf_style.app import folder; folder.remove_leftovers(); "
    code += "print(folder.create())"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    for _ in range(2):  # each removes what the one before it left
        done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=-1)
        left = Path(done.stdout.decode().strip())
        assert {*tmp_path.iterdir()} == {mine, left}


def test_port_that_is_taken_is_one_line(app):
    done = subprocess.run(
        [*PROGRAM, f"--port={app.port}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"tf_style: .*port.*\n", done.stderr)
