"""Makes the pictures that the page requests, and reports their progress.

Needs TensorFlow: `warmup` imports it while the page is already up.
"""

import contextlib
import json
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tf_style import compare, images, methods
from tf_style.app import bundle, chart
from tf_style.app.request import DEFAULT_SIDE, StylizeRequest
from tf_style.app.waiting_queue import WaitingQueue
from tf_style.jobs import manifest, modes, run, runner
from tf_style.jobs.progress import TimeLeft
from tf_style.optimization.engine import Step

# Slow pictures that may wait for the one that is being made.
MAX_WAITING = 4
# Seconds from one preview to the next, and its longest side in pixels.
PREVIEW_EVERY = 1.0
PREVIEW_SIDE = 640

_SLOW_QUEUE = WaitingQueue(MAX_WAITING)
# A single pass takes a second at most, so a lock is queue enough.
_FAST_LOCK = threading.Lock()


class View(NamedTuple):
    """What the page shows of a task."""

    status: str
    progress: float | None = None  # share of the work done; None: unknown
    before: Path | None = None  # the photo at the size of the result
    # By the method that painted them, in the order in which they came.
    pictures: dict[str, Path] = {}
    points: tuple[chart.Point, ...] = ()
    steps: int = 0  # in total
    # For each method, if they are compared: "seconds", "losses" and "distances", as in
    # the manifest; and what to know about them.
    numbers: dict[str, dict] = {}
    note: str = ""
    picture: Path | None = None  # to download
    bundle: Path | None = None  # the same, as written by `bundle.write`


def warm_up(photo, style, folder):
    """Loads all models and makes one picture, since the first takes longer.

    Returns:
        Lines that say which models were chosen, and why.
    """
    request = StylizeRequest(photo, (style,), "compare", side=DEFAULT_SIDE)
    job, notes = runner.settle(request.to_job("compare", folder))
    for method, config in zip(job.methods, job.configs):
        methods.load_model(method, config)
    for _ in run.run(request.to_job("hub", folder)):
        pass
    return notes


def stylize(request, task):
    """Makes a picture by one pass, and then by a slow method if one is requested.

    Args:
        request: a `StylizeRequest`.
        task: the `sessions.Task` that it belongs to.

    Yields:
        A `View` whenever there is something new to show.

    Raises:
        ValueError, OSError: no picture, or no further one, can be made.
    """
    view = View("Painting the fast picture")
    yield view
    try:
        with _FAST_LOCK:
            fast, seconds = _run_fast(request, task.folder)
        before = task.folder / "before.jpg"
        images.save_image(before, images.load_image(request.photo, request.side))
        view = view._replace(before=before, pictures={"hub": fast})
        view = _with_bundle(view, task.folder, [fast])
        if not modes.MODES[request.mode].HAS_STEPS:
            yield view._replace(status=f"Done in {seconds:.1f} s")
        else:
            yield view._replace(status="Preparing the slow picture")
            with contextlib.closing(_run_slow(request, task, view)) as views:
                yield from views
    finally:
        task.clean_up()


def _run_fast(request, folder):
    """Returns the path of the picture, and the seconds it took."""
    for event in run.run(request.to_job("hub", folder / "fast")):
        if isinstance(event, run.Failed):
            raise ValueError(event.reason)
        if isinstance(event, run.Written) and event.seconds is not None:
            written = event.path, event.seconds
    return written


def _run_slow(request, task, view):
    """Yields views, each `view` with more added."""
    with _SLOW_QUEUE.enter(task) as count_ahead:
        shown = None
        while (ahead := count_ahead()) and not (task.stop.requested or task.abandoned):
            if ahead != shown:
                others = "1 other picture" if ahead == 1 else f"{ahead} other pictures"
                yield view._replace(status=f"Waiting for {others}")
                shown = ahead
            task.stop.wait(0.2)
        if task.stop.requested:
            yield view._replace(status="Stopped before its turn")
        elif not task.abandoned:
            if shown:
                yield view._replace(status="Preparing the slow picture")
            job = request.to_job(request.mode, task.folder / "slow")
            with contextlib.closing(run.run(job, stop=task.stop)) as events:
                yield from _views_of(events, task, view, job)


def _views_of(events, task, view, job):
    """Yields views of a job that has steps, until it is done or stopped."""
    method, steps = job.methods[-1], job.configs[-1].steps
    points, written, shown, number, time_left = [], [], 0.0, 0, TimeLeft()
    for event in events:
        if task.abandoned:
            return
        if isinstance(event, run.Failed):
            raise ValueError(event.reason)
        if isinstance(event, run.Written):
            written.append(event)
        if not isinstance(event, Step):
            continue
        now = time.monotonic()
        left = time_left.update(event.index, event.progress, now)
        points.append(chart.Point(event.index, event.size, event.losses))
        if task.stop.requested or now - shown < PREVIEW_EVERY:
            continue
        shown, number = now, number + 1
        preview = _preview(event, task.folder, number)
        view = view._replace(
            status=f"Step {event.index} of {steps}{_in_words(left)}",
            progress=event.progress,
            pictures=view.pictures | {method: preview},
            points=tuple(points),
            steps=steps,
        )
        yield view
    if written:
        view = view._replace(progress=None, points=tuple(points), steps=steps)
        yield _finished(view, task.folder, written, method)


def _preview(step, folder, number):
    """Writes the best picture so far, and removes the one before the last."""
    path = folder / f"preview_{number}.jpg"
    picture = step.best.numpy()
    if max(picture.shape[1:3]) > PREVIEW_SIDE:
        picture = images.fit_longest(picture, PREVIEW_SIDE)
    images.save_image(path, picture)
    (folder / f"preview_{number - 2}.jpg").unlink(missing_ok=True)
    return path


def _in_words(seconds_left):
    """Formats the time left; empty as long as it is unknown."""
    if seconds_left is None:
        return ""
    if seconds_left < 90:
        return f", about {seconds_left:.0f} s left"
    return f", about {seconds_left / 60:.0f} min left"


def _finished(view, folder, written, method):
    """Returns the view of a job that is done, or was stopped."""
    paths = [event.path for event in written]
    facts = json.loads(manifest.path_of(paths[0]).read_text("utf-8"))
    last, status = view.points[-1].index, f"Done in {written[0].seconds:.0f} s"
    if facts["interrupted"]:
        status = f"Stopped at step {last}; this is the best picture up to there"
    pictures, numbers, note = view.pictures | {method: paths[0]}, {}, ""
    if "results" in facts:
        pictures = modes.compare.pictures(paths[0])
        numbers, note = facts["results"], compare.NOTE
    view = view._replace(status=status, pictures=pictures, numbers=numbers, note=note)
    return _with_bundle(view, folder, paths)


def _with_bundle(view, folder, pictures):
    path = folder / f"{pictures[0].stem}.zip"
    bundle.write(path, pictures)
    return view._replace(picture=pictures[0], bundle=path)
