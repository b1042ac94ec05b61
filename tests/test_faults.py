"""Faults by machine: whatever fails, the old result or the new one is there whole."""

import dataclasses
import errno
import shutil

import numpy as np
import pytest
from faults import Faults, raises
from PIL import Image

from tf_style import images
from tf_style.config import GatysConfig, HubConfig
from tf_style.jobs import checkpoint, manifest, run

# Of a run on the slow path, which takes a second.
RUNS = 5
ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS, errno.EPERM)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def fast_job(slow_job, stub_model):
    """One photo in one painting in one pass, to a file."""
    return dataclasses.replace(
        slow_job,
        mode="hub",
        output=f"{slow_job.output}/picture.png",
        gatys=GatysConfig(),
        hub=HubConfig(model=str(stub_model)),
    )


@pytest.fixture
def filmed_job(slow_job):
    """A run of two steps with all that it leaves on its way."""
    return dataclasses.replace(
        slow_job,
        output=f"{slow_job.output}/picture.png",
        checkpoint_every=1e-9,
        save_every=1,
        timelapse=f"{slow_job.output}/film.gif",
        gatys=dataclasses.replace(slow_job.gatys, steps=2, scales=1),
    )


def is_whole(path):
    """Tells whether a picture is there, is what its manifest says, and can be read."""
    manifest.check_ours([path])
    with Image.open(path) as image:
        image.load()
    return manifest.find(path)["files"][path.name] == images.load_picture(path).sha256


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def paint(job, faults, fails_at=None, number=errno.EIO):
    """Runs a job with a fault; returns its events, and what was to fail."""
    with faults.watching(fails_at, raises(number)):
        events = list(run.run(job))
    asked = faults.asked[fails_at] if fails_at is not None else None
    return events, asked


def told(events):
    """Returns all that the user is told of trouble."""
    lines = [e.reason for e in events if isinstance(e, run.Failed)]
    lines += [e.note for e in events if isinstance(e, (run.Info, run.Step))]
    return [line for line in lines if line]


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_whatever_fails_a_picture_is_the_old_one_or_the_new(fast_job, folder, number):
    faults, picture = Faults(folder), folder / "picture.png"
    list(run.run(fast_job))
    old = contents(folder)
    other = dataclasses.replace(
        fast_job, hub=dataclasses.replace(fast_job.hub, strength=0.5)
    )
    with faults.watching():
        list(run.run(other))
    new, count = picture.read_bytes(), len(faults.asked)
    assert count > 5 and new != old[picture.relative_to(folder)]
    for fails_at in range(count):
        for path, data in old.items():
            (folder / path).write_bytes(data)
        try:
            events, asked = paint(other, faults, fails_at, number)
        except OSError as error:  # before anything is painted
            assert "cannot write to folder" in str(error)
            assert contents(folder) == old
            continue
        assert {path.name for path in folder.iterdir()} == {
            "picture.png",
            "picture.png.json",
        }, asked
        written = [e for e in events if isinstance(e, run.Written)]
        if written:
            assert picture.read_bytes() == new and is_whole(picture), asked
        else:
            assert contents(folder) == old, asked
            [line] = told(events)
            assert "cannot write" in line and "photo.png" in line, line


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_whatever_fails_on_the_way_the_picture_is_written(filmed_job, folder, number):
    """Checkpoints, frames and the film may fail; the picture only by its own."""
    faults, picture = Faults(folder), folder / "picture.png"
    with faults.watching():
        list(run.run(filmed_job))
    count, expected = len(faults.asked), picture.read_bytes()
    # Other ones for each number, from the first to the last.
    shares = (np.arange(RUNS) + ERRORS.index(number) / len(ERRORS)) / RUNS
    for fails_at in sorted({int(share * count) for share in shares}):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            events, asked = paint(filmed_job, faults, fails_at, number)
        except OSError as error:
            assert "cannot write to folder" in str(error)
            continue
        written = {e.path for e in events if isinstance(e, run.Written)}
        if picture in written:
            assert picture.read_bytes() == expected and is_whole(picture), asked
        else:
            assert not picture.exists() and told(events), asked
        if folder / "film.gif" in written:
            assert is_whole(folder / "film.gif"), asked
        else:
            assert told(events), asked
        names = {path.name for path in folder.iterdir()}
        assert not [name for name in names if name.startswith(".tf_style")], asked


def test_an_input_that_cannot_be_read_does_not_harm_the_others(
    fast_job, folder, tmp_path, monkeypatch
):
    images.save_image(tmp_path / "other.png", np.full((1, 9, 9, 3), 0.5))
    job = dataclasses.replace(
        fast_job,
        contents=(*fast_job.contents, str(tmp_path / "other.png")),
        output=str(folder),
    )
    read = images.Path.read_bytes

    def fail(path):
        if path.name == "photo.png":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read(path)

    monkeypatch.setattr(images.Path, "read_bytes", fail)
    events = list(run.run(job))
    [failed] = [e for e in events if isinstance(e, run.Failed)]
    assert "photo.png" in failed.reason and "Input/output error" in failed.reason
    assert is_whole(folder / "other_painting.png")


def test_an_exception_that_nobody_foresaw_costs_one_picture(
    fast_job, folder, tmp_path, monkeypatch
):
    class Strange(Exception):
        pass

    images.save_image(tmp_path / "other.png", np.full((1, 9, 9, 3), 0.5))
    job = dataclasses.replace(
        fast_job,
        contents=(*fast_job.contents, str(tmp_path / "other.png")),
        output=str(folder),
    )
    write = images.write_image

    def fail(path, pixels, *rest):
        if pixels.shape[1] == 37:
            raise Strange("out of the blue")
        write(path, pixels, *rest)

    monkeypatch.setattr(images, "write_image", fail)
    events = list(run.run(job))
    [failed] = [e for e in events if isinstance(e, run.Failed)]
    assert failed.reason.endswith("Strange: out of the blue")
    assert "photo.png" in failed.reason
    assert is_whole(folder / "other_painting.png")


def test_a_checkpoint_is_the_old_one_or_the_new(tmp_path):
    from tf_style.optimization import gatys

    path, faults = tmp_path / "a.checkpoint.npz", Faults(tmp_path)
    states = [gatys.State(i, np.full((1, 4, 4, 3), i, np.float32), 0.1) for i in (1, 2)]
    states = [state._replace(best=state.image) for state in states]
    with faults.watching():
        checkpoint.write(path, states[0], {})
    for fails_at in range(len(faults.asked)):
        with faults.watching(fails_at, raises(errno.ENOSPC)):
            try:
                checkpoint.write(path, states[1], {})
            except OSError as error:
                assert str(error).startswith(f"cannot write {path}: No space left")
        assert checkpoint.read(path, {}).index in (1, 2)
        assert [*tmp_path.iterdir()] == [path]
