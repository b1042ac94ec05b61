"""What a run leaves on its way: it goes on where it was killed, and is filmed."""

import dataclasses
import errno
import json

import numpy as np
import pytest
from PIL import Image

from tf_style import images
from tf_style.jobs import checkpoint, manifest, run
from tf_style.optimization import gatys
from tf_style.system.stop import StopToken


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
    return {path.name for path in folder.iterdir()}


def stop(job, step):
    """Interrupts a job at a step; returns what it then tells."""
    token = StopToken()
    events = run.run(job, stop=token)
    while not (isinstance(event := next(events), gatys.Step) and event.index == step):
        pass
    token.set()
    return list(events)


def kill(job, step):
    """Runs a job until a step, and leaves what a killed process would."""
    events, told = run.run(job), []
    for event in events:
        told.append(event)
        if isinstance(event, gatys.Step) and event.index == step:
            break
    events.close()
    return told


@pytest.mark.parametrize("step", [2, 5])
def test_a_killed_run_goes_on_to_the_same_picture(job, folder, step):
    list(run.run(job))
    expected = (folder / "picture.png").read_bytes()
    (folder / "picture.png").unlink()
    kill(job, step)
    assert "picture.png.checkpoint.npz" in names(folder)
    assert "picture.png" not in names(folder)
    events = list(run.run(dataclasses.replace(job, resume=True)))
    steps = [event.index for event in events if isinstance(event, gatys.Step)]
    assert steps == list(range(step + 1, 7))
    assert (folder / "picture.png").read_bytes() == expected
    assert names(folder) == {"picture.png.json", "picture.png"}


def test_ctrl_c_leaves_a_checkpoint_however_rare_they_are(job, folder):
    list(run.run(job))
    expected = (folder / "picture.png").read_bytes()
    (folder / "picture.png").unlink()
    stop(dataclasses.replace(job, checkpoint_every=1e6), 2)
    assert names(folder) == {
        "picture.png.checkpoint.npz",
        "picture.png.json",
        "picture.png",
    }
    assert (folder / "picture.png").read_bytes() != expected
    list(run.run(dataclasses.replace(job, resume=True)))
    assert (folder / "picture.png").read_bytes() == expected


def test_without_resume_a_run_starts_anew(job):
    kill(job, 3)
    events = list(run.run(job))
    assert [e.index for e in events if isinstance(e, gatys.Step)] == list(range(7))


def test_a_checkpoint_that_is_further_is_kept_and_told_of(job, folder):
    kill(job, 4)
    before = (folder / "picture.png.checkpoint.npz").read_bytes()
    [note] = [e.note for e in kill(job, 2) if isinstance(e, run.Info)]
    assert "starting over; --resume would continue from step 5" in note
    assert (folder / "picture.png.checkpoint.npz").read_bytes() == before


def test_a_run_with_other_settings_tells_that_it_replaces_a_checkpoint(job):
    kill(job, 4)
    other = dataclasses.replace(
        job, gatys=dataclasses.replace(job.gatys, style_weight=0.5)
    )
    [note] = [e.note for e in kill(other, 2) if isinstance(e, run.Info)]
    assert note.endswith("belongs to a run with other settings and is replaced")


def test_an_interrupted_run_never_replaces_a_better_picture(job, folder):
    list(run.run(job))
    picture = folder / "picture.png"
    before = picture.read_bytes(), manifest.path_of(picture).read_bytes()
    other = dataclasses.replace(
        job, gatys=dataclasses.replace(job.gatys, style_weight=0.5)
    )
    told = stop(other, 2)
    beside = folder / "picture_interrupted.png"
    assert [e.path for e in told if isinstance(e, run.Written)] == [beside]
    assert f"{picture} keeps the better picture of an earlier run" in str(told)
    assert before == (picture.read_bytes(), manifest.path_of(picture).read_bytes())
    assert manifest.find(beside)["interrupted"]
    list(run.run(dataclasses.replace(other, resume=True)))
    assert manifest.find(picture)["settings"]["gatys"]["style_weight"] == 0.5


def test_an_interrupted_run_replaces_one_that_was_interrupted_sooner(job, folder):
    stop(job, 2)
    stop(job, 4)
    assert manifest.find(folder / "picture.png")["steps"] == 4
    stop(job, 3)
    assert manifest.find(folder / "picture.png")["steps"] == 4
    assert manifest.find(folder / "picture_interrupted.png")["steps"] == 3


def test_a_folder_of_the_users_own_numbered_pictures_is_refused(job, folder):
    frames = folder / "picture.png.frames"
    frames.mkdir(parents=True)
    (frames / "000001.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match="is not a folder of frames by tf_style"):
        next(run.run(dataclasses.replace(job, save_every=2)))
    assert (frames / "000001.png").read_bytes() == b"mine"


def test_the_checkpoint_of_other_settings_is_refused(job, folder):
    kill(job, 3)
    other = dataclasses.replace(
        job, resume=True, gatys=dataclasses.replace(job.gatys, steps=8)
    )
    [failed] = [e for e in run.run(other) if isinstance(e, run.Failed)]
    assert "belongs to a run with steps 6, not 8; leave out --resume" in failed.reason
    assert "picture.png.checkpoint.npz" in names(folder)


def test_what_is_done_is_kept_and_what_changed_is_made_again(job, folder):
    list(run.run(job))
    picture = folder / "picture.png"
    again = dataclasses.replace(job, resume=True)
    before = picture.stat().st_mtime_ns
    events = list(run.run(again))
    assert [e for e in events if isinstance(e, run.Skipped)] == [run.Skipped(picture)]
    assert picture.stat().st_mtime_ns == before
    other = dataclasses.replace(job.gatys, style_weight=0.5)
    events = list(run.run(dataclasses.replace(again, gatys=other)))
    assert not [e for e in events if isinstance(e, run.Skipped)]
    settings = json.loads(manifest.path_of(picture).read_text())["settings"]
    assert settings["gatys"]["style_weight"] == 0.5


@pytest.mark.parametrize("foreign", [b"", b"my work"])
def test_a_file_that_only_has_the_name_of_a_checkpoint_is_not_lost(
    job, folder, foreign
):
    folder.mkdir()
    path = folder / "picture.png.checkpoint.npz"
    path.write_bytes(foreign)
    with pytest.raises(
        ValueError, match="picture.png.checkpoint.npz is not a checkpoint"
    ):
        next(run.run(job))
    assert path.read_bytes() == foreign


def test_no_checkpoints_are_written_if_none_are_wanted(job, folder):
    kill(dataclasses.replace(job, checkpoint_every=0.0), 3)
    assert names(folder) == set()


def test_a_full_disk_costs_the_checkpoint_and_not_the_picture(job, folder, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", fail)
    events = list(run.run(job))
    notes = [e.note for e in events if isinstance(e, gatys.Step) and e.note]
    [note] = notes
    assert "continuing without checkpoints and frames" in note
    assert "No space left" in note
    assert names(folder) == {"picture.png.json", "picture.png"}


def test_frames_are_the_steps_that_were_asked_for_at_full_size(job, folder, content):
    list(run.run(dataclasses.replace(job, save_every=4, checkpoint_every=0.0)))
    frames = sorted((folder / "picture.png.frames").glob("*.png"))
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
    assert names(folder) == {
        "film.gif",
        "film.gif.json",
        "picture.png",
        "picture.png.json",
    }
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
    frames = len(list((folder / "picture.png.frames").iterdir()))
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
        with pytest.raises(
            ValueError, match="works in modes neighbors and gatys and compare"
        ):
            dataclasses.replace(job, mode="hub", **setting)
