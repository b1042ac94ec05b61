"""Stylizes films frame by frame, without flicker.

Styles are encoded once. The fast method smooths the model's statistics over time, and
its strokes follow the motion. With slow methods, each frame starts from the previous
one, moved, and is tied to it where the motion is known, as in Ruder et al. (2016),
"Artistic style transfer for videos",
https://arxiv.org/abs/1604.08610.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np

from tf_style import images
from tf_style.config import HubConfig
from tf_style.fast import hub
from tf_style.fast.builtin import steady
from tf_style.optimization.method import Prior
from tf_style.video import flow, reader

# Share of the steps for a frame that starts from the previous one, as in Ruder et al. A
# quarter of that is as still, but hardly paints what comes into view.
LATER_STEPS = 0.4
# Most frames between keyframes from one that the fast model fills to the next.
FILL_EVERY = 6
# Longest side in pixels at which what is lacking in the others is painted. In smaller
# films it would flicker if it were shrunk.
RIMS_SIDE = 640
# Time of a frame between keyframes, of that of a scene's first.
BETWEEN = 0.07


class Shot(NamedTuple):
    """A frame to stylize."""

    index: int
    frame: reader.Frame
    cut: bool  # whether a scene starts
    # Since the previous frame, if requested: between keyframes, where it is followed
    # over many frames, as from `flow.search`.
    motion: flow.Motion | tuple | None

    @property
    def pixels(self):
        """The frame as [1, H, W, 3] in [0, 1]."""
        return images.to_float(self.frame.image)


class Stylized(NamedTuple):
    """Frames of one batch."""

    frames: list  # of index, `reader.Frame` and picture [1, H, W, 3]
    state: dict | None  # state for later frames, arrays by name; None: incomplete


def look_at(frames, done, with_flow, stop, keyframes=1):
    """Yields the `Shot` of each `reader.Frame`, without the first `done`.

    Args:
        frames: of the film, from its first one on.
        done: number of frames to skip.
        with_flow: whether to measure their motion.
        stop: a `StopToken`.
        keyframes: see `by_optimizing`.
    """
    measure = flow.measure if keyframes == 1 else flow.search
    before = None
    for index, frame in enumerate(frames):
        if stop.requested:
            return
        if index >= done:
            cut = before is None or flow.is_cut(before, frame.image)
            motion = None
            if with_flow and not cut:
                motion = measure(before, frame.image)
            yield Shot(index, frame, cut, motion)
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
    shots, method, style, config, state, *, first, masks, keyframes, init_of, stop
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
        first: the first frame of the film, [1, H, W, 3].
        keyframes: distance between keyframes, in frames; 1 stylizes all frames.
        init_of: returns the picture to start a scene from, given its first frame
            [1, H, W, 3]; None: as the config says.

    Yields:
        The `engine.Step`s of each keyframe, and then those before it and itself,
        `Stylized`.
    """
    later = dataclasses.replace(
        config, steps=math.ceil(LATER_STEPS * config.steps), scales=1, init="before"
    )
    fast, finds = _FastModel(style, first, masks), _Finds(state)
    before, image = state.get("before"), state.get("frame")
    for group in _group(shots, keyframes):
        if stop.requested:
            return
        shot = group[-1]
        pixels, motion = shot.pixels, shot.motion
        frames, since, until = [image, *(s.frame.image for s in group)], [], []
        if keyframes > 1 and not shot.cut:
            since, until = flow.between(frames, [s.motion for s in group])
            motion = flow.enlarge(since[-1], *image.shape[:2])
        settings, init, prior = later, before, None
        if before is None or shot.cut:
            settings, init, finds = config, init_of(pixels), _Finds({})
        else:
            # What comes into view must not start from what hid it.
            fresh = fast.stylize(pixels) if config.init == "builtin" else pixels
            if motion:
                moved, trust = flow.carry(before, motion), motion.trust[None]
                prior = Prior(moved, trust, finds.move(motion))
            else:
                moved, trust = before, flow.stillness(image, shot.frame.image)[None]
            init = fresh + trust * (moved - fresh)
        for step in method.iterate(
            pixels, style, settings, masks=masks, init=init, prior=prior, stop=stop
        ):
            yield step
        if stop.requested:  # The frame is incomplete, and starts over next time.
            return
        after = step.best.numpy()
        finds.update(step.found)
        if len(group) > 1:
            shown = _Between(frames, group, [before, after], (since, until), fast)
            for number, found in enumerate(group[:-1], 1):
                picture = fast.finish(shown.picture(number), found.pixels)
                yield Stylized([(found.index, found.frame, picture)], None)
                if stop.requested:
                    return
        before, image = after, shot.frame.image
        picture = method.finish(step, pixels, settings, masks=masks)
        done = [(shot.index, shot.frame, picture)]
        yield Stylized(done, {"before": before, "frame": image} | finds.state())


