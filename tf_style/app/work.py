"""Makes pictures that were ordered, and tells of their progress.

Needs TensorFlow: `warmup` imports it while the page is already up.
"""

import contextlib
import dataclasses
import itertools
import json
import threading
import time
from typing import NamedTuple

from PIL import Image

from tf_style import images, methods
from tf_style.app import bundle
from tf_style.app.folder import remove
from tf_style.app.request import Settings
from tf_style.app.sessions import Picture
from tf_style.app.waiting_queue import Busy, WaitingQueue
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
# Steps that tell how long more will take, and the factor for what comes beside steps:
# graphs of new sizes, and the search for neighbours.
TRIAL_STEPS = 5
OVERHEAD = {"neighbors": 3.0, "gatys": 1.25}
# Losses that are kept to be drawn.
MAX_POINTS = 200

# Measured, by method: seconds for a step, or for the picture, and a megapixel.
RATES = {}


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


def warm_up(photo, style, folder):
    """Loads all models and makes one picture of each method, as the first takes longer.

    Returns:
        Lines that say which models were chosen, and why.
    """
    notes, trials = [], []
    for method in methods.METHODS:
        settings = Settings(method=method, side=256, steps=TRIAL_STEPS)
        job, said = runner.settle(settings.to_job(photo, [style], folder / method))
        notes += [note for note in said if note not in notes]
        if method == "hub":
            _paint_quickly(dataclasses.replace(job, max_side=0))
        else:
            trials.append(job)
    # Beside the page's own pictures; nobody waits for these.
    threading.Thread(target=_measure, args=(trials,), daemon=True).start()
    return notes


def _measure(jobs):
    """Tells how long methods with steps take, from a few of them."""
    for job in jobs:
        with contextlib.suppress(Exception):
            times, size = [], (1, 1)
            for event in run.run(job):
                if isinstance(event, Step):
                    times, size = [*times, time.monotonic()], event.size
            step = min(after - then for then, after in itertools.pairwise(times))
            _take_note(job.mode, size, OVERHEAD[job.mode] * step)


def _take_note(method, size, seconds):
    rate = seconds / (size[0] * size[1] / 1e6)
    if old := RATES.get(method):
        # Some wait for a graph to be traced, or for other programs.
        rate = (old + min(rate, 3 * old)) / 2
    RATES[method] = rate


def run_task(task, wait_for_models, describe):
    """Paints what a task orders, and tells in its state whatever happens.

    Args:
        task: a `sessions.Task`.
        wait_for_models: returns when they are loaded, or raises.
        describe: returns an error as one line.
    """
    try:
        task.update(status="loading")
        wait_for_models()
        has_steps = task.order.settings.method != "hub"
        if not (has_steps and task.files):  # else it goes on
            with _turn(task, task.order.film) as comes:
                if comes:
                    _paint_first(task, last=not has_steps)
        if has_steps:
            with _turn(task, True) as comes:
                if comes:
                    _paint_with_steps(task)
    except Exception as error:
        code = "busy" if isinstance(error, Busy) else "failed"
        error = {"code": code, "message": describe(error)}
        task.update(status="failed", error=error)
    finally:
        if task.running:
            task.update(status="stopped")
        if task.abandoned and task.folder.exists():  # written after all was removed
            remove(task.folder.parent, task.folder)


@contextlib.contextmanager
def _turn(task, long):
    """Waits for the turn of a task; gives whether it still wants it."""
    with _QUEUES[long].enter(task) as count_ahead:
        shown = None
        while (ahead := count_ahead()) and not task.stop.requested:
            if ahead != shown:
                task.update(status="queued", ahead=ahead)
                shown = ahead
            task.stop.wait(0.05)
        if not task.stop.requested:
            task.update(status="painting", ahead=0)
        yield not task.stop.requested


