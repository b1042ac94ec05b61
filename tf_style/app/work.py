"""Paints what the page wishes, and tells how far it is.

Needs TensorFlow: `warmup` imports it while the page is up already.
"""

import contextlib
import json
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tf_style import images
from tf_style.app import bundle, chart
from tf_style.app.line import Line
from tf_style.app.wish import SIDE, Wish
from tf_style.jobs import manifest, modes, run, runner
from tf_style.optimization import gatys

# Slow pictures that may wait for the one that is painted.
MOST_WAITING = 4
# Seconds from one preview to the next, and its longest side in pixels.
PREVIEW_EVERY = 1.0
PREVIEW_SIDE = 640

_SLOW = Line(MOST_WAITING)
# Single passes take a second at most: who comes second can stand in the door.
_FAST = threading.Lock()


class View(NamedTuple):
    """What there is to see of a task."""

    status: str
    progress: float | None = None  # share of the work done; None: nobody knows
    before: Path | None = None  # the photo at the size of the picture
    fast: Path | None = None
    slow: Path | None = None
    points: tuple[chart.Point, ...] = ()
    steps: int = 0  # that there will be
    # Of both paths, if they are compared: "seconds" and "losses", as in the manifest.
    numbers: dict[str, dict] = {}
    picture: Path | None = None  # to take away
    bundle: Path | None = None  # the same, as of `bundle.write`


def warm(photo, style, folder):
    """Loads all models, and paints once, since the first picture takes longer.

    Returns:
        Lines that say which they are, and why.
    """
    job, notes = runner.settle(
        Wish(photo, (style,), "compare").to_job("compare", folder)
    )
    gatys.load_backbone(job.gatys)
    for _ in run.run(Wish(photo, (style,), "hub", side=SIDE).to_job("hub", folder)):
        pass
    return notes


def paint(wish, task):
    """Paints a `Wish` by the fast path, and then by the slow one if it is wanted.

    Args:
        wish: what to paint.
        task: a `sessions.Task`.

    Yields:
        A `View` whenever there is something new to see.

    Raises:
        ValueError, OSError: nothing, or no more, can be painted.
    """
    view = View("Painting the fast picture")
    yield view
    try:
        with _FAST:
            fast, seconds = _paint_fast(wish, task.folder)
        before = task.folder / "before.jpg"
        images.save_image(before, images.load_image(wish.photo, int(wish.side)))
        view = view._replace(before=before, fast=fast)
        view = _with_bundle(view, task.folder, [fast])
        if not modes.MODES[wish.mode].HAS_STEPS:
            yield view._replace(status=f"Done in {seconds:.1f} s")
        else:
            yield view._replace(status="Preparing the slow picture")
            with contextlib.closing(_paint_slow(wish, task, view)) as views:
                yield from views
    finally:
        task.end()


def _paint_fast(wish, folder):
    """Returns the path of the picture, and the seconds it took."""
    for event in run.run(wish.to_job("hub", folder / "fast")):
        if isinstance(event, run.Failed):
            raise ValueError(event.reason)
        if isinstance(event, run.Written) and event.seconds is not None:
            written = event.path, event.seconds
    return written


def _paint_slow(wish, task, view):
    """Yields views, each `view` with more on it."""
    with _SLOW.place(task) as before:
        shown = None
        while (ahead := before()) and not (task.stop.requested or task.abandoned):
            if ahead != shown:
                line = "1 other picture" if ahead == 1 else f"{ahead} other pictures"
                yield view._replace(status=f"Waiting for {line}")
                shown = ahead
            task.stop.wait(0.2)
        if task.stop.requested:
            yield view._replace(status="Stopped before its turn")
        elif not task.abandoned:
            if shown:
                yield view._replace(status="Preparing the slow picture")
            job = wish.to_job(wish.mode, task.folder / "slow")
            with contextlib.closing(run.run(job, stop=task.stop)) as events:
                yield from _follow(events, task, view, job.gatys.steps)


def _follow(events, task, view, steps):
    """Yields views of a job on the slow path, until it is done or stopped."""
    points, written, began, shown, number = [], [], None, 0.0, 0
    for event in events:
        if task.abandoned:
            return
        if isinstance(event, run.Failed):
            raise ValueError(event.reason)
        if isinstance(event, run.Written):
            written.append(event)
        if not isinstance(event, gatys.Step):
            continue
        now = time.monotonic()
        began = began or (now, event.progress)
        points.append(chart.Point(event.index, event.size, event.losses))
        if task.stop.requested or now - shown < PREVIEW_EVERY:
            continue
        shown, number = now, number + 1
        view = view._replace(
            status=f"Step {event.index} of {steps}{_time_left(began, event, now)}",
            progress=event.progress,
            slow=_preview(event, task.folder, number),
            points=tuple(points),
            steps=steps,
        )
        yield view
    if written:
        view = view._replace(progress=None, points=tuple(points), steps=steps)
        yield _finished(view, task.folder, written)


def _preview(step, folder, number):
    """Writes the best picture so far, and removes the last but one."""
    path = folder / f"preview_{number}.jpg"
    picture = step.best.numpy()
    if max(picture.shape[1:3]) > PREVIEW_SIDE:
        picture = images.fit_longest(picture, PREVIEW_SIDE)
    images.save_image(path, picture)
    (folder / f"preview_{number - 2}.jpg").unlink(missing_ok=True)
    return path


def _time_left(began, step, now):
    """Says about how long it takes, counted from the first step, which compiles."""
    start, progress = began
    if step.progress <= progress:
        return ""
    left = (now - start) * (1 - step.progress) / (step.progress - progress)
    if left < 90:
        return f", about {left:.0f} s left"
    return f", about {left / 60:.0f} min left"


def _finished(view, folder, written):
    """Returns the view of a job that is done, or was stopped."""
    paths = [event.path for event in written]
    facts = json.loads(manifest.path_of(paths[0]).read_text("utf-8"))
    last, status = view.points[-1].index, f"Done in {written[0].seconds:.0f} s"
    if facts["interrupted"]:
        status = f"Stopped at step {last}; this is the best picture up to there"
    view = view._replace(status=status, slow=paths[0])
    if len(paths) > 1:
        pair = modes.compare.parts(paths[0])
        numbers = {name: facts[name] for name in ("fast", "slow")}
        view = view._replace(fast=pair.fast, slow=pair.slow, numbers=numbers)
    return _with_bundle(view, folder, paths)


def _with_bundle(view, folder, pictures):
    path = folder / f"{pictures[0].stem}.zip"
    bundle.write(path, pictures)
    return view._replace(picture=pictures[0], bundle=path)
