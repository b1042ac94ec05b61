"""One picture of a job: painted, and written with all that comes with it."""

import dataclasses
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import compare, files, gatys, hub, images, manifest, plan, trail
from tf_style.events import Failed, Kept, Written


class Painted(NamedTuple):
    """A picture, and what else is known about it."""

    picture: np.ndarray  # [1, H, W, 3]
    facts: dict  # for the manifest
    interrupted: bool = False
    comparison: compare.Comparison | None = None


def _inputs(job, pair, content, styles, init):
    """Returns source and SHA-256 of all pictures that go into a pair, by name."""
    inputs = {"content": (pair.content, content.sha256)}
    if init:
        inputs["init"] = (job.gatys.init, init.sha256)
    named = zip(manifest.style_names(len(styles)), pair.styles, styles)
    return inputs | {name: (source, style.sha256) for name, source, style in named}


def make(job, pair, content, paintings, init, models, seconds):
    """Paints and writes one pair; returns what was painted, or None if it failed.

    Raises KeyboardInterrupt after that, if it came while painting.
    """
    size = content.pixels.shape[1:3]
    made, interrupted = None, False
    try:
        styles = [paintings.read(source) for source in pair.styles]
        inputs = _inputs(job, pair, content, styles, init)
        account = manifest.describe(job, inputs, models)
        if job.resume and manifest.is_done(pair.output, account):
            yield Kept(pair.output)
            return Painted(images.load_image(pair.output), {})
        images.writing_format(pair.output, size)
        began = time.perf_counter()
        way = trail.Trail(job, pair.output, size, account)
        painted = yield from _paint(job, pair, content, paintings, init, way, seconds)
        interrupted = painted.interrupted
        facts = {
            "size": list(size[::-1]),
            "seconds": time.perf_counter() - began,
            **painted.facts,
        }
        written = _write(pair, content, styles[0], painted)
        manifest.write(account, pair.output, facts)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        yield Failed(
            f"{pair.content}: not enough memory for {size[1]}x{size[0]} pixels; "
            "make it smaller with --max_side, or work on pieces with --tile=256"
        )
    except (ValueError, OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())
        style = " and ".join(pair.styles)
        yield Failed(f"{pair.content} in the style of {style}: {reason}")
    else:
        for path in written:
            yield Written(path, facts["seconds"] if path == pair.output else None)
        made = painted
        yield from _finish(way, painted)
    if interrupted:
        raise KeyboardInterrupt
    return made


def _finish(way, painted):
    """Makes the film of a picture that is written already."""
    try:
        films = way.finish(painted)
    except (ValueError, OSError) as error:
        yield Failed(f"the picture is written, but {error}")
    else:
        for path in films:
            yield Written(path, None)


def _paint(job, pair, content, paintings, init, way, seconds):
    """Yields the steps of the slow path, if it is wanted; returns a `Painted`."""
    first = init.pixels if init else None
    if "hub" in job.engines and job.mode != "compare":
        code = paintings.encode(pair.styles, job.hub)
        first = hub.stylize(content.pixels, code, job.hub)
    if job.mode == "hub":
        return Painted(first, {})
    config = dataclasses.replace(job.gatys, time_budget=seconds)
    inputs = (content.pixels, paintings.read(pair.styles[0]).pixels, config)
    if job.mode == "compare":
        result = yield from compare.iterate(*inputs, job.hub, first, way.follow)
        facts = compare.to_json(result)
        return Painted(result.slow.picture, facts, result.interrupted, result)
    steps = way.follow(gatys.iterate(*inputs, first, way.resume()))
    step, notes, interrupted = yield from gatys.until_interrupted(steps)
    if interrupted:
        notes += way.stop(step)
    facts = {
        "losses": step.best_losses,
        "steps": step.index,
        "notes": notes,
        "interrupted": interrupted,
    }
    return Painted(gatys.finish(step, content.pixels), facts, interrupted)


def _write(pair, content, style, painted):
    """Writes a picture, or panel, both pictures and the plot; returns their paths."""
    result = painted.comparison
    if not result:
        images.save_image(pair.output, painted.picture, content.alpha)
        return [pair.output]
    parts = plan.parts(pair.output)
    panel = compare.draw_panel(content.pixels, style.pixels, result)
    images.save_image(pair.output, panel)
    images.save_image(parts.fast, result.fast.picture, content.alpha)
    images.save_image(parts.slow, result.slow.picture, content.alpha)
    with files.replacing(parts.plot) as temporary:
        compare.save_plot(temporary, result)
    return [pair.output, *parts]