def _paint_first(task, last):
    """Makes the fast picture: the result itself, or what one sees meanwhile."""
    order, folder = task.order, task.folder / "quick"
    if order.film:
        return _paint_film(task)
    side = order.settings.max_side()
    longest = min(side, max(order.photo.size))
    if last and longest > 1.5 * FIRST_SIDE:
        scale = max(0.25, order.settings.stroke * FIRST_SIDE / longest)
        job = order.to_job(folder / "first", side=FIRST_SIDE, stroke=scale)
        _show(task, _paint_quickly(job)[0])
    job = order.to_job(folder, method="hub", side=side)
    path, seconds = _paint_quickly(job)
    size = _show(task, path)
    if last:
        _take_note("hub", size, seconds)
        _finish(task, path, seconds)


def _paint_quickly(job):
    """Returns the path of the picture, and the seconds it took."""
    for event in _events(job):
        if isinstance(event, run.Written) and event.seconds is not None:
            return event.path, event.seconds
    raise ValueError("There is no picture")


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
    order, time_left, shown, size = task.order, TimeLeft(), 0.0, (1, 1)
    job = dataclasses.replace(order.to_job(task.folder / "steps"), resume=True)
    steps, points = job.configs[-1].steps, task.state.get("points", [])
    number, spent = task.state["version"], task.state.get("seconds", 0.0)
    task.update(steps=steps)
    with contextlib.closing(_events(job, task)) as events:
        for event in events:
            if isinstance(event, run.Written) and event.seconds is not None:
                if not (task.stop.requested or spent):
                    _take_note(job.mode, size, event.seconds / steps)
                task.update(points=_thinned(points))
                _finish(task, event.path, spent + event.seconds)
            if not isinstance(event, Step):
                continue
            now, size = time.monotonic(), event.size
            left = time_left.update(event.index, event.progress, now)
            losses = {k: v for k, v in event.losses.items() if k != "total"}
            point = {"step": event.index, "side": max(size), "losses": losses}
            points = [*points, point]
            if task.stop.requested or now - shown < PREVIEW_EVERY:
                continue
            shown, number = now, number + 1
            path = task.folder / f"preview_{number}.jpg"
            preview = images.limit_longest(event.best.numpy(), PREVIEW_SIDE)
            images.save_image(path, preview)
            if event.index > 0:  # before that it is the fast picture, but smaller
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
    job, frames = task.order.to_job(task.folder / "film"), 0
    task.update(film=True, step=0, steps=0)
    with contextlib.closing(_events(job, task)) as events:
        for event in events:
            if isinstance(event, run.Started):
                task.update(steps=event.steps or 0)
            if isinstance(event, run.Framed):
                frames += 1
                total = task.state["steps"]
                task.update(step=frames, progress=frames / total if total else None)
            if isinstance(event, run.Written) and event.seconds is not None:
                _finish(task, event.path, event.seconds)


def _show(task, path):
    """Shows a picture; returns its height and width."""
    name = f"{task.state['version']}{path.suffix}"
    with Image.open(path) as image:
        width, height = image.size
    for old in [*task.files][:-2]:  # A browser may still ask for the last ones.
        if (path_then := task.files.pop(old)).parent == task.folder:  # a preview
            path_then.unlink(missing_ok=True)
    task.files = task.files | {name: path}
    task.update(picture=name, size=[width, height])
    return height, width


def _finish(task, path, seconds):
    """Shows the result, as it is to be downloaded."""
    facts = json.loads(manifest.path_of(path).read_text("utf-8"))
    stopped = bool(facts.get("interrupted"))
    with_inputs = path.with_name(f"{path.stem}.zip")
    bundle.write(with_inputs, [path])
    name = f"{task.state['version']}{path.suffix}"
    task.files = task.files | {name: path, "bundle.zip": with_inputs}
    task.update(
        status="stopped" if stopped else "done",
        picture=name,
        name=path.name,
        size=facts["size"],
        seconds=seconds,
        progress=None,
        left=None,
        resumable=stopped and not task.order.film,
        models={kind: model["name"] for kind, model in facts["models"].items()},
    )
