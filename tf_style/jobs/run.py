"""Runs a job from inputs to files: every content in every style.

It reads the styles, lets an executor paint the pictures and write each with a manifest,
and reports by events; it prints nothing. A picture that fails does not stop the others.
"""

import time
from collections.abc import Iterator

from tf_style import images
from tf_style.jobs import contact_sheet, plan, sweep
from tf_style.jobs.events import (
    Failed,
    Framed,
    Info,
    Planned,
    Skipped,
    Started,
    Written,
)
from tf_style.jobs.executors import local, ray_cluster
from tf_style.jobs.inputs import StyleCache, attempt
from tf_style.jobs.job import Job, unused_settings
from tf_style.optimization.engine import Step
from tf_style.system.stop import StopToken

# Old names of these events.
Noted, Kept = Info, Skipped


def run(
    job: Job, began: float | None = None, stop: StopToken | None = None
) -> Iterator[Info | Started | Step | Framed | Planned | Written | Skipped | Failed]:
    """Runs a `Job`.

    Args:
        job: what to paint.
        began: start of its time budget, by `time.monotonic`; None: now.
        stop: a `StopToken` that ends the job; the current picture is then written as it
            is.

    Yields:
        Events, as they happen.

    Raises:
        ValueError, OSError: nothing can be painted: invalid settings, no model, or
            nowhere to write.
        ImportError: a package that the settings need is not installed.
    """
    stop = stop or StopToken()
    began = time.monotonic() if began is None else began
    given = plan.expand(job.contents), plan.expand(job.styles)
    contents, films = plan.find_refused(job, given[0].pictures)
    styles = given[1].pictures
    pairs = plan.assign(job, contents, styles)
    for reason in dict.fromkeys([*given[0].refused, *given[1].refused, *films]):
        yield Failed(reason)
    if results := given[0].results:
        yield Info(f"{results} files made by tf_style are skipped")
    yield from _note_unused(job, pairs)
    if len(pairs) > 1 and not (job.dry_run or plan.sheet_path(pairs)):
        if not any(pair.is_film for pair in pairs):
            most = plan.MAX_IN_SHEET
            yield Info(f"no contact sheet: there are more than {most} photos or styles")
    style_cache, sheet = StyleCache(job, styles), contact_sheet.ContactSheet(job, pairs)
    for style in styles:
        picture = yield from attempt(style, style_cache.read, style)
        if picture:
            style_cache.readable.add(style)
            sheet.add(style, picture.pixels)
    if not any(style_cache.readable >= {*pair.styles} for pair in pairs):
        return
    if job.executor == "ray" and not job.dry_run:
        events = ray_cluster.stylize(job, pairs, style_cache, sheet.add, stop)
    else:
        events = local.stylize(
            job, pairs, style_cache, len(pairs), began, sheet.add, stop
        )
    written = yield from events
    if not (job.dry_run or stop.requested):
        yield from sheet.write(written)


def _note_unused(job, pairs):
    """Yields notes on settings that do nothing in any variation of a job."""
    film = any(pair.is_film for pair in pairs)
    lines = [
        unused_settings(sweep.vary(job, changes), film)
        for changes in sweep.variations(job)
    ]
    for line in lines[0]:
        if all(line in others for others in lines):
            yield Info(line, setting=True)
    endings = {pair.output.suffix.lower() for pair in pairs}
    if job.quality and not endings & {*images.HAS_QUALITY}:
        lossless = " and ".join(sorted(endings))
        yield Info(f"quality does nothing in {lossless}", setting=True)
