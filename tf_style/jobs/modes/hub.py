"""Mode hub: one pass of a model that was trained for any style."""

import time

HELP = "one pass"
MAX_SIDE = 0
HAS_STEPS = HAS_CHECKPOINTS = False
IS_QUICK = MAKES_FILMS = True


def methods(init):
    """See `modes`."""
    return ("hub",)


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


def draw(task, stylized, paths):
    """See `modes`."""
    from tf_style import images

    ((path, output),) = paths
    images.write_image(path, stylized.picture, task.content.alpha, output)
