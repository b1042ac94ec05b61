"""What a run leaves on its way: it goes on where it was killed, and is filmed."""

import dataclasses
import errno
import json

import numpy as np
import pytest
from PIL import Image

from tf_style import checkpoint, gatys, images, run


@pytest.fixture
def job(slow_job):
    """One picture on the slow path, that checkpoints every step."""
    return dataclasses.replace(
        slow_job,
        output=f"{slow_job.output}/picture.png",
        checkpoint_every=1e-9,
        gatys=dataclasses.replace(slow_job.gatys, steps=6),
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def kill(job, step):
    """Runs a job until a step, and leaves what a killed process would."""
    events = run.run(job)
    for event in events:
        if isinstance(event, gatys.Step) and event.index == step:
            break
    events.close()


@pytest.mark.parametrize("step", [2, 5])
def test_a_killed_run_goes_on_to_the_same_picture(job, folder, step):
    list(run.run(job))
    expected = (folder / "picture.png").read_bytes()
    (folder / "picture.png").unlink()
    kill(job, step)
    assert "picture.checkpoint.npz" in names(folder)
    assert "picture.png" not in names(folder)
    events = list(run.run(dataclasses.replace(job, resume=True)))
    steps = [event.index for event in events if isinstance(event, gatys.Step)]
    assert steps == list(range(step + 1, 7))
    assert (folder / "picture.png").read_bytes() == expected
    assert names(folder) == ["picture.json", "picture.png"]


def test_ctrl_c_leaves_a_checkpoint_however_rare_they_are(job, folder):
    list(run.run(job))
    expected = (folder / "picture.png").read_bytes()
    (folder / "picture.png").unlink()
    events = run.run(dataclasses.replace(job, checkpoint_every=1e6))
    while not (isinstance(event := next(events), gatys.Step) and event.index == 2):
        pass
    event = events.throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        while True:
            event = next(events)
    assert names(folder) == [
        "picture.checkpoint.npz",
        "picture.json",
        "picture.png",
    ]
    assert (folder / "picture.png").read_bytes() != expected
    list(run.run(dataclasses.replace(job, resume=True)))
    assert (folder / "picture.png").read_bytes() == expected


def test_without_resume_a_run_starts_anew(job):
    kill(job, 3)
    events = list(run.run(job))
    assert [e.index for e in events if isinstance(e, gatys.Step)] == list(range(7))


def test_the_checkpoint_of_other_settings_is_refused(job, folder):
    kill(job, 3)
    other = dataclasses.replace(
        job, resume=True, gatys=dataclasses.replace(job.gatys, steps=8)
    )
    [failed] = [e for e in run.run(other) if isinstance(e, run.Failed)]
    assert "is of a run with steps 6, not 8; leave out --resume" in failed.reason
    assert "picture.checkpoint.npz" in names(folder)


def test_what_is_done_is_kept_and_what_changed_is_made_again(job, folder):
    list(run.run(job))
    picture = folder / "picture.png"
    again = dataclasses.replace(job, resume=True)
    before = picture.stat().st_mtime_ns
    events = list(run.run(again))
    assert [e for e in events if isinstance(e, run.Kept)] == [run.Kept(picture)]
    assert picture.stat().st_mtime_ns == before
    other = dataclasses.replace(job.gatys, style_weight=0.5)
    events = list(run.run(dataclasses.replace(again, gatys=other)))
    assert not [e for e in events if isinstance(e, run.Kept)]
    settings = json.loads(picture.with_suffix(".json").read_text())["settings"]
    assert settings["gatys"]["style_weight"] == 0.5


@pytest.mark.parametrize("foreign", [b"", b"my work"])
def test_a_file_that_only_has_the_name_of_a_checkpoint_is_not_lost(
    job, folder, foreign
):
    folder.mkdir()
    path = folder / "picture.checkpoint.npz"
    path.write_bytes(foreign)
    with pytest.raises(ValueError, match="picture.checkpoint.npz is not ours"):
        next(run.run(job))
    assert path.read_bytes() == foreign


def test_no_checkpoints_are_written_if_none_are_wanted(job, folder):
    kill(dataclasses.replace(job, checkpoint_every=0.0), 3)
    assert names(folder) == []


def test_a_full_disk_costs_the_checkpoint_and_not_the_picture(job, folder, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", fail)
    events = list(run.run(job))
    notes = [e.note for e in events if isinstance(e, gatys.Step) and e.note]
    [note] = notes
    assert "going on without checkpoints and frames" in note
    assert "No space left" in note
    assert names(folder) == ["picture.json", "picture.png"]


def test_frames_are_the_steps_that_were_asked_for_at_full_size(job, folder, content):
    list(run.run(dataclasses.replace(job, save_every=4, checkpoint_every=0.0)))
    frames = sorted((folder / "picture_frames").iterdir())
    assert [path.name for path in frames] == ["000000.png", "000004.png", "000006.png"]
    assert all(images.load_image(path).shape == content.shape for path in frames)
    last = images.load_image(frames[-1])
    np.testing.assert_array_equal(last, images.load_image(folder / "picture.png"))
    small = images.resize(content, 18, 25)
    first = images.load_image(frames[0])
    assert np.abs(first - images.resize(small, 37, 50)).max() < 1 / 254


def test_the_film_ends_with_the_picture_and_leaves_no_frames(job, folder):
    film = folder / "film.gif"
    events = list(run.run(dataclasses.replace(job, timelapse=str(film))))
    assert [e.path for e in events if isinstance(e, run.Written)] == [
        folder / "picture.png",
        film,
    ]
    assert names(folder) == ["film.gif", "picture.json", "picture.png"]
    with Image.open(film) as shown:
        assert shown.size == (50, 37)
        assert 3 <= shown.n_frames <= 7
        shown.seek(shown.n_frames - 1)
        last = np.asarray(shown.convert("RGB"), float) / 255
    picture = images.load_image(folder / "picture.png")[0]
    assert np.abs(last - picture).mean() < 0.05


def test_a_resumed_film_shows_all_of_the_way(job, folder):
    filmed = dataclasses.replace(job, timelapse=str(folder / "film.gif"))
    kill(filmed, 3)
    frames = len(list((folder / "picture_frames").iterdir()))
    assert frames >= 3
    list(run.run(dataclasses.replace(filmed, resume=True)))
    with Image.open(folder / "film.gif") as shown:
        assert shown.n_frames > frames


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"timelapse": "film.avi"}, "film.avi"),
        ({"timelapse": "{folder}/picture.png"}, "ending of a film"),
        ({"timelapse": "film.gif", "styles": 2}, "one film, but there are 2 pictures"),
    ],
)
def test_a_film_that_cannot_be_is_told_at_once(job, folder, changes, reason):
    changes = dict(changes)
    changes["timelapse"] = changes["timelapse"].format(folder=folder)
    if "styles" in changes:
        changes["styles"] = job.styles + job.contents
        changes["output"] = str(folder)
    with pytest.raises(ValueError, match=reason):
        next(run.run(dataclasses.replace(job, **changes)))


def test_a_film_of_the_fast_path_is_refused(job):
    for setting in ({"timelapse": "film.gif"}, {"save_every": 2}):
        with pytest.raises(ValueError, match="is for modes gatys and compare"):
            dataclasses.replace(job, mode="hub", **setting)
