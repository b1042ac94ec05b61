"""The local executor: paints in this process, and reads and writes meanwhile."""

import collections
import functools

from tf_style.jobs import modes, pipeline
from tf_style.jobs.events import Info
from tf_style.jobs.inputs import attempt, read
from tf_style.jobs.runner import Runner, settle


def stylize(job, pairs, style_cache, count, began, show, stop):
    """Paints pictures. While the fast method paints one, the next is read.

    Args:
        job: a `config.Job`.
        pairs: the `plan.Pair`s to paint, grouped by photo.
        style_cache: its `inputs.StyleCache`.
        count: number of pictures of the job, of which `pairs` may be a part.
        began: start of the job's time budget, by `time.monotonic`.
        show: called with the source and the pixels of each photo.
        stop: a `StopToken`; the current picture is then written as it is.

    Yields:
        Events.

    Returns:
        The paths of pictures that were written or existed, the value of `yield from`.

    Raises:
        ValueError, OSError: see `run.run`.
    """
    pairs_of = collections.defaultdict(list)
    for pair in pairs:
        pairs_of[pair.content].append(pair)
    read_content = functools.partial(read, job, "content", max_side=job.max_side)
    behind = pipeline.AHEAD if modes.of(job).IS_QUICK else 0
    runner, batch = None, []
    with (
        pipeline.read_ahead(read_content, pairs_of) as found,
        pipeline.Writer(behind) as writer,
    ):
        for source, result in found:
            if stop.requested:
                break
            if not (content := (yield from attempt(source, result))):
                continue
            show(source, content.pixels)
            # Loaded only now: with one bad picture, nobody should wait for a model.
            if not runner:
                job, notes = settle(job)
                yield from map(Info, notes)
                runner = Runner(job, style_cache, writer, count, began, stop)
            if batch and batch[0][1].pixels.shape != content.pixels.shape:
                yield from runner.make(batch)
                batch = []
            batch.append((pairs_of[source], content))
            if len(batch) == runner.room_for(content):
                yield from runner.make(batch)
                batch = []
        if batch and not stop.requested:
            yield from runner.make(batch)
        yield from writer.finish()
    return writer.written
