"""One job from inputs to files: every content in every style.

Reads pictures, has them painted, writes the results with a manifest beside each, and
tells its story in events: it prints nothing. One picture that fails does not stop the
others. While the fast path paints one, the next is read and the last one written.
"""

import collections
import functools
import time
from collections.abc import Iterator

from tf_style import album, gatys, pipeline, plan
from tf_style.events import Failed, Kept, Noted, Planned, Started, Written
from tf_style.inputs import Paintings, attempt, read
from tf_style.studio import Studio, settle


def run(
    job, began=None
) -> Iterator[Noted | Started | gatys.Step | Planned | Written | Kept | Failed]:
    """Does a `config.Job`.

    Args:
        job: what to do.
        began: when its time budget began, on `time.monotonic`; None: now.

    Yields:
        What happens, as it happens.

    Raises:
        ValueError, OSError: nothing can be painted: bad settings, no model, no place
            to write.
        KeyboardInterrupt: after the best picture so far is written.
    """
    began = time.monotonic() if began is None else began
    contents, styles = plan.expand(job.contents), plan.expand(job.styles)
    pairs = plan.assign(job, contents, styles)
    pairs_of = collections.defaultdict(list)
    for pair in pairs:
        pairs_of[pair.content].append(pair)
    paintings, shown = Paintings(job, styles), album.Album(job, pairs)
    for style in styles:
        picture = yield from attempt(paintings.read, style)
        if picture:
            paintings.readable.add(style)
            shown.add(style, picture.pixels)
    if not any(paintings.readable >= {*pair.styles} for pair in pairs):
        return
    read_content = functools.partial(read, job, "content", max_side=job.max_side)
    behind = pipeline.AHEAD if job.mode == "hub" else 0
    studio, batch = None, []
    with (
        pipeline.read_ahead(read_content, contents) as found,
        pipeline.Writer(behind) as writer,
    ):
        for source, result in found:
            if not (content := (yield from attempt(result))):
                continue
            shown.add(source, content.pixels)
            # Here and not earlier: who has one bad picture need not wait for a model.
            if not studio:
                job, notes = settle(job)
                yield from map(Noted, notes)
                studio = Studio(job, paintings, writer, len(pairs), began)
            if batch and batch[0][1].pixels.shape != content.pixels.shape:
                yield from studio.make(batch)
                batch = []
            batch.append((pairs_of[source], content))
            if len(batch) == studio.room_for(content):
                yield from studio.make(batch)
                batch = []
        if batch:
            yield from studio.make(batch)
        yield from writer.finish()
    if not job.dry_run:
        yield from shown.write(writer.written)
