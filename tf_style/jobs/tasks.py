"""Stylizes one picture of a job, and writes it with its other files."""

import itertools
import os
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import compare, images
from tf_style.fast import hub
from tf_style.images import masks as masking
from tf_style.jobs import manifest, modes, plan
from tf_style.jobs.events import Failed, Info, Written, describe_error
from tf_style.jobs.inputs import StyleCache
from tf_style.jobs.job import Job
from tf_style.system.stop import StopToken


class Task(NamedTuple):
    """One picture to paint, and everything it needs."""

    job: Job  # with the settings of this picture
    pair: plan.Pair
    content: images.Picture
    styles: list[images.Picture]
    masks: list[images.Picture]
    init: images.Picture | None
    models: dict  # the loaded model of each method
    style_cache: StyleCache  # read and encoded
    seconds: float  # time limit in seconds; 0: none
    stop: StopToken
    account: dict | None = None  # result of `describe`

    @property
    def mask_pixels(self):
        """The masks as arrays."""
        return [masking.of_picture(mask.pixels, mask.alpha) for mask in self.masks]

    @property
    def fitted_masks(self):
        """The masks at the size of the content."""
        return masking.fit(self.mask_pixels, self.content.pixels, len(self.styles))

    def encode(self):
        """Returns the `hub.StyleCode` of its styles."""
        return self.style_cache.encode(
            self.pair.styles, self.job.hub, self.content.pixels
        )

    def encode_slow(self, method=None):
        """Returns its styles, encoded by the last method, a slow one."""
        method = method or self.job.methods[-1]
        config = getattr(self.job, method)
        return self.style_cache.encode_slow(method, self.pair.styles, config)

    def first_picture(self, content):
        """Returns the picture to start from; None: as the config says.

        Args:
            content: [1, H, W, 3], the photo or a frame.
        """
        if "hub" in self.job.methods:
            masks = self.mask_pixels
            return hub.stylize(content, self.encode(), self.job.hub, masks=masks)
        return self.init.pixels if self.init else None

    def describe(self):
        """Returns everything that the picture depends on, from `manifest.describe`."""
        inputs = {"content": (self.pair.content, self.content.sha256)}
        if self.init:
            inputs["init"] = (self.job.configs[-1].init, self.init.sha256)
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
            if self.job.keyframes > 1:
                account["settings"]["keyframes"] = self.job.keyframes
        return account

    def write_image(self, path, picture, output):
        """Writes a picture of its photo to a path, which will be named `output`."""
        images.write_image(
            path,
            picture,
            self.content.alpha,
            output,
            self.job.quality,
            self.content.exif,
            self.job.keep_location,
        )

    def publishing(self, outputs, seconds, facts):
        """Provides temporary paths (`manifest.publishing`); records the time."""
        size = list(self.content.pixels.shape[2:0:-1])
        common = {"size": size, "seconds": seconds}
        return manifest.publishing(self.account, outputs, common | facts)


class Stylized(NamedTuple):
    """A picture, and facts about it."""

    picture: np.ndarray  # [1, H, W, 3]
    seconds: float  # duration of painting
    facts: dict  # for the manifest
    interrupted: bool = False
    comparison: compare.Comparison | None = None


def stylize(task, snapshots):
    """Yields the steps of a slow method, if the mode has one, or a `Failed`.

    Args:
        task: what to paint.
        snapshots: the `snapshots.Snapshots` that follow the steps.

    Returns:
        A `Stylized`, the value of `yield from`; None if it failed.
    """
    size = task.content.pixels.shape[1:3]
    try:
        images.writing_format(task.pair.output, size)
        return (yield from modes.of(task.job).stylize(task, snapshots))
    except (MemoryError, tf.errors.ResourceExhaustedError):
        tiles = ", or use tiles with --tile=256"
        yield Failed(
            f"{task.pair.content}: not enough memory for {size[1]}x{size[0]} pixels; "
            f"make it smaller with --max_side{tiles * modes.of(task.job).HAS_STEPS}"
        )
    except Exception as error:
        yield _failed(task, error)


def stylize_batch(tasks):
    """Paints several photos of one size in one style, in one batch.

    Returns:
        A `Stylized` for each.
    """
    began = time.perf_counter()
    contents = [task.content.pixels for task in tasks]
    pictures = hub.stylize_batch(contents, tasks[0].encode(), tasks[0].job.hub)
    seconds = (time.perf_counter() - began) / len(tasks)
    return [Stylized(picture, seconds, {}) for picture in pictures]


def write(task, stylized, snapshots):
    """Writes a picture with its other files; returns a list of events."""
    try:
        output, notes = _place(task, stylized)
        outputs = plan.outputs_of(output, task.job)
        with task.publishing(outputs, stylized.seconds, stylized.facts) as temporaries:
            paths = list(zip(temporaries, outputs, strict=True))
            modes.of(task.job).draw(task, stylized, paths)
    except Exception as error:
        return [_failed(task, error)]
    events = [*map(Info, notes), Written(output, stylized.seconds)]
    events += [Written(path, None) for path in outputs[1:]]
    try:
        return events + [Written(path, None) for path in snapshots.finish(stylized)]
    except Exception as error:
        return [*events, Failed(f"{output} is written, but {describe_error(error)}")]


def _failed(task, error):
    styles = " and ".join(task.pair.styles)
    return Failed(
        f"{task.pair.content} in the style of {styles}: {describe_error(error)}"
    )


def _place(task, stylized):
    """Returns where a picture goes, with notes.

    An interrupted picture never replaces a better one of an earlier run.
    """
    output = task.pair.output
    if not (stylized.interrupted and output.exists()):
        return output, []
    found = manifest.find(output) or {}
    if found.get("interrupted") and found.get("steps", 0) <= stylized.facts["steps"]:
        return output, []
    for number in itertools.count(1):
        suffix = "_interrupted" + (f"_{number}" if number > 1 else "")
        beside = output.with_stem(output.stem + suffix)
        taken = plan.outputs_of(beside, task.job)
        if not any(map(os.path.lexists, [*taken, manifest.path_of(beside)])):
            note = f"{output} keeps the better picture of an earlier run"
            return beside, [note]
