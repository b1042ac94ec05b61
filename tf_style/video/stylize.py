"""Stylizes films frame by frame, without flicker.

Styles are encoded once. The fast method smooths the model's statistics over time, and
its strokes follow the motion. With slow methods, each frame starts from the previous
one, moved, and is tied to it where the motion is known, as in Ruder et al. (2016),
"Artistic style transfer for videos",
https://arxiv.org/abs/1604.08610.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from tf_style import images
from tf_style.fast import hub
from tf_style.optimization.method import Prior
from tf_style.video import flow, reader

# Share of the steps for a frame that starts from the previous one, as in Ruder et al. A
# quarter of that is as still, but hardly paints what comes into view.
LATER_STEPS = 0.4


class Shot(NamedTuple):
    """A frame to stylize."""

    index: int
    frame: reader.Frame
    pixels: np.ndarray  # [1, H, W, 3]
    cut: bool  # whether a scene starts
    motion: flow.Motion | None  # since the previous frame, if requested


class Stylized(NamedTuple):
    """Frames of one batch."""

    frames: list  # of index, `reader.Frame` and picture [1, H, W, 3]
    state: dict | None  # state for later frames, arrays by name; None: incomplete


def look_at(frames, done, with_flow, stop):
    """Yields the `Shot` of each `reader.Frame`, without the first `done`.

    Args:
        frames: of the film, from its first one on.
        done: number of frames to skip.
        with_flow: whether to measure their motion.
        stop: a `StopToken`.
    """
    before = None
    for index, frame in enumerate(frames):
        if stop.requested:
            return
        if index >= done:
            cut = before is None or flow.is_cut(before, frame.image)
            motion = None
            if with_flow and not cut:
                motion = flow.measure(before, frame.image)
            yield Shot(index, frame, images.to_float(frame.image), cut, motion)
        before = frame.image


def by_hub(shots, code, config, state, *, masks, with_flow, at_once, stop):
    """Stylizes frames with the fast method, in batches.

    Args:
        shots: an iterator of the `Shot`s to stylize.
        code: the `hub.StyleCode` of the styles.
        config: a `HubConfig`.
        state: state of the previous batch; empty if there is none.
        masks: masks in the size of the frames.
        with_flow: whether strokes follow the motion.
        at_once: largest batch.
        stop: a `StopToken`.

    Yields:
        `Stylized` frames.
    """
    blend, memory = flow.Blend(state.get("before")), _unflatten(state)

    def stylize(batch):
        contents, done = [shot.pixels for shot in batch], []
        motions = [shot.motion for shot in batch]
        try:
            pictures = hub.stylize_batch(
                contents, code, config, masks=masks, memory=memory, motions=motions
            )
            for shot, picture in zip(batch, pictures):
                if with_flow:
                    picture = blend.add(picture, shot.motion)
                picture = hub.finish(picture, shot.pixels, config, masks=masks)
                done.append((shot.index, shot.frame, picture))
        except Exception:
            yield Stylized(done, None)
            raise
        before = {} if blend.before is None else {"before": blend.before}
        yield Stylized(done, before | _flatten(memory))

    batch, trouble = [], None
    while not stop.requested:
        try:
            shot = next(shots, None)
        except Exception as error:
            shot, trouble = None, error
        if batch and (shot is None or shot.cut or len(batch) == at_once):
            yield from stylize(batch)
            batch = []
        if trouble:  # Only now, so that earlier frames are not lost.
            raise trouble
        if shot is None:
            return
        if shot.cut:
            memory.clear()
        batch.append(shot)


def _flatten(memory):
    """Returns a model's memory of frames as arrays by name."""
    return {
        f"memory/{index}/{name}": np.asarray(value)
        for index, values in memory.items()
        for name, value in values.items()
    }


def _unflatten(state):
    """Undoes `_flatten`."""
    memory = {}
    for path, value in state.items():
        kind, *rest = path.split("/")
        if kind == "memory":
            memory.setdefault(int(rest[0]), {})[rest[1]] = value
    return memory


def by_optimizing(shots, method, style, config, state, *, masks, init_of, stop):
    """Stylizes frames with a slow method.

    Args:
        shots, state, masks, stop: see `by_hub`.
        method: the module of a slow method, such as `gatys`.
        style: result of its `encode`.
        config: config of the method, for the first frame of a scene.
        init_of: returns the picture to start a scene from, given its first frame
            [1, H, W, 3]; None: as the config says.

    Yields:
        The `engine.Step`s of each frame, and then the `Stylized` frame.
    """
    later = dataclasses.replace(
        config, steps=math.ceil(LATER_STEPS * config.steps), scales=1, init="before"
    )
    before = state.get("before")
    for shot in shots:
        if stop.requested:
            return
        settings, init, prior = later, before, None
        if before is None or shot.cut:
            settings, init = config, init_of(shot.pixels)
        elif shot.motion:
            moved, trust = flow.carry(before, shot.motion), shot.motion.trust[None]
            prior = Prior(moved, trust)
            # Areas that come into view must not start from what hid them.
            fresh = shot.pixels
            if config.init == "builtin":
                fresh = method.first_picture(shot.pixels, style, config)
            init = fresh + trust * (moved - fresh)
        for step in method.iterate(
            shot.pixels, style, settings, masks=masks, init=init, prior=prior, stop=stop
        ):
            yield step
        if stop.requested:  # The frame is incomplete, and starts over next time.
            return
        before = step.best.numpy()
        picture = method.finish(step, shot.pixels, settings, masks=masks)
        yield Stylized([(shot.index, shot.frame, picture)], {"before": before})
