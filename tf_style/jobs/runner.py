"""Paints the pictures of a job, with loaded models, masks and styles."""

import dataclasses
import time
from typing import NamedTuple

from tf_style import images, methods
from tf_style.config import INITS
from tf_style.jobs import (
    film,
    forecast,
    manifest,
    modes,
    plan,
    progress_folder,
    snapshots,
    sweep,
    tasks,
)
from tf_style.jobs.events import Info, Planned, Skipped, Started
from tf_style.jobs.inputs import attempt, read
from tf_style.jobs.job import Job

# Seconds of a time budget reserved for writing a picture, and for the exit.
WRITING_S = 1.0
WRITING_S_PER_MEGAPIXEL = 0.5
# Smaller jobs finish before a model is compiled for batches.
BATCHES_FROM = 100


class Runner:
    """Paints pictures, in batches of one size where that is faster.

    Args:
        job: a `Job` whose models are settled.
        style_cache: the `inputs.StyleCache` of its styles.
        writer: the `pipeline.Writer` of the results.
        count: number of pictures of the job.
        began: start of its time budget.
        stop: a `StopToken`.

    Raises:
        ValueError, OSError: a model, a mask or the picture to start from is not
            available.
    """

    def __init__(self, job, style_cache, writer, count, began, stop):
        self._stop = stop
        self._job = job
        self._style_cache = style_cache
        self._writer = writer
        self._count = count
        self._began = began
        self._forecast = forecast.Forecast()
        self._shared = _load_shared(job)
        names = manifest.numbered("mask", len(job.masks))
        self._masks = [read(job, *mask) for mask in zip(names, job.masks)]
        self._noted = set()
        self._batch_pixels = 0
        alike = job.hub.preserve_color == "none" and not job.masks and not job.sweep
        if modes.of(job).IS_QUICK and alike and count >= BATCHES_FROM:
            self._batch_pixels = self._shared.models["hub"].batch_pixels

    def room_for(self, content):
        """Returns the batch size for photos of this size."""
        height, width = content.pixels.shape[1:3]
        return max(1, self._batch_pixels // (height * width))

    def make(self, batch):
        """Paints all pictures of several photos of one size.

        Args:
            batch: for each photo, its `plan.Pair`s and `images.Picture`.

        Yields:
            Events.
        """
        for column in zip(*(pairs for pairs, _ in batch), strict=True):
            todo = []
            for pair, (_, content) in zip(column, batch):
                task = yield from self._prepare(pair, content)
                todo += [task] if task else []
            if self._job.dry_run:
                for task in todo:
                    yield from self._plan(task)
                continue
            together = self._stylize_together(todo)
            for task in todo:
                yield from self._make(task, together.get(task.pair.output))
                if self._stop.requested:
                    return

    def _prepare(self, pair, content):
        """Returns the `tasks.Task` of a pair, or None if there is nothing to do."""
        if not self._style_cache.readable >= {*pair.styles}:
            return None
        styles = []
        for source in pair.styles:
            if not (
                style := (yield from attempt(source, self._style_cache.read, source))
            ):
                return None
            styles.append(style)
        shared = self._shared
        if pair.changes:
            shared = yield from attempt("", _load_shared, self._job, pair.changes)
            if not shared:
                return None
        job, models, init = shared
        yield from self._note(job, content, init)
        seconds = self._seconds_for(job, content, self._count - pair.index)
        task = tasks.Task(
            job,
            pair,
            content,
            styles,
            self._masks,
            init,
            models,
            self._style_cache,
            seconds,
            self._stop,
        )
        task = task._replace(account=task.describe())
        # Repeating a manifest, or asking for frames, requires painting.
        anew = (job.checksums or job.save_every or job.timelapse) and not job.resume
        if not anew and _is_done(task):
            self._writer.written.add(pair.output)
            # A process may have been killed before it could remove them.
            clear = (
                progress_folder.remove_progress
                if pair.is_film
                else snapshots.remove_checkpoint
            )
            clear(pair.output, task.account)
            yield Skipped(pair.output)
            return None
        if not (job.dry_run or pair.is_film):
            yield _started(task, self._count)
        return task

    def _note(self, job, content, init):
        """Yields notes on masks and the picture to start from, each once."""
        notes = [picture.note for picture in (*self._masks, init) if picture]
        if init:
            sizes = [picture.pixels.shape[1:3] for picture in (init, content)]
            if not images.are_alike(*sizes):
                (rows, columns), (height, width) = sizes
                notes.append(
                    f"{job.configs[-1].init} of {columns}x{rows} pixels is stretched "
                    f"to the proportions of {width}x{height}"
                )
        for note in filter(None, notes):
            if note not in self._noted:
                self._noted.add(note)
                yield Info(note)

    def _plan(self, task):
        seconds = yield from attempt(task.pair.content, self._forecast.seconds, task)
        if seconds is not None:
            if task.pair.is_film:
                seconds *= film.count_first_frames(task)
            yield Planned(task.pair.output, seconds)

    def _stylize_together(self, todo):
        """Returns {output: `tasks.Stylized`}; empty if painted one by one."""
        todo = [task for task in todo if not task.pair.is_film]
        if len(todo) < 2:
            return {}
        try:
            stylized = tasks.stylize_batch(todo)
        except Exception:
            return {}  # Painted alone, one that fails does not affect the others.
        return {task.pair.output: found for task, found in zip(todo, stylized)}

    def _make(self, task, stylized):
        job, pair, content = task.job, task.pair, task.content.pixels
        if pair.is_film:
            yield from film.make(task, self._count)
            return
        saved = snapshots.Snapshots(job, pair.output, content.shape[1:3], task.account)
        stylized = stylized or (yield from tasks.stylize(task, saved))
        if stylized:
            yield from self._writer.add(tasks.write, task, stylized, saved)

    def _seconds_for(self, job, content, pictures):
        """Returns the share of the time budget for one of the pictures left."""
        if not job.time_budget:
            return 0.0
        left = self._began + job.time_budget - time.monotonic()
        megapixels = content.pixels.size / 3e6
        # If no time is left, it gets one step, or what it starts from.
        writing = WRITING_S + WRITING_S_PER_MEGAPIXEL * megapixels
        return max(1e-3, left / pictures - writing)


def _is_done(task):
    """Tells whether a picture and its other files exist."""
    outputs = plan.outputs_of(task.pair.output, task.job)
    return manifest.is_done(outputs, task.account)


def settle(job):
    """Chooses models for `auto`.

    Returns:
        The job with them, and notes on what was chosen and why.
    """
    choices, notes = {}, []
    for method, config in zip(job.methods, job.configs):
        choices[method], note = methods.load(method).choose(config)
        # Two methods may choose the same model.
        notes += [note] if note and note not in notes else []
    return dataclasses.replace(job, **choices), notes


class _Shared(NamedTuple):
    """What pictures with the same settings share."""

    job: Job
    models: dict  # the loaded model of each method that the mode needs
    init: images.Picture | None


def _load_shared(job, changes=()):
    """Returns the `_Shared` of a job, or of one of its sweep's variations.

    Raises:
        ValueError, OSError: a model or the picture to start from is not available.
    """
    job, _ = settle(sweep.vary(job, changes))
    init, source = None, getattr(job.configs[-1], "init", "")
    if source and source not in INITS:
        init = read(job, "init", source, job.max_side)
    return _Shared(job, _load_models(job), init)


def _load_models(job):
    """Returns the model of each method that the mode needs; loaded once per process."""
    models = {
        method: methods.load_model(method, config)
        for method, config in zip(job.methods, job.configs)
    }
    for method, model in models.items():
        manifest.check(job, method, model.source, model.checksum)
    return models


def _started(task, count):
    """Returns the event of a started picture."""
    job, pair = task.job, task.pair
    started = Started(pair.index, count, pair.output.name, 0)
    if not modes.of(job).HAS_STEPS:
        return started
    content, config = task.content.pixels, job.configs[-1]
    return started._replace(
        steps=None if job.time_budget else config.steps,
        memory=methods.load(job.methods[-1]).estimate_memory(content, config),
    )
