"""Stylizes a film of a job while reading and writing it, and handles what can fail."""

import math
import time

import numpy as np
import tensorflow as tf

from tf_style import images
from tf_style.jobs import manifest, modes, pipeline, video_writer
from tf_style.jobs.events import Failed, Framed, Info, Started, Written
from tf_style.optimization import engine
from tf_style.system.errors import InvalidInput
from tf_style.video import reader, stylize

GOES_ON = "the same command continues from there"
# Most frames that are read and whose motion is found while a keyframe is painted.
MAX_AHEAD = 32
# Tolerated seconds without pictures at the end of a film: sound is often longer.
MAX_LACKING_S = 0.5


def make(task, count):
    """Stylizes and writes a film, or continues an interrupted one.

    If a frame is damaged, anything else fails or Ctrl-C comes, the finished part
    becomes a film too, unless a longer one exists. The same task continues from there,
    also after the process was killed.

    Args:
        task: a `tasks.Task`.
        count: number of pictures and films of the job.

    Yields:
        Events.
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
                yield Info(video.note)
            yield from map(Info, found.notes)
            left = max(0, found.count - video.frames) or None
            yield Started(task.pair.index, count, output.name, left, film=True)
            try:
                yield from _stylize(task, found.frames, video)
            except Exception as error:
                trouble, frame = error, video.frames
            # If one file cannot be written, do not touch the others.
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
        yield Info(ends)


def count_first_frames(task):
    """Returns the time of a film, as a multiple of that of its first frame."""
    with reader.opened(task.pair.content) as found:
        frames = found.count or round(found.duration * found.rate)
    others = max(0, frames - 1)
    if not modes.of(task.job).HAS_STEPS:
        return 1 + others
    keyframes = math.ceil(others / task.job.keyframes)
    between = others - keyframes
    return 1 + stylize.LATER_STEPS * keyframes + stylize.BETWEEN * between


def _stylize(task, frames, video):
    """Stylizes frames while a thread writes them."""
    mode = modes.of(task.job)
    keyframes = task.job.keyframes if mode.HAS_STEPS else 1
    shots = stylize.look_at(frames, video.frames, task.job.flow, task.stop, keyframes)
    with (
        pipeline.ahead(shots, min(max(pipeline.AHEAD, keyframes), MAX_AHEAD)) as shots,
        pipeline.Writer(pipeline.AHEAD) as writer,
    ):
        for found in mode.stylize_film(task, shots, video.state):
            if isinstance(found, engine.Step):
                yield found
                continue
            yield from writer.add(_write, video, found)
            for _ in found.frames:
                yield Framed()
        yield from writer.finish()


def _write(video, stylized):
    for index, frame, picture in stylized.frames:
        if not np.isfinite(picture).all():
            raise InvalidInput(f"frame {index} has values that are not finite")
        image = images.to_uint8(picture[0])
        video.add(index, image, frame.time, frame.duration)
    if stylized.state is not None:
        video.keep(stylized.state)
    return []


def _finish(task, video, found, began, whole):
    """Writes the film of all finished frames, with its manifest.

    Args:
        task, video: the `tasks.Task`, and the `video_writer.VideoWriter` of its frames.
        found: the `reader.Film` of its source.
        began: start, by `time.perf_counter`.
        whole: whether all frames are finished.

    Returns:
        A note on where an incomplete film ends and how to continue it.
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
        end = found.plays, task.job.keep_location
        notes = [video.finish(images.fetch(source), temporary, *end)]
    lacking = found.duration - float(video.end)
    if whole and lacking > MAX_LACKING_S:
        notes += [f"{source} has no pictures for its last {lacking:.1f} seconds"]
    if whole:
        video.remove()
    yield from map(Info, filter(None, notes))
    yield Written(output, seconds)
    if whole:
        return ""
    goes_on = f", and {GOES_ON}" if video.committed else ""
    return f"{output} ends after {video.frames} frames{goes_on}"


def _count_frames(output):
    """Returns the number of frames of an existing film.

    Returns:
        0 if there is none; None if it is finished or its manifest does not say.
    """
    if not output.exists():
        return 0
    account = manifest.find(output) or {}
    return account.get("frames") if account.get("interrupted") else None


def _explain(error, frame):
    """Returns what went wrong as one line, naming the frame unless it is None."""
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return "not enough memory; make it smaller with --max_side"
    reason = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError, ImportError)):
        return reason
    # Unexpected errors can be as long as the graph they describe.
    place = "" if frame is None else f"frame {frame}: "
    return f"{place}{type(error).__name__}: {reason}"[:300]
