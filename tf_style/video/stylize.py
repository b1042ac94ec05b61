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
from tf_style.config import HubConfig
from tf_style.fast import hub
from tf_style.optimization.method import Prior
from tf_style.video import flow, reader

# Share of the steps for a frame that starts from the previous one, as in Ruder et al. A
# quarter of that is as still, but hardly paints what comes into view.
LATER_STEPS = 0.4
# Time of a frame between keyframes, of that of a scene's first.
BETWEEN = 0.07


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


def by_optimizing(
    shots, method, style, config, state, *, masks, keyframes, init_of, stop
):
    """Stylizes frames with a slow method: all of them, or keyframes.

    Keyframes are the first and last frame of a scene and every N-th in between. The
    frames between two keyframes are warped from both, and come from the fast model
    where neither shows what is there.

    Args:
        shots, state, masks, stop: see `by_hub`.
        method: the module of a slow method, such as `gatys`.
        style: result of its `encode`.
        config: config of the method, for the first frame of a scene.
        keyframes: distance between keyframes, in frames; 1 stylizes all frames.
        init_of: returns the picture to start a scene from, given its first frame
            [1, H, W, 3]; None: as the config says.

    Yields:
        The `engine.Step`s of each keyframe, and then it and those before it,
        `Stylized`.
    """
    later = dataclasses.replace(
        config, steps=math.ceil(LATER_STEPS * config.steps), scales=1, init="before"
    )
    before, image = state.get("before"), state.get("frame")
    for group in _group(shots, keyframes):
        if stop.requested:
            return
        shot = group[-1]
        motion, since, until = shot.motion, [], []
        if keyframes > 1 and not shot.cut:
            since, until = flow.between([image, *(s.frame.image for s in group)])
            motion = since.pop()
        settings, init, prior = later, before, None
        if before is None or shot.cut:
            settings, init = config, init_of(shot.pixels)
        else:
            # What comes into view must not start from what hid it.
            fresh = shot.pixels
            if config.init == "builtin":
                fresh = method.first_picture(shot.pixels, style, config)
            if motion:
                moved, trust = flow.carry(before, motion), motion.trust[None]
                prior = Prior(moved, trust)
            else:
                moved, trust = before, flow.stillness(image, shot.frame.image)[None]
            init = fresh + trust * (moved - fresh)
        for step in method.iterate(
            shot.pixels, style, settings, masks=masks, init=init, prior=prior, stop=stop
        ):
            yield step
        if stop.requested:  # The frame is incomplete, and starts over next time.
            return
        after = step.best.numpy()
        done = [
            _interpolate(
                found, before, after, motions, index / len(group), style, masks
            )
            for index, (found, *motions) in enumerate(zip(group, since, until[1:]), 1)
        ]
        before, image = after, shot.frame.image
        picture = method.finish(step, shot.pixels, settings, masks=masks)
        done.append((shot.index, shot.frame, picture))
        yield Stylized(done, {"before": before, "frame": image})


def _interpolate(shot, before, after, motions, share, style, masks):
    """Returns a frame between two keyframes, as of `Stylized`.

    Args:
        shot: the `Shot`.
        before, after: the stylized keyframes, [1, H, W, 3].
        motions: the `flow.Motion`s since the one and until the other.
        share: of the way from one to the other.
        style: the `optimization.style.Style`.
        masks: see `by_hub`.
    """
    config = HubConfig.builtin_as(style.config)
    picture, trust = flow.interpolate(before, after, *motions, share)
    if flow.has_holes(trust):
        code = hub.encode(style.paintings, config, content=shot.pixels)
        (fresh,) = hub.stylize_batch([shot.pixels], code, config, masks=masks)
        picture = fresh + trust * (picture - fresh)
    picture = hub.finish(picture, shot.pixels, config, masks=masks)
    return shot.index, shot.frame, picture


def _group(shots, count):
    """Yields lists of up to so many `Shot`s of a scene, the first of it alone."""
    group = []
    try:
        for shot in shots:
            if group and (shot.cut or len(group) == count):
                yield group
                group = []
            group.append(shot)
            if shot.cut:
                yield group
                group = []
    except Exception:
        if group:  # What came before it shall not be lost.
            yield group
        raise
    if group:
        yield group
