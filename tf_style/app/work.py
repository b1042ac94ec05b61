"""Makes pictures that were ordered, and tells of their progress.

Needs TensorFlow: `warmup` imports it while the page is already up.
"""

import collections
import contextlib
import dataclasses
import gc
import json
import statistics
import threading
import time
from typing import NamedTuple

from PIL import Image

from tf_style import images, methods
from tf_style.app import bundle
from tf_style.app.errors import STATIC, explain
from tf_style.app.folder import remove
from tf_style.app.forecast import Forecast
from tf_style.app.request import Settings
from tf_style.app.sessions import Picture
from tf_style.app.waiting_queue import WaitingQueue
from tf_style.jobs import manifest, run, runner
from tf_style.jobs.progress import TimeLeft
from tf_style.optimization.engine import Step

# Pictures that may wait for the one that is being made: of what takes long, which are
# the methods with steps and films, and of the fast one.
_QUEUES = {True: WaitingQueue(4), False: WaitingQueue(8)}
# Seconds from one preview to the next, and its longest side in pixels.
PREVIEW_EVERY = 1.0
PREVIEW_SIDE = 1024
# Of a larger photo the fast picture is first shown at this side.
FIRST_SIDE = 640
# Losses that are kept to be drawn.
MAX_POINTS = 200
# The photo and the painting of the trials, and their steps.
TRIAL = (STATIC / "harbor.webp", STATIC / "swirls.webp")
TRIAL_STEPS = 12

forecast = Forecast()


class Order(NamedTuple):
    """What is to be painted."""

    settings: Settings
    photo: Picture
    styles: tuple[Picture, ...]
    weights: tuple[float, ...] = ()
    mask: Picture | None = None
    film: bool = False  # all frames of the photo, which is one
    format: str = ""  # of the picture; empty: PNG

    def to_job(self, folder, **changes):
        """Returns the `Job`; `changes` are of the `Settings`."""
        settings = self.settings.model_copy(update=changes)
        return settings.to_job(
            (self.film and self.photo.film) or self.photo.path,
            [style.path for style in self.styles],
            folder,
            self.weights,
            self.mask and self.mask.path,
            format=self.format,
        )


def warm_up(folder):
    """Loads all models and paints one picture, as the first takes longer."""
    trials = []
    gc.freeze()  # What was imported stays, and need not be looked at for garbage.
    for method in methods.METHODS:
        settings = Settings(method=method, steps=TRIAL_STEPS)
        job = settings.to_job(TRIAL[0], TRIAL[1:], folder / method)
        job, _notes = runner.settle(job)
        if method == "hub":
            _paint_quickly(dataclasses.replace(job, max_side=256))
        else:
            trials.append(job)
    # Beside the page's own pictures; nobody waits for these.
    threading.Thread(target=_try, args=(trials,), daemon=True).start()


def _try(jobs):
    """Estimates how long methods with steps take, from a few steps of each."""
    for job in jobs:
        with contextlib.suppress(Exception):
            times, size = collections.defaultdict(list), (1, 1)
            began = then = time.monotonic()
            for event in run.run(job):
                if isinstance(event, Step):
                    now, size = time.monotonic(), event.size
                    times[size].append(now - then)
                    then = now
            spent = time.monotonic() - began
            steps = Settings(method=job.mode).count_steps()
            # The first step of each size traces its graphs.
            step = statistics.mean(statistics.median(t[1:]) for t in times.values())
            seconds = spent + (steps - TRIAL_STEPS) * step
            forecast.learn_trial(job.mode, size, steps, seconds)
    gc.collect()
    gc.freeze()


def run_task(task):
    """Paints what a `sessions.Task` orders, and tells in its state what happens."""
    settings, seconds = task.order.settings, 0.0
    phases = [_paint_first, _paint_with_steps]
    if settings.method == "hub":
        phases.pop()
    elif task.files:  # it goes on
        phases.pop(0)
    try:
        for paint in phases:
            long = task.order.film or paint is _paint_with_steps
            with _QUEUES[long].turn(task) as comes:
                began = time.monotonic()
                if comes:
                    paint(task)
                seconds += time.monotonic() - began
        whole = phases[0] is _paint_first and task.state["status"] == "done"
        if whole and not task.order.film:
            size, steps = task.state["size"], settings.count_steps()
            forecast.learn(settings.method, size, steps, seconds)
    except Exception as error:
        task.update(status="failed", error=explain(error))
    finally:
        if task.running:
            task.update(status="stopped")
        if task.abandoned and task.folder.exists():  # written after all was removed
            remove(task.folder.parent, task.folder)
        # Graphs and events hold each other, and pictures: if these stayed for a while,
        # TensorFlow would take more memory for the next, and never give it back.
        gc.collect()


