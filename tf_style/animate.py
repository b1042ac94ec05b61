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

from tf_style import (
    files,
    film,
    flow,
    gatys,
    hub,
    images,
    manifest,
    masks,
    pipeline,
    reel,
)
from tf_style.events import Failed, Framed, Noted, Started, Written

# Share of the steps for a frame that starts from the one before, as in Ruder et al. A
# quarter of it holds as still, but hardly paints what comes into view.
LATER_STEPS = 0.4
# Seconds that a film may say it is longer than its pictures: sound often goes on.
MOST_LACKING_S = 0.5


class Shot(NamedTuple):
    """A frame on its way."""

    frame: film.Frame
    pixels: np.ndarray  # [1, H, W, 3]
    cut: bool  # a scene begins
    motion: flow.Motion | None  # since the frame before, where it is wanted


def animate(task, code, count):
    """Paints and writes a film.

    What was finished when a frame turns out to be damaged, the disk is full or Ctrl-C
    comes is a film too.

    Args:
        task: a `paint.Task`.
        code: returns the `hub.StyleCode` of the task.
        count: of all pictures and films of the job.

    Yields:
        What happens.

    Raises:
        KeyboardInterrupt: after what was finished is written.
    """
    began = time.perf_counter()
    source, output = task.pair.content, task.pair.output
    interrupted, trouble = False, ""
    try:
        with (
            film.opened(source, task.job.max_side) as found,
            reel.Take(output, found.rate) as take,
        ):
            yield Started(
                task.pair.index, count, output.name, found.count or None, film=True
            )
            try:
                yield from _shoot(task, code, found.frames, take)
            except KeyboardInterrupt:
                interrupted = True
            except (MemoryError, tf.errors.ResourceExhaustedError):
                trouble = "not enough memory; make it smaller with --max_side"
            except (ValueError, OSError, tf.errors.OpError) as error:
                trouble = " ".join(str(error).split())
            if take.count:
                whole = not (interrupted or trouble)
                yield from _finish(task, take, found, began, whole)
                if trouble:
                    trouble += f"; {output} ends after {take.count} frames"
    except (ValueError, OSError, ImportError) as error:
        trouble = " ".join(str(error).split())
    if trouble:
        yield Failed(trouble if source in trouble else f"{source}: {trouble}")
    if interrupted:
        raise KeyboardInterrupt


def count_first_frames(task):
    """Returns how many times as long as its first frame alone a film takes."""
    with film.opened(task.pair.content) as found:
        frames = found.count or round(found.duration * found.rate)
    later = 1 if task.job.mode == "hub" else LATER_STEPS
    return 1 + later * max(0, frames - 1)


def _shoot(task, code, frames, take):
    """Paints frames, and has them written in a thread meanwhile."""
    painted = _paint_fast if task.job.mode == "hub" else _paint_slow
    with (
        pipeline.ahead(_look_at(frames, task.job.flow)) as shots,
        pipeline.Writer(pipeline.AHEAD) as writer,
    ):
        for found in painted(task, code, shots):
            if isinstance(found, gatys.Step):
                yield found
                continue
            (_, time, duration), picture = found
            yield from writer.add(_write, take, picture, time, duration)
            yield Framed()
        yield from writer.finish()


def _write(take, picture, time, duration):
    if take.stopped:  # After one that failed, others may be waiting.
        return []
    take.stopped = True
    if not np.isfinite(picture).all():
        raise ValueError("a frame has values that are not finite")
    take.add(images.to_uint8(picture[0]), time, duration)
    take.stopped = False
    return []


def _look_at(frames, with_flow):
    """Yields the `Shot` of each frame."""
    before = None
    for frame in frames:
        cut = before is None or flow.is_cut(before, frame.image)
        motion = flow.measure(before, frame.image) if with_flow and not cut else None
        yield Shot(frame, images.to_float(frame.image), cut, motion)
        before = frame.image


def _paint_fast(task, code, shots):
    """Yields each frame with its picture; several are painted at once."""
    config, code, blend, memory = task.job.hub, code(), flow.Blend(), {}
    regions = _regions(task)
    pixels = task.content.pixels.size // 3
    room = max(1, task.models["hub"].batch_pixels // pixels)

    def paint(batch):
        contents = [shot.pixels for shot in batch]
        painted = hub.stylize_batch(
            contents, code, config, masks=regions, memory=memory
        )
        for shot, picture in zip(batch, painted):
            if task.job.flow:
                picture = blend.add(picture, shot.motion)
            yield shot.frame, hub.finish(picture, shot.pixels, config, masks=regions)

    batch, trouble = [], None
    while True:
        try:
            shot = next(shots, None)
        except (ValueError, OSError) as error:
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


def _paint_slow(task, code, shots):
    """Yields the steps of each frame, and then the frame with its picture."""
    first, styles = task.job.gatys, [style.pixels for style in task.styles]
    later = dataclasses.replace(
        first, steps=math.ceil(LATER_STEPS * first.steps), scales=1, init="before"
    )
    regions, objectives, before = _regions(task), {}, None
    for shot in shots:
        config, init, prior = later, before, None
        if before is None or shot.cut:
            config, init = first, task.init.pixels if task.init else None
            if "hub" in task.job.engines:
                init = hub.stylize(shot.pixels, code(), task.job.hub, masks=regions)
        elif shot.motion:
            moved, trust = flow.carry(before, shot.motion), shot.motion.trust[None]
            prior = gatys.Prior(moved, trust)
            # What comes into view must not start from what hid it.
            init = shot.pixels + trust * (moved - shot.pixels)
        for step in gatys.iterate(
            shot.pixels,
            styles,
            config,
            masks=regions,
            init=init,
            prior=prior,
            objectives=objectives,
        ):
            yield step
        before = step.best.numpy()
        yield shot.frame, gatys.finish(step, shot.pixels, config, masks=regions)


def _regions(task):
    """Returns the masks at the size of the frames."""
    given = [mask.pixels for mask in task.masks]
    return masks.fit(given, task.content.pixels, len(task.styles))


def _finish(task, take, found, began, whole):
    """Has what there is of a film written, and its manifest.

    Args:
        task, take: the `paint.Task`, and the `reel.Take` of its frames.
        found: the `film.Film` that they were made of.
        began: when, on `time.perf_counter`.
        whole: whether all frames are there.
    """
    source, output = task.pair.content, task.pair.output
    notes = [take.finish(images.fetch(source))]
    lacking = found.duration - float(take.end)
    if whole and lacking > MOST_LACKING_S:
        notes += [f"{source} has no pictures for its last {lacking:.1f} seconds"]
    yield from map(Noted, filter(None, notes))
    seconds = time.perf_counter() - began
    yield Written(output, seconds)
    facts = {"frames": take.count, "interrupted": not whole, "seconds": seconds}
    facts |= {"output": output.name, "files": {output.name: files.sha256(output)}}
    size = list(task.content.pixels.shape[2:0:-1])
    manifest._write(manifest.path_of(output), task.account | facts | {"size": size})
