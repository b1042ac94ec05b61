"""A film of a job: painted frame by frame, without flicker, and written as it goes.

Styles are encoded once. On the fast path, what the model measures of a frame is
smoothed over time, and what it painted is carried along with what moves. On the slow
path each frame starts from the one before, moved, and is held to it where the motion is
known, as in Ruder et al. (2016), "Artistic style transfer for videos",
https://arxiv.org/abs/1604.08610.
"""

import dataclasses
import math
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import images
from tf_style.fast import hub
from tf_style.images import masks
from tf_style.jobs import manifest, modes, pipeline, video_writer
from tf_style.jobs.events import Failed, Framed, Noted, Started, Written
from tf_style.optimization import gatys
from tf_style.video import flow, reader

# Share of the steps for a frame that starts from the one before, as in Ruder et al. A
# quarter of it holds as still, but hardly paints what comes into view.
LATER_STEPS = 0.4
GOES_ON = "the same command goes on from there"
# Seconds that a film may say it is longer than its pictures: sound often goes on.
MOST_LACKING_S = 0.5


class Shot(NamedTuple):
    """A frame on its way."""

    index: int
    frame: reader.Frame
    pixels: np.ndarray  # [1, H, W, 3]
    cut: bool  # a scene begins
    motion: flow.Motion | None  # since the frame before, where it is wanted


class Painted(NamedTuple):
    """Frames that were painted at once."""

    frames: list  # of index, `reader.Frame` and picture [1, H, W, 3]
    state: dict | None  # what later frames depend on, arrays by name; None: not all


def animate(task, count):
    """Paints and writes a film, or goes on with one that was stopped.

    What was finished when a frame turns out to be damaged, when anything else fails or
    Ctrl-C comes is a film too, unless a longer one stands there. The same task goes on
    from there, and also after the process was killed.

    Args:
        task: a `tasks.Task`.
        count: of all pictures and films of the job.

    Yields:
        What happens.
    """
    began = time.perf_counter()
    source, output = task.pair.content, task.pair.output
    trouble, frame, video, ends, stop = None, None, None, "", task.stop
    try:
        with (
            reader.opened(source, task.job.max_side) as found,
            video_writer.VideoWriter(output, found.rate, task.account) as video,
        ):
            if video.note:
                yield Noted(video.note)
            left = max(0, found.count - video.frames) or None
            yield Started(task.pair.index, count, output.name, left, film=True)
            try:
                yield from _shoot(task, found.frames, video)
            except Exception as error:
                trouble, frame = error, video.frames
            # Where one file cannot be written, others shall not be touched.
            if video.frames and not isinstance(trouble, OSError):
                whole = not (stop.requested or trouble)
                ends = yield from _finish(task, video, found, began, whole)
    except Exception as error:
        trouble = error
    if video and video.committed and not ends:
        ends = f"{video.committed} frames are in {video.folder}, and {GOES_ON}"
    if trouble:
        reason = "; ".join(filter(None, [_explain(trouble, frame), ends]))
        yield Failed(reason if source in reason else f"{source}: {reason}")
    elif stop.requested and ends:
        yield Noted(ends)


def count_first_frames(task):
    """Returns how many times as long as its first frame alone a film takes."""
    with reader.opened(task.pair.content) as found:
        frames = found.count or round(found.duration * found.rate)
    later = LATER_STEPS if modes.of(task.job).HAS_STEPS else 1
    return 1 + later * max(0, frames - 1)


def _shoot(task, frames, video):
    """Paints frames, and has them written in a thread meanwhile."""
    painted = _paint_slow if modes.of(task.job).HAS_STEPS else _paint_fast
    with (
        pipeline.ahead(_look_at(frames, task, video.frames)) as shots,
        pipeline.Writer(pipeline.AHEAD) as writer,
    ):
        for found in painted(task, shots, video.state):
            if isinstance(found, gatys.Step):
                yield found
                continue
            yield from writer.add(_write, video, found)
            for _ in found.frames:
                yield Framed()
        yield from writer.finish()


def _write(video, painted):
    for index, frame, picture in painted.frames:
        if not np.isfinite(picture).all():
            raise ValueError(f"frame {index} has values that are not finite")
        image = images.to_uint8(picture[0])
        video.add(index, image, frame.time, frame.duration)
    if painted.state is not None:
        video.keep(painted.state)
    return []


def _look_at(frames, task, done):
    """Yields the `Shot` of each frame, but of the first that are `done`."""
    before, with_flow = None, task.job.flow
    for index, frame in enumerate(frames):
        if task.stop.requested:
            return
        if index >= done:
            cut = before is None or flow.is_cut(before, frame.image)
            motion = None
            if with_flow and not cut:
                motion = flow.measure(before, frame.image)
            yield Shot(index, frame, images.to_float(frame.image), cut, motion)
        before = frame.image


