"""One picture of a job: painted, and written with all that comes with it."""

import dataclasses
import itertools
import os
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import compare, images
from tf_style.config import Job
from tf_style.fast import hub
from tf_style.jobs import manifest, plan
from tf_style.jobs.events import Failed, Noted, Written, describe_error
from tf_style.jobs.inputs import Paintings
from tf_style.optimization import gatys
from tf_style.system.stop import StopToken


class Task(NamedTuple):
    """One picture to make, and all that goes into it."""

    job: Job  # with the settings of this picture
    pair: plan.Pair
    content: images.Picture
    styles: list[images.Picture]
    masks: list[images.Picture]
    init: images.Picture | None
    models: dict  # the loaded model of each engine
    paintings: Paintings  # which know the styles as methods do
    seconds: float  # that it may take; 0: as long as it needs
    stop: StopToken
    account: dict | None = None  # as `describe` gives it

    def encode(self):
        """Returns the `hub.StyleCode` of its styles."""
        return self.paintings.encode(
            self.pair.styles, self.job.hub, self.content.pixels
        )

    def encode_slow(self):
        """Returns the `gatys.Style` of its styles."""
        return self.paintings.encode_slow(self.pair.styles, self.job.gatys)

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

    def publishing(self, outputs, seconds, facts):
        """Gives temporary paths as `manifest.publishing`, for what took so long."""
        size = list(self.content.pixels.shape[2:0:-1])
        common = {"size": size, "seconds": seconds}
        return manifest.publishing(self.account, outputs, common | facts)


class Painted(NamedTuple):
    """A picture, and what else is known about it."""

    picture: np.ndarray  # [1, H, W, 3]
    seconds: float  # that painting took
    facts: dict  # for the manifest
    interrupted: bool = False
    comparison: compare.Comparison | None = None


def stylize(task, way):
    """Yields the steps of the slow path, if it is wanted, or a `Failed`.

    Args:
        task: what to paint.
        way: the `snapshots.Trail` that follows the slow path.

    Returns:
        A `Painted`, the value of `yield from`; None if it failed.
    """
    size = task.content.pixels.shape[1:3]
    try:
        images.writing_format(task.pair.output, size)
        return (yield from _stylize(task, way))
    except (MemoryError, tf.errors.ResourceExhaustedError):
        pieces = ", or work on pieces with --tile=256"
        yield Failed(
            f"{task.pair.content}: not enough memory for {size[1]}x{size[0]} pixels; "
            f"make it smaller with --max_side{'' if task.job.mode == 'hub' else pieces}"
        )
    except Exception as error:
        yield _failed(task, error)


def stylize_batch(tasks):
    """Paints several photos of one size in one style at once.

    Returns:
        A `Painted` for each.
    """
    began = time.perf_counter()
    contents = [task.content.pixels for task in tasks]
    pictures = hub.stylize_batch(contents, tasks[0].encode(), tasks[0].job.hub)
    seconds = (time.perf_counter() - began) / len(tasks)
    return [Painted(picture, seconds, {}) for picture in pictures]


def write(task, painted, way):
    """Writes a picture and all that comes with it; returns what happened, a list."""
    try:
        output, notes = _place(task, painted)
        outputs = plan.outputs_of(output, task.job.mode)
        with task.publishing(outputs, painted.seconds, painted.facts) as temporaries:
            _write(task, painted, outputs, temporaries)
    except Exception as error:
        return [_failed(task, error)]
    told = [*map(Noted, notes), Written(output, painted.seconds)]
    told += [Written(path, None) for path in outputs[1:]]
    try:
        return told + [Written(path, None) for path in way.finish(painted)]
    except Exception as error:
        return [*told, Failed(f"{output} is written, but {describe_error(error)}")]


def _failed(task, error):
    styles = " and ".join(task.pair.styles)
    return Failed(
        f"{task.pair.content} in the style of {styles}: {describe_error(error)}"
    )


def _place(task, painted):
    """Returns where a picture goes, and notes on that.

    One that was interrupted never takes the place of a better one of an earlier run.
    """
    output = task.pair.output
    if not (painted.interrupted and output.exists()):
        return output, []
    found = manifest.find(output) or {}
    if found.get("interrupted") and found.get("steps", 0) <= painted.facts["steps"]:
        return output, []
    for number in itertools.count(1):
        suffix = "_interrupted" + (f"_{number}" if number > 1 else "")
        beside = output.with_stem(output.stem + suffix)
        taken = plan.outputs_of(beside, task.job.mode)
        if not any(map(os.path.lexists, [*taken, manifest.path_of(beside)])):
            note = (
                f"{output} keeps the picture of an earlier run, which was better done"
            )
            return beside, [note]


def _stylize(task, way):
    began = time.perf_counter()
    job, content = task.job, task.content.pixels
    masks = [mask.pixels for mask in task.masks]
    first = task.init.pixels if task.init else None
    if "hub" in job.engines and job.mode != "compare":
        first = hub.stylize(content, task.encode(), job.hub, masks=masks)
    if job.mode == "hub":
        return Painted(first, time.perf_counter() - began, {})
    config = dataclasses.replace(job.gatys, time_budget=task.seconds)
    if job.mode == "compare":
        result = yield from compare.iterate(
            content,
            [style.pixels for style in task.styles],
            config,
            job.hub,
            masks=masks,
            init=first,
            stop=task.stop,
            follow=way.follow,
        )
        seconds, facts = time.perf_counter() - began, compare.to_json(result)
        return Painted(result.slow.picture, seconds, facts, result.interrupted, result)
    state, found = way.resume()
    yield from map(Noted, found)
    steps = gatys.iterate(
        content,
        task.encode_slow(),
        config,
        masks=masks,
        init=first,
        state=state,
        stop=task.stop,
    )
    notes = []
    for step in way.follow(steps):
        notes += [step.note] if step.note else []
        yield step
    interrupted = task.stop.requested
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


def _write(task, painted, outputs, temporaries):
    """Writes a picture, or the panel, both pictures and the plot of a comparison."""
    alpha, result = task.content.alpha, painted.comparison
    pictures = [(painted.picture, alpha)]
    if result:
        styles = [style.pixels for style in task.styles]
        panel = compare.draw_panel(task.content.pixels, styles, result)
        pictures = [(panel, None)]
        pictures += [(side.picture, alpha) for side in (result.fast, result.slow)]
        compare.save_plot(temporaries[-1], result)
    for (pixels, alpha), path, output in zip(pictures, temporaries, outputs):
        images.write_image(path, pixels, alpha, output)
