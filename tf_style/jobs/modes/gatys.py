"""Mode gatys: the pixels are optimised, Gatys et al. (2016)."""

import dataclasses
import time

from tf_style.jobs.modes.hub import draw, parts, picture_path

__all__ = ["draw", "parts", "picture_path", "stylize", "stylize_film"]

HELP = "the classic optimisation, in minutes"
METHODS = ("gatys",)
# Optimising costs thousands of times more per pixel than one pass.
MAX_SIDE = 512
HAS_STEPS = HAS_CHECKPOINTS = MAKES_FILMS = True
IS_QUICK = False


def stylize(task, snapshots):
    """See `modes`."""
    from tf_style import methods
    from tf_style.jobs.events import Info
    from tf_style.jobs.tasks import Stylized

    began, content = time.perf_counter(), task.content.pixels
    method = methods.load(task.job.methods[-1])
    config = dataclasses.replace(task.job.configs[-1], time_budget=task.seconds)
    state, notes = snapshots.resume()
    yield from map(Info, notes)
    steps = method.iterate(
        content,
        task.encode_slow(),
        config,
        masks=task.mask_pixels,
        init=task.first_picture(content),
        state=state,
        stop=task.stop,
    )
    notes = []
    for step in snapshots.follow(steps):
        notes += [step.note] if step.note else []
        yield step
    interrupted = task.stop.requested
    if interrupted:
        notes += snapshots.stop(step)
    facts = {
        "losses": step.best_losses,
        "steps": step.index,
        "notes": notes,
        "interrupted": interrupted,
    }
    picture = method.finish(step, content, config, masks=task.mask_pixels)
    return Stylized(picture, time.perf_counter() - began, facts, interrupted)


def stylize_film(task, shots, state):
    """See `modes`."""
    from tf_style import methods
    from tf_style.video import stylize

    return stylize.by_optimizing(
        shots,
        methods.load(task.job.methods[-1]),
        task.encode_slow(),
        task.job.configs[-1],
        state,
        first=task.content.pixels,
        masks=task.fitted_masks,
        keyframes=task.job.keyframes,
        init_of=task.first_picture,
        stop=task.stop,
    )
