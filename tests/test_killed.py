"""Killed at any moment and started again, a job ends as if nothing had happened."""

import contextlib
import dataclasses
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import films
import numpy as np
import pytest

from tf_style import images
from tf_style.config import HubConfig
from tf_style.jobs import manifest

MOMENTS = 20


@pytest.fixture
def do(tmp_path):
    """A function that does a job in a process of its own, to be killed at a moment."""
    arguments = [sys.executable, Path(__file__).with_name("killing.py")]
    process = subprocess.Popen(
        [*arguments, tmp_path / "out"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def do(job, moment=-1):
        (tmp_path / "job").write_bytes(pickle.dumps(job))
        process.stdin.write(f"{tmp_path / 'job'} {moment}\n")
        process.stdin.flush()
        status, asked = map(int, process.stdout.readline().split())
        assert status == (0 if moment < 0 else -signal.SIGKILL)
        return asked

    yield do
    process.stdin.close()
    assert process.wait() == 0


def results(folder):
    """Returns the bytes of all that is there but manifests, which have times."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".json"
    }


def clear(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def check_all_moments(job, do, folder, again):
    """Kills a job at moments from the first to the last, and starts it again."""
    count = do(job)
    undisturbed = results(folder)
    for moment in np.linspace(0, count - 1, MOMENTS).astype(int):
        clear(folder)
        do(job, moment)
        for path in folder.glob("[!.]*.json"):
            manifest.check_ours([path.with_suffix("")])
        do(again)
        assert results(folder) == undisturbed, f"killed at {moment} of {count}"
        assert not [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.mark.slow
def test_a_folder(slow_job, stub_model, do, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in "abcd":
        path = tmp_path / "photos" / f"{name}.png"
        images.save_image(path, rng.random((1, 20, 30, 3), np.float32))
    job = dataclasses.replace(
        slow_job,
        mode="hub",
        contents=(str(tmp_path / "photos"),),
        hub=HubConfig(model=str(stub_model)),
    )
    check_all_moments(job, do, tmp_path / "out", job)


@pytest.mark.slow
def test_a_run_on_the_slow_path(slow_job, do, tmp_path):
    job = dataclasses.replace(
        slow_job,
        output=f"{slow_job.output}/picture.png",
        checkpoint_every=1e-9,
        gatys=dataclasses.replace(slow_job.gatys, steps=4, deterministic=True),
    )
    again = dataclasses.replace(job, resume=True)
    check_all_moments(job, do, tmp_path / "out", again)


@pytest.mark.slow
def test_a_film(slow_job, stub_model, do, tmp_path):
    pytest.importorskip("av")
    pytest.importorskip("cv2")
    films.write(tmp_path / "film.mkv", films.pan(9, 48, 64))
    job = dataclasses.replace(
        slow_job,
        mode="hub",
        contents=(str(tmp_path / "film.mkv"),),
        output=f"{slow_job.output}/out.mp4",
        hub=HubConfig(model=str(stub_model)),
    )
    check_all_moments(job, do, tmp_path / "out", job)
