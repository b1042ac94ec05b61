"""Measures the speed of films, relative to the bare model, and their flicker.

    python benchmarks/film.py [--model=builtin] [--side=384] [--frames=240]
    python benchmarks/film.py --mode=neighbors --side=192 --frames=12
    python benchmarks/film.py --mode=gatys --side=192 --frames=12

It renders a film from `examples/` with known motion: the camera pans and zooms, a ball
crosses, the sensor is noisy, and halfway there is a cut. Flicker is the mean difference
between a frame and the previous one, moved, in levels of 255, over everything visible
in both. Sharpness is the mean absolute Laplacian. Both are measured in the written
films.
"""

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import cv2
import memory
import numpy as np
from folder import EXAMPLES, call

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
    options = parser.parse_args()
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
        hub=HubConfig(model=options.model),
        gatys=GatysConfig(backbone="builtin"),
        neighbors=NeighborsConfig(backbone="builtin"),
    )


def _compare_speed(options, source, folder):
    config = HubConfig(model=options.model)
    frame = reader.load_first(source).pixels
    call(config, options.style, frame)
    for with_flow in (False, True):
        job = _job(options, source, folder, with_flow, f"speed_{with_flow}.mp4")
        before = call(config, options.style, frame)
        seconds = []
        for _ in range(2):  # The first job of a process compiles.
            Path(job.output).unlink(missing_ok=True)
            began = time.perf_counter()
            held = []
            for event in run.run(job):
                assert not isinstance(event, run.Failed), event
                if isinstance(event, run.Framed):
                    held.append(memory.resident())
            seconds.append((time.perf_counter() - began) / options.frames)
        bare = (before + call(config, options.style, frame)) / 2
        print(
            f"{'with' if with_flow else 'without'} flow {1 / seconds[1]:.1f} frames a "
            f"second, the bare model {1 / bare:.1f}: {bare / seconds[1]:.2f} "
            f"(first job of the process {1 / seconds[0]:.1f})"
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
    for _ in run.run(job):
        pass
    painted = [images.load_image(path)[0] for path in sorted(alone.glob("0*.png"))]
    _write(Path(folder, "alone.mp4"), map(images.to_uint8, painted))
    _report("each frame alone", Path(folder, "alone.mp4"), frames)
    for with_flow in (False, True):
        job = _job(options, source, folder, with_flow, f"film_{with_flow}.mp4")
        list(run.run(job))
        _report("with flow" if with_flow else "without flow", job.output, frames)


def _write(path, pictures):
    mp4 = writer.Mp4(path, RATE, writer.FROM_THE_START)
    for index, picture in enumerate(pictures):
        mp4.add(picture, index / RATE, 1 / RATE)
    mp4.close()


def _report(name, path, frames):
    with reader.opened(path) as found:
        painted = [frame.image / np.float32(255) for frame in found.frames]
    flicker = [
        np.abs(now - _take(before, frame.places))[frame.visible].mean()
        for before, now, frame in zip(painted, painted[1:], frames[1:])
        if frame.visible.any()
    ]
    sharpness = np.mean([np.abs(cv2.Laplacian(p, cv2.CV_32F)).mean() for p in painted])
    print(
        f"{name}: flicker {255 * np.mean(flicker):.2f}, sharpness {255 * sharpness:.1f}"
    )


if __name__ == "__main__":
    main()
