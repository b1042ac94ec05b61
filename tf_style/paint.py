"""One picture of a job: painted, and written with all that comes with it."""

import dataclasses
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import compare, files, gatys, hub, images, manifest, plan
from tf_style.config import Job
from tf_style.events import Failed, Written


class Task(NamedTuple):
    """One picture to make, and all that goes into it."""

    job: Job  # with the settings of this picture
    pair: plan.Pair
    content: images.Picture
    styles: list[images.Picture]
    masks: list[images.Picture]
    init: images.Picture | None
    models: dict  # the loaded model of each engine
    seconds: float  # that it may take; 0: as long as it needs
    account: dict | None = None  # as `describe` gives it

    def describe(self):
        """Returns all that the picture depends on, as `manifest.describe`."""
        inputs = {"content": (self.pair.content, self.content.sha256)}
        if self.init:
            inputs["init"] = (self.job.gatys.init, self.init.sha256)
        for kind, sources, pictures in (
            ("style", self.pair.styles, self.styles),
            ("mask", self.job.masks, self.masks),
        ):
            names = manifest.numbered(kind, len(pictures))
            sums = [picture.sha256 for picture in pictures]
            inputs |= dict(zip(names, zip(sources, sums)))
        account = manifest.describe(self.job, inputs, self.models)
        if self.pair.is_film:
            account["settings"]["flow"] = self.job.flow
        return account

    def record(self, seconds, facts):
        """Writes the manifest of what is written, and took so long."""
        common = {
            "size": list(self.content.pixels.shape[2:0:-1]),
            "seconds": seconds,
            "sha256": files.sha256(self.pair.output),
        }
        manifest.write(self.account, self.pair.output, common | facts)


class Painted(NamedTuple):
    """A picture, and what else is known about it."""

    picture: np.ndarray  # [1, H, W, 3]
    seconds: float  # that painting took
    facts: dict  # for the manifest
    interrupted: bool = False
    comparison: compare.Comparison | None = None


def paint(task, code, way):
    """Yields the steps of the slow path, if it is wanted, or a `Failed`.

    Args:
        task: what to paint.
        code: returns the `hub.StyleCode` of the task.
        way: the `trail.Trail` that follows the slow path.

    Returns:
        A `Painted`, the value of `yield from`; None if it failed.
    """
    size = task.content.pixels.shape[1:3]
    try:
        images.writing_format(task.pair.output, size)
        return (yield from _paint(task, code, way))
    except (MemoryError, tf.errors.ResourceExhaustedError):
        pieces = ", or work on pieces with --tile=256"
        yield Failed(
            f"{task.pair.content}: not enough memory for {size[1]}x{size[0]} pixels; "
            f"make it smaller with --max_side{'' if task.job.mode == 'hub' else pieces}"
        )
    except (ValueError, OSError, tf.errors.OpError) as error:
        yield _failed(task, error)


def paint_batch(tasks, code):
    """Paints several photos of one size in one style at once.

    Returns:
        A `Painted` for each.
    """
    began = time.perf_counter()
    contents = [task.content.pixels for task in tasks]
    pictures = hub.stylize_batch(contents, code, tasks[0].job.hub)
    seconds = (time.perf_counter() - began) / len(tasks)
    return [Painted(picture, seconds, {}) for picture in pictures]


def write(task, painted, way):
    """Writes a picture and all that comes with it; returns what happened, a list."""
    output = task.pair.output
    try:
        written = _write(task, painted)
        task.record(painted.seconds, painted.facts)
    except (ValueError, OSError, MemoryError) as error:
        return [_failed(task, error)]
    told = [Written(p, painted.seconds if p == output else None) for p in written]
    try:
        return told + [Written(path, None) for path in way.finish(painted)]
    except (ValueError, OSError) as error:
        return [*told, Failed(f"the picture is written, but {error}")]


def _failed(task, error):
    styles = " and ".join(task.pair.styles)
    reason = " ".join(str(error).split()) or "not enough memory"
    return Failed(f"{task.pair.content} in the style of {styles}: {reason}")


def _paint(task, code, way):
    began = time.perf_counter()
    job, content = task.job, task.content.pixels
    masks = [mask.pixels for mask in task.masks]
    first = task.init.pixels if task.init else None
    if "hub" in job.engines and job.mode != "compare":
        first = hub.stylize(content, code(), job.hub, masks=masks)
    if job.mode == "hub":
        return Painted(first, time.perf_counter() - began, {})
    config = dataclasses.replace(job.gatys, time_budget=task.seconds)
    inputs = (content, [style.pixels for style in task.styles], config)
    if job.mode == "compare":
        result = yield from compare.iterate(
            *inputs, job.hub, masks=masks, init=first, follow=way.follow
        )
        seconds, facts = time.perf_counter() - began, compare.to_json(result)
        return Painted(result.slow.picture, seconds, facts, result.interrupted, result)
    steps = gatys.iterate(*inputs, masks=masks, init=first, state=way.resume())
    step, notes, interrupted = yield from gatys.until_interrupted(way.follow(steps))
    if interrupted:
        notes += way.stop(step)
    facts = {
        "losses": step.best_losses,
        "steps": step.index,
        "notes": notes,
        "interrupted": interrupted,
    }
    picture = gatys.finish(step, content, config, masks=masks)
    return Painted(picture, time.perf_counter() - began, facts, interrupted)


def _write(task, painted):
    """Writes a picture, or panel, both pictures and the plot; returns their paths."""
    content, output, result = task.content, task.pair.output, painted.comparison
    if not result:
        images.save_image(output, painted.picture, content.alpha)
        return [output]
    parts = plan.parts(output)
    styles = [style.pixels for style in task.styles]
    images.save_image(output, compare.draw_panel(content.pixels, styles, result))
    images.save_image(parts.fast, result.fast.picture, content.alpha)
    images.save_image(parts.slow, result.slow.picture, content.alpha)
    with files.replacing(parts.plot) as temporary:
        compare.save_plot(temporary, result)
    return [output, *parts]