def _paint_first(task):
    """Makes the fast picture: the result itself, or what one sees meanwhile."""
    order, folder = task.order, task.folder / "quick"
    if order.film:
        return _paint_film(task)
    side, last = order.settings.max_side(), order.settings.method == "hub"
    longest = min(side, max(order.photo.size))
    if last and longest > 1.5 * FIRST_SIDE:
        scale = max(0.25, order.settings.stroke * FIRST_SIDE / longest)
        job = order.to_job(folder / "first", side=FIRST_SIDE, stroke=scale)
        _show(task, _paint_quickly(job).path)
    written = _paint_quickly(order.to_job(folder, method="hub", side=side))
    if last:
        _finish(task, written)
    else:
        _show(task, written.path)


def _paint_quickly(job):
    """Returns the event of the picture."""
    for event in _events(job):
        if isinstance(event, run.Written) and event.seconds is not None:
            return event
    raise ValueError("there is no picture")


def _events(job, task=None):
    """Yields the events of a job, until nobody waits for its `Task` any more.

    Raises:
        ValueError: a picture failed.
    """
    with contextlib.closing(run.run(job, stop=task and task.stop)) as events:
        for event in events:
            if task and task.abandoned:
                return
            if isinstance(event, run.Failed):
                raise ValueError(event.reason)
            yield event


def _paint_with_steps(task):
    """Improves the fast picture step by step, until it is done or stopped."""
    time_left, shown = TimeLeft(), 0.0
    job = dataclasses.replace(task.order.to_job(task.folder / "steps"), resume=True)
    points, spent = task.state.get("points", []), task.state.get("seconds", 0.0)
    task.update(steps=job.configs[-1].steps)
    for event in _events(job, task):
        if isinstance(event, run.Written) and event.seconds is not None:
            _finish(task, event, spent, points=_thinned(points))
        if not isinstance(event, Step):
            continue
        now = time.monotonic()
        left = time_left.update(event.index, event.progress, now)
        losses = {k: v for k, v in event.losses.items() if k != "total"}
        point = {"step": event.index, "side": max(event.size), "losses": losses}
        points = [*points, point]
        if task.stop.requested or now - shown < PREVIEW_EVERY:
            continue
        shown = now
        if event.index > 0:  # before that it is the fast picture, but smaller
            path = task.folder / f"preview_{task.state['version'] % 3}.jpg"
            preview = images.limit_longest(event.best.numpy(), PREVIEW_SIDE)
            images.save_image(path, preview)
            _show(task, path)
        task.update(
            step=event.index,
            progress=event.progress,
            left=left,
            points=_thinned(points),
        )


def _thinned(points):
    return points[:: len(points) // MAX_POINTS + 1]


def _paint_film(task):
    """Paints all frames of a film."""
    frames = 0
    task.update(film=True, step=0, steps=0)
    for event in _events(task.order.to_job(task.folder / "film"), task):
        if isinstance(event, run.Started):
            task.update(steps=event.steps or 0)
        if isinstance(event, run.Framed):
            frames += 1
            total = task.state["steps"]
            task.update(step=frames, progress=frames / total if total else None)
        if isinstance(event, run.Written) and event.seconds is not None:
            _finish(task, event)


def _show(task, path, files=None, **changes):
    """Shows a picture, with other files and changes of the state."""
    name = f"{task.state['version']}{path.suffix}"
    with Image.open(path) as image:
        size = list(image.size)
    task.files = task.files | {name: path} | (files or {})
    task.update(**{"picture": name, "size": size} | changes)


def _finish(task, written, spent=0.0, **changes):
    """Shows the result, as it is to be downloaded."""
    path = written.path
    facts = json.loads(manifest.path_of(path).read_text("utf-8"))
    stopped = bool(facts.get("interrupted"))
    with_inputs = path.with_name(f"{path.stem}.zip")
    bundle.write(with_inputs, path)
    _show(
        task,
        path,
        {"bundle.zip": with_inputs},
        status="stopped" if stopped else "done",
        name=path.name,
        size=facts["size"],
        seconds=spent + written.seconds,
        progress=None,
        left=None,
        resumable=stopped and not task.order.film,
        models={kind: model["name"] for kind, model in facts["models"].items()},
        **changes,
    )
