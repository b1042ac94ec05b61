"""Mode hub: one pass of a model that was trained for any style."""

import time

HELP = "one pass of a network, well under a second"
METHODS = ("hub",)
MAX_SIDE = 0
HAS_STEPS = HAS_CHECKPOINTS = False
IS_QUICK = MAKES_FILMS = True


def parts(output):
    """See `modes`."""
    return ()


def picture_path(output):
    """See `modes`."""
    return output


def stylize(task, snapshots):
    """See `modes`."""
    from tf_style.fast import hub
    from tf_style.jobs.tasks import Stylized

    began = time.perf_counter()
    picture = hub.stylize(
        task.content.pixels, task.encode(), task.job.hub, masks=task.mask_pixels
    )
    return Stylized(picture, time.perf_counter() - began, {})
    yield  # It has no steps.


def stylize_film(task, shots, state):
    """See `modes`."""
    from tf_style.video import stylize

    pixels = task.content.pixels.size // 3
    return stylize.by_hub(
        shots,
        task.encode(),
        task.job.hub,
        state,
        masks=task.fitted_masks,
        with_flow=task.job.flow,
        at_once=max(1, task.models["hub"].batch_pixels // pixels),
        stop=task.stop,
    )


def draw(task, stylized, paths):
    """See `modes`."""
    ((path, output),) = paths
    task.write_image(path, stylized.picture, output)