class _Finds:
    """What each place of a frame found in the paintings, which moves with the film.

    Args:
        state: empty, or with the result of `state` of an earlier run.
    """

    def __init__(self, state):
        self._found = _in_order(state, "found")  # of each layer, int32 [R, h, w]
        # See `steady.carry`; [R, h, w, 2].
        self._offsets = _in_order(state, "offsets")

    def move(self, motion):
        """Moves them to the next frame; returns them as `Prior.found`."""
        height = motion.trust.shape[0]
        for index, found in enumerate(self._found):
            # Layers are halved, and rounded down, some times.
            side = 1 << (height // found.shape[1]).bit_length() - 1
            regions = [
                steady.carry(region[None], offsets, motion, side)
                for region, offsets in zip(found, self._offsets[index])
            ]
            self._found[index] = np.concatenate([places for places, _ in regions])
            self._offsets[index] = np.stack([offsets for _, offsets in regions])
        return self._found

    def update(self, found):
        """Takes over `Step.found` of the frame's last step."""
        moved, self._found = self._found, [*map(np.asarray, found)]
        for index, found in enumerate(self._found):
            offsets = np.zeros([*found.shape, 2], np.float32)
            if index < len(moved) and moved[index].shape == found.shape:
                kept = found == moved[index]
                offsets = self._offsets[index] * kept[..., None]
            self._offsets[index : index + 1] = [offsets]

    def state(self):
        """Returns what a later run needs, as arrays by name."""
        pairs = {"found": self._found, "offsets": self._offsets}
        return {
            f"{name}/{index}": values
            for name, layers in pairs.items()
            for index, values in enumerate(layers)
        }


def _in_order(state, name):
    """Returns the arrays whose names are this and a number."""
    count = sum(path.startswith(f"{name}/") for path in state)
    return [state[f"{name}/{index}"] for index in range(count)]


class _FastModel:
    """The built-in model, with the styles and colours of a slow method.

    Args:
        style: the `optimization.style.Style`.
        first: the first frame of the film, [1, H, W, 3]; styles take on its colours if
            the config says so.
        masks: masks in the size of the frames.
    """

    def __init__(self, style, first, masks):
        self._config, self._masks = HubConfig.builtin_as(style.config), masks
        self._encode = functools.cache(
            lambda: hub.encode(style.paintings, self._config, content=first)
        )

    def stylize(self, pixels, scale=1.0):
        """Returns the stylized frame, [1, H, W, 3], painted at a scale of its size."""
        size = pixels.shape[1:3]
        scaled = images.resize(pixels, *(max(1, round(scale * side)) for side in size))
        (picture,) = hub.stylize_batch(
            [scaled], self._encode(), self._config, masks=self._masks
        )
        return images.resize(picture, *size)

    def finish(self, picture, pixels):
        """Applies preserved colours and masks; see `hub.finish`."""
        return hub.finish(picture, pixels, self._config, masks=self._masks)


class _Between:
    """The frames between two keyframes.

    Where neither keyframe shows what is there, every few frames come from the fast
    model, and the others from these.

    Args:
        frames: from the one keyframe to the other, uint8 [H, W, 3].
        shots: the `Shot`s after the first.
        keyframes: the first and the last of them, stylized, [1, H, W, 3].
        motions: what `flow.between` returns for all.
        fast: a `_FastModel`.
    """

    def __init__(self, frames, shots, keyframes, motions, fast):
        self._frames, self._shots, self._fast = frames, shots, fast
        self._motions, self._last = motions, len(shots)
        parts = max(2, math.ceil(self._last / FILL_EVERY))
        self._every = math.ceil(self._last / parts)
        self._filled = dict(zip((0, self._last), keyframes))
        self._near = {}  # what `flow.between` returns, by the number it starts at

    def picture(self, number):
        """Returns the picture of a frame, [1, H, W, 3]."""
        if number not in self._filled:
            picture, trust = self._mix(0, self._last, number, self._motions)
            if flow.has_holes(trust):
                fill = self._fill(number, trust)
                picture = fill + trust * (picture - fill)
            if number % self._every:
                return picture
            self._filled[number] = picture
        return self._filled[number]

    def _fill(self, number, trust):
        """Returns what to show where the keyframes are not trusted."""
        begin = number - number % self._every
        end = min(begin + self._every, self._last)
        if begin == number:
            return self._fast.stylize(self._shots[number - 1].pixels)
        if begin not in self._near:
            displacements = [shot.motion for shot in self._shots[begin:end]]
            near = flow.between(self._frames[begin : end + 1], displacements)
            self._near = {begin: near}
        fill, near_trust = self._mix(begin, end, number, self._near[begin])
        if flow.has_holes(np.maximum(trust, near_trust)):
            # These are rims of what moves fast.
            pixels = self._shots[number - 1].pixels
            scale = min(1, RIMS_SIDE / max(pixels.shape[1:3]))
            fresh = self._fast.stylize(pixels, scale)
            fill = fresh + near_trust * (fill - fresh)
        return fill

    def _mix(self, begin, end, number, motions):
        since, until = motions
        return flow.interpolate(
            self.picture(begin),
            self.picture(end),
            since[number - begin - 1],
            until[number - begin],
            (number - begin) / (end - begin),
        )


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