def _paint_fast(task, shots, state):
    """Yields `Painted` frames; several are painted at once.

    Args:
        task: as of `animate`.
        shots: of the frames to paint.
        state: of the last of the frames before; empty if there are none.
    """
    config, code, regions = task.job.hub, task.encode(), _regions(task)
    blend, memory = flow.Blend(state.get("before")), _unflatten(state)
    pixels = task.content.pixels.size // 3
    room = max(1, task.models["hub"].batch_pixels // pixels)

    def paint(batch):
        contents, done = [shot.pixels for shot in batch], []
        try:
            painted = hub.stylize_batch(
                contents, code, config, masks=regions, memory=memory
            )
            for shot, picture in zip(batch, painted):
                if task.job.flow:
                    picture = blend.add(picture, shot.motion)
                picture = hub.finish(picture, shot.pixels, config, masks=regions)
                done.append((shot.index, shot.frame, picture))
        except Exception:
            yield Painted(done, None)
            raise
        before = {} if blend.before is None else {"before": blend.before}
        yield Painted(done, before | _flatten(memory))

    batch, trouble = [], None
    while not task.stop.requested:
        try:
            shot = next(shots, None)
        except Exception as error:
            shot, trouble = None, error
        if batch and (shot is None or shot.cut or len(batch) == room):
            yield from paint(batch)
            batch = []
        if trouble:  # Only now: what came before it shall not be lost.
            raise trouble
        if shot is None:
            return
        if shot.cut:
            memory.clear()
        batch.append(shot)


def _flatten(memory):
    """Returns what a model remembers of frames as arrays by name."""
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


def _paint_slow(task, shots, state):
    """Yields the steps of each frame, and then the `Painted` frame.

    Args:
        task, shots, state: as of `_paint_fast`.
    """
    first, style = task.job.gatys, task.encode_slow()
    later = dataclasses.replace(
        first, steps=math.ceil(LATER_STEPS * first.steps), scales=1, init="before"
    )
    regions, before = _regions(task), state.get("before")
    for shot in shots:
        if task.stop.requested:
            return
        config, init, prior = later, before, None
        if before is None or shot.cut:
            config, init = first, task.init.pixels if task.init else None
            if "hub" in task.job.methods:
                init = hub.stylize(
                    shot.pixels, task.encode(), task.job.hub, masks=regions
                )
        elif shot.motion:
            moved, trust = flow.carry(before, shot.motion), shot.motion.trust[None]
            prior = gatys.Prior(moved, trust)
            # What comes into view must not start from what hid it.
            init = shot.pixels + trust * (moved - shot.pixels)
        for step in gatys.iterate(
            shot.pixels,
            style,
            config,
            masks=regions,
            init=init,
            prior=prior,
            stop=task.stop,
        ):
            yield step
        if task.stop.requested:  # It is not done, and begun anew next time.
            return
        before = step.best.numpy()
        picture = gatys.finish(step, shot.pixels, config, masks=regions)
        yield Painted([(shot.index, shot.frame, picture)], {"before": before})


def _regions(task):
    """Returns the masks at the size of the frames."""
    given = [mask.pixels for mask in task.masks]
    return masks.fit(given, task.content.pixels, len(task.styles))


def _finish(task, video, found, began, whole):
    """Has what there is of a film written, and its manifest.

    Args:
        task, video: the `paint.Task`, and the `video_writer.VideoWriter` of its frames.
        found: the `reader.Film` that they were made of.
        began: when, on `time.perf_counter`.
        whole: whether all frames are there.

    Returns:
        Where a film that is not whole ends, and how it goes on.
    """
    source, output = task.pair.content, task.pair.output
    video.commit()
    if not whole:
        there = _count_frames(output)
        if there == video.frames:
            return f"{output} keeps its {there} frames, and {GOES_ON}"
        if there is None or there > video.frames:
            kept = "stays as it was"
            if there:
                kept = f"keeps the {there} frames of an earlier run"
            if video.committed:
                new = f"the {video.committed} new ones are in {video.folder}"
                kept += f"; {new}, and {GOES_ON}"
            return f"{output} {kept}"
    seconds = time.perf_counter() - began
    facts = {"frames": video.frames, "interrupted": not whole}
    with task.publishing([output], seconds, facts) as (temporary,):
        notes = [video.finish(images.fetch(source), temporary)]
    lacking = found.duration - float(video.end)
    if whole and lacking > MOST_LACKING_S:
        notes += [f"{source} has no pictures for its last {lacking:.1f} seconds"]
    if whole:
        video.remove()
    yield from map(Noted, filter(None, notes))
    yield Written(output, seconds)
    if whole:
        return ""
    goes_on = f", and {GOES_ON}" if video.committed else ""
    return f"{output} ends after {video.frames} frames{goes_on}"


def _count_frames(output):
    """Returns how many frames a film has that stands there.

    Returns:
        0 if there is none, None if it is finished or its manifest does not say.
    """
    if not output.exists():
        return 0
    account = manifest.find(output) or {}
    return account.get("frames") if account.get("interrupted") else None


def _explain(error, frame):
    """Returns in one line what went wrong, at a frame if that is not None."""
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return "not enough memory; make it smaller with --max_side"
    reason = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError, ImportError)):
        return reason
    # Nobody foresaw it, and some are as long as the graph that they tell of.
    place = "" if frame is None else f"frame {frame}: "
    return f"{place}{type(error).__name__}: {reason}"[:300]
