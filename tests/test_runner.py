"""The workplace of a job: styles remembered, pictures kept, photos painted together."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tf_style import images
from tf_style.config import GatysConfig, HubConfig, Job
from tf_style.fast import hub, magenta
from tf_style.jobs import manifest, pipeline, run, runner
from tf_style.optimization import gatys
from tf_style.system import hardware
from tf_style.system.stop import StopToken


def noise(height, width, seed):
    return np.random.default_rng(seed).random((1, height, width, 3), np.float32)


@pytest.fixture
def photos(tmp_path):
    """A folder of photos: two of a size, one of another, and two of the first again."""
    for seed, name in enumerate("abcde"):
        size = (30, 44) if name == "c" else (37, 50)
        images.save_image(tmp_path / "photos" / f"{name}.png", noise(*size, seed))
    return tmp_path / "photos"


@pytest.fixture
def paintings(tmp_path):
    for name, colour in (("ink", (0.2, 0.3, 1)), ("oil", (1, 0.4, 0.2))):
        painting = noise(45, 61, 10) * np.float32(colour)
        images.save_image(tmp_path / "paintings" / f"{name}.png", painting)
    return tmp_path / "paintings"


@pytest.fixture
def job(photos, paintings, stub_model, tmp_path):
    """Every photo in both paintings, on the fast path."""
    return Job(
        contents=(str(photos),),
        styles=(str(paintings),),
        output=str(tmp_path / "out"),
        hub=HubConfig(model=str(stub_model)),
    )


@pytest.fixture
def together(monkeypatch):
    """Lets small jobs paint several at once; gives the sizes of what was so painted."""
    monkeypatch.setattr(runner, "BATCHES_FROM", 2)
    batches, stylize = [], hub.stylize_batch

    def stylize_batch(contents, *arguments, **more):
        pictures = stylize(contents, *arguments, **more)
        if len(contents) > 1:
            batches.append([content.shape[1:3] for content in contents])
        return pictures

    monkeypatch.setattr(hub, "stylize_batch", stylize_batch)
    return batches


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def pictures_in(folder):
    return {
        path.stem: images.load_image(path)
        for path in sorted(folder.glob("*_*.png"))
        if path.stem != "contact_sheet"
    }


def one_by_one(job, tmp_path):
    """Returns the pictures of a job that paints none together."""
    folder = tmp_path / "one by one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "BATCHES_FROM", 1000)
        list(run.run(dataclasses.replace(job, output=str(folder))))
    return pictures_in(folder)


@pytest.fixture
def exact(monkeypatch):
    """Has the built-in stylizer compute in float32."""
    monkeypatch.setattr(hardware, "fastest_dtype", lambda: "float32")
    hub.load_model.cache_clear()
    yield
    hub.load_model.cache_clear()


@pytest.mark.parametrize("builtin, strength", [(False, 1.0), (False, 0.5), (True, 0.5)])
def test_photos_of_one_size_are_painted_together_as_they_are_alone(
    job, builtin, strength, together, exact, tmp_path
):
    model = "builtin" if builtin else job.hub.model
    config = HubConfig(model=model, strength=strength)
    job = dataclasses.replace(job, hub=config)
    expected = one_by_one(job, tmp_path)
    assert together == []
    events = list(run.run(job))
    assert not of_kind(events, run.Failed)
    # Each in both paintings; the photo between them comes in its turn.
    assert together == [[(37, 50)] * 2] * 4
    found = pictures_in(tmp_path / "out")
    assert found.keys() == expected.keys() and len(found) == 10
    for name, picture in found.items():
        # One level, as it is rounded; and no other picture is as near.
        near = [
            other
            for other, wanted in expected.items()
            if wanted.shape == picture.shape
            and np.abs(picture - wanted).max() < 1.01 / 255
        ]
        assert near == [name]
    written = [event for event in of_kind(events, run.Written) if event.seconds]
    assert sorted(event.path.stem for event in written) == list(found)
    assert len(of_kind(events, run.Started)) == 10


@pytest.mark.parametrize(
    "room, batches",
    [(2 * 37 * 50, [2, 2]), (3 * 37 * 50 - 1, [2, 2]), (5 * 37 * 50, [5]), (1, [])],
)
def test_so_many_are_painted_together_as_there_is_room_for(
    job, paintings, together, room, batches, monkeypatch, tmp_path
):
    monkeypatch.setattr(magenta.Magenta, "batch_pixels", room)
    for seed in range(5):
        images.save_image(tmp_path / "alike" / f"{seed}.png", noise(37, 50, seed))
    job = dataclasses.replace(
        job, contents=(str(tmp_path / "alike"),), styles=(str(paintings / "ink.png"),)
    )
    events = list(run.run(job))
    assert [len(batch) for batch in together] == batches
    written = [event for event in of_kind(events, run.Written) if event.seconds]
    assert [event.path.name for event in written] == [f"{n}_ink.png" for n in range(5)]


def test_a_job_of_few_pictures_paints_them_one_by_one(job, together, monkeypatch):
    monkeypatch.setattr(runner, "BATCHES_FROM", 11)  # and it is of ten
    list(run.run(job))
    assert together == []


@pytest.mark.parametrize(
    "what", [{"preserve_color": "covariance"}, {"masks": ("mask.png",)}]
)
def test_what_depends_on_each_photo_is_painted_one_by_one(
    job, photos, together, what, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    images.save_image(tmp_path / "mask.png", np.ones((1, 37, 50, 3)))
    (photos / "c.png").unlink()
    if "masks" in what:
        job = dataclasses.replace(job, **what)
    else:
        job = dataclasses.replace(job, hub=dataclasses.replace(job.hub, **what))
    assert len([e for e in run.run(job) if isinstance(e, run.Written)]) == 9
    assert together == []


@pytest.fixture
def fussy(stub_model, monkeypatch):
    """Makes the model fail for whatever has a black first pixel."""
    model = hub.load_model(str(stub_model))

    def make(error):
        def call(content, style):
            if tf.reduce_any(tf.reduce_max(content[:, 0, 0], -1) == 0):
                raise error
            return model.call(content, style)

        fussy = model._replace(call=call)
        monkeypatch.setattr(hub, "load_model", lambda _: fussy)

    return make


@pytest.mark.parametrize(
    "error, reason",
    [
        (ValueError("too dark"), "too dark"),
        (MemoryError(), "not enough memory for 50x37 pixels"),
        (tf.errors.InvalidArgumentError(None, None, "too dark"), "too dark"),
        (tf.errors.ResourceExhaustedError(None, None, ""), "not enough memory for"),
    ],
    ids=["value", "memory", "argument", "exhausted"],
)
def test_one_that_cannot_be_painted_fails_alone(
    job, photos, together, fussy, error, reason, tmp_path
):
    expected = one_by_one(job, tmp_path)
    photo = images.load_image(photos / "b.png")
    photo[0, 0, 0] = 0
    images.save_image(photos / "b.png", photo)
    fussy(error)
    events = list(run.run(job))
    failed = of_kind(events, run.Failed)
    assert len(failed) == 2  # in either style
    assert all(str(photos / "b.png") in event.reason for event in failed)
    assert all(reason in event.reason for event in failed)
    found = pictures_in(tmp_path / "out")
    assert found.keys() == {name for name in expected if not name.startswith("b_")}
    np.testing.assert_allclose(found["a_ink"], expected["a_ink"], atol=1.01 / 255)
    # The batch without it was painted as such.
    assert together == [[(37, 50)] * 2] * 2


def test_a_style_that_cannot_be_encoded_fails_alone(job, paintings, tmp_path):
    images.save_image(paintings / "ink.png", noise(400, 16, 5))  # too elongated
    events = list(run.run(job))
    failed = of_kind(events, run.Failed)
    assert len(failed) == 5
    assert all("too elongated" in event.reason for event in failed)
    assert len(pictures_in(tmp_path / "out")) == 5  # in the other style


def test_one_that_cannot_be_read_leaves_the_others_together(job, photos, together):
    (photos / "b.png").write_bytes(b"no picture")
    images.save_image(photos / "b2.png", noise(37, 50, 8))
    events = list(run.run(job))
    [failed] = of_kind(events, run.Failed)
    assert failed.reason.startswith(f"{photos / 'b.png'} is not a picture")
    assert together == [[(37, 50)] * 2] * 4
    assert len([e for e in of_kind(events, run.Written) if e.seconds]) == 10


def test_of_photos_painted_together_each_keeps_its_transparency(
    job, photos, together, tmp_path
):
    alpha = np.linspace(0, 1, 37 * 50, dtype=np.float32).reshape(1, 37, 50, 1)
    images.save_image(photos / "b.png", noise(37, 50, 1), alpha)
    list(run.run(job))
    assert [(37, 50)] * 2 in together
    found = images.load_picture(tmp_path / "out" / "b_ink.png").alpha
    wanted = images.load_picture(photos / "b.png").alpha
    np.testing.assert_array_equal(found, wanted)
    assert images.load_picture(tmp_path / "out" / "a_ink.png").alpha is None


def test_only_what_is_not_there_yet_is_painted_together(job, together, tmp_path):
    list(run.run(job))
    out = tmp_path / "out"
    for name in ("a_ink", "b_ink", "d_oil"):
        (out / f"{name}.png").unlink()
    together.clear()
    events = list(run.run(job))
    assert together == [[(37, 50)] * 2]
    written = [event for event in of_kind(events, run.Written) if event.seconds]
    assert [event.path.stem for event in written] == ["a_ink", "b_ink", "d_oil"]
    assert len(of_kind(events, run.Skipped)) == 7


@pytest.mark.parametrize("count", [1, 3])
def test_a_stop_costs_nothing_that_was_painted(job, count, tmp_path):
    stop = StopToken()
    events = run.run(job, stop=stop)
    for _ in range(count):
        while not isinstance(next(events), run.Started):
            pass
    stop.set()
    # The one that was started is painted to its end.
    assert not of_kind(list(events), run.Started)
    assert len(pictures_in(tmp_path / "out")) == count
    assert len(list((tmp_path / "out").glob("*.json"))) == count


@pytest.mark.parametrize("preserve_color, times", [("none", 2), ("covariance", 10)])
def test_a_style_is_encoded_once_unless_it_takes_the_photos_colours(
    job, preserve_color, times, monkeypatch
):
    encoded, encode = [], hub.encode

    def count(*arguments, **more):
        encoded.append(arguments)
        return encode(*arguments, **more)

    monkeypatch.setattr(hub, "encode", count)
    config = dataclasses.replace(job.hub, preserve_color=preserve_color)
    list(run.run(dataclasses.replace(job, hub=config)))
    assert len(encoded) == times


@pytest.mark.parametrize("mode", ["hub", "gatys"])
def test_few_painted_pictures_wait_to_be_written(job, photos, paintings, shallow, mode):
    """So they take little memory; of the slow path none does, as each took long."""
    behind, names = {"hub": (pipeline.AHEAD, "abcd"), "gatys": (0, "ab")}[mode]
    job = dataclasses.replace(
        job,
        contents=tuple(str(photos / f"{name}.png") for name in names),
        styles=(str(paintings / "ink.png"),),
        mode=mode,
        gatys=GatysConfig(**shallow | {"scales": 1}, steps=1),
    )
    waiting, most = 0, 0
    for event in run.run(job):
        waiting += isinstance(event, run.Started)
        waiting -= isinstance(event, run.Written) and event.seconds is not None
        most = max(most, waiting)
    assert waiting == 0
    assert most == behind + 1  # and the one that is painted


@pytest.fixture
def single(job, photos, paintings, tmp_path):
    """One photo in one painting, to one file."""
    return dataclasses.replace(
        job,
        contents=(str(photos / "a.png"),),
        styles=(str(paintings / "ink.png"),),
        output=str(tmp_path / "picture.png"),
    )


@pytest.fixture
def slow(single, shallow):
    config = GatysConfig(**shallow | {"scales": 1}, steps=2)
    return dataclasses.replace(single, mode="gatys", gatys=config)


def is_kept(job):
    """Runs a job of one picture and tells whether that was kept."""
    events = list(run.run(job))
    assert not of_kind(events, run.Failed)
    kept = of_kind(events, run.Skipped)
    painted = of_kind(events, run.Started) + of_kind(events, run.Written)
    assert bool(kept) != bool(painted)
    return bool(kept)


@pytest.mark.parametrize("mode", ["hub", "gatys", "compare"])
def test_a_picture_that_is_there_is_kept(slow, mode, tmp_path):
    job = dataclasses.replace(slow, mode=mode)
    assert not is_kept(job)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("picture*")}
    assert is_kept(job)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert len(before) == (6 if mode == "compare" else 2)


def test_what_was_changed_or_is_incomplete_is_painted_again(slow, tmp_path):
    job = dataclasses.replace(slow, mode="compare")
    list(run.run(job))
    (tmp_path / "picture_gatys.png").unlink()
    assert not is_kept(job)
    assert is_kept(job)
    images.save_image(tmp_path / "picture.png", noise(5, 5, 1))
    with pytest.raises(ValueError, match="picture.png has changed since tf_style"):
        is_kept(job)


def test_whatever_a_picture_depends_on_has_it_painted_again(
    single, photos, paintings, tmp_path
):
    images.save_image(tmp_path / "mask.png", noise(37, 50, 1))
    masked = dataclasses.replace(single, masks=(str(tmp_path / "mask.png"),))
    config = dataclasses.replace(single.hub, strength=0.5)
    for job in (
        single,
        dataclasses.replace(single, hub=config),
        dataclasses.replace(single, max_side=20),
        masked,
    ):
        assert not is_kept(job)
        assert is_kept(job)
    for path in (tmp_path / "mask.png", photos / "a.png", paintings / "ink.png"):
        images.save_image(path, noise(37, 50, 77))
        assert not is_kept(masked)
        assert is_kept(masked)


def test_the_place_of_an_input_does_not_matter(single, photos, tmp_path):
    assert not is_kept(single)
    moved = (photos / "a.png").rename(tmp_path / "moved.png")
    assert is_kept(dataclasses.replace(single, contents=(str(moved),)))


def test_a_manifest_without_its_picture_is_painted(single, tmp_path):
    assert not is_kept(single)
    (tmp_path / "picture.png").unlink()
    assert not is_kept(single)
    assert (tmp_path / "picture.png").is_file()


def test_a_picture_without_its_manifest_is_not_known_as_ours(single, tmp_path):
    assert not is_kept(single)
    (tmp_path / "picture.png.json").unlink()
    with pytest.raises(ValueError, match="picture.png was not made by tf_style"):
        is_kept(single)


def test_a_picture_that_was_interrupted_is_painted_again(slow, tmp_path):
    stop = StopToken()
    for event in run.run(slow, stop=stop):
        if isinstance(event, gatys.Step):
            stop.set()
    account = json.loads((tmp_path / "picture.png.json").read_text())
    assert account["interrupted"] is True
    assert not is_kept(slow)
    assert is_kept(slow)


@pytest.mark.parametrize("setting", ["save_every", "timelapse"])
def test_who_wants_frames_or_a_film_has_them_painted(slow, setting, tmp_path):
    values = {"save_every": 1, "timelapse": str(tmp_path / "film.gif")}
    filmed = dataclasses.replace(slow, **{setting: values[setting]})
    for _ in range(2):
        assert not is_kept(filmed)
    assert is_kept(dataclasses.replace(filmed, resume=True))
    made = {"save_every": "picture.png.frames/000002.png", "timelapse": "film.gif"}[
        setting
    ]
    assert (tmp_path / made).is_file()


def test_who_repeats_a_manifest_has_it_painted(single, tmp_path):
    assert not is_kept(single)
    again = manifest.read(tmp_path / "picture.png.json")
    for _ in range(2):
        assert not is_kept(again)
    assert is_kept(dataclasses.replace(again, resume=True))
    assert is_kept(single)


def test_the_sheet_shows_what_was_kept_too(job, photos, tmp_path):
    list(run.run(job))
    path = tmp_path / "out" / "contact_sheet.png"
    before = path.read_bytes()
    path.unlink()
    events = list(run.run(job))
    assert len(of_kind(events, run.Skipped)) == 10
    assert of_kind(events, run.Written) == [run.Written(path, None)]
    assert path.read_bytes() == before


def test_a_mask_that_cannot_be_read_ends_the_job_in_one_line(single, tmp_path):
    job = dataclasses.replace(single, masks=(str(tmp_path / "nowhere.png"),))
    with pytest.raises(FileNotFoundError, match="nowhere.png does not exist$"):
        list(run.run(job))
    assert not (tmp_path / "picture.png").exists()


def test_a_mask_of_other_proportions_fails_with_its_photo_only(job, photos, tmp_path):
    images.save_image(tmp_path / "mask.png", np.ones((1, 74, 100, 3)))
    images.save_image(photos / "c.png", noise(44, 30, 2))
    job = dataclasses.replace(job, masks=(str(tmp_path / "mask.png"),))
    events = list(run.run(job))
    failed = of_kind(events, run.Failed)
    assert len(failed) == 2
    for event in failed:
        assert event.reason.startswith(f"{photos / 'c.png'} in the style of")
        assert "a mask of 100x74 pixels does not have the proportions" in event.reason
        assert "\n" not in event.reason
    assert len(pictures_in(tmp_path / "out")) == 8
