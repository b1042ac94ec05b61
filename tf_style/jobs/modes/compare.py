"""Mode compare: all methods on one pair, measured alike, in a panel."""

import dataclasses
import time

from tf_style import methods

HELP = "all of them, measured alike"
METHODS = tuple(methods.METHODS)
MAX_SIDE = 512
HAS_STEPS = True
HAS_CHECKPOINTS = IS_QUICK = MAKES_FILMS = False


def pictures(output):
    """Returns the path of each method's picture, beside the panel `output`."""
    return {
        method: output.with_name(f"{output.stem}_{method}{output.suffix}")
        for method in METHODS
    }


def parts(output):
    """See `modes`."""
    return *pictures(output).values(), output.with_name(f"{output.stem}_loss.png")


def picture_path(output):
    """See `modes`."""
    return pictures(output)[METHODS[-1]]


def stylize(task, snapshots):
    """See `modes`."""
    from tf_style import compare
    from tf_style.jobs.events import Info
    from tf_style.jobs.tasks import Stylized

    began = time.perf_counter()
    result = yield from compare.iterate(
        task.content.pixels,
        [style.pixels for style in task.styles],
        *_configs(task),
        masks=task.mask_pixels,
        init=task.init.pixels if task.init else None,
        stop=task.stop,
        follow=snapshots.follow,
    )
    seconds, facts = time.perf_counter() - began, compare.to_json(result)
    yield from map(Info, compare.to_lines(result))
    picture = result.results[METHODS[-1]].picture
    return Stylized(picture, seconds, facts, result.interrupted, result)


def _configs(task):
    """Yields the config of each method, which has the seconds that the picture has."""
    for config in task.job.configs:
        if task.seconds and getattr(config, "time_budget", 0):
            config = dataclasses.replace(config, time_budget=task.seconds)
        yield config


def draw(task, stylized, paths):
    """See `modes`."""
    from tf_style import compare, images

    result = stylized.comparison
    styles = [style.pixels for style in task.styles]
    panel, *others, (plot, _) = paths
    drawn = compare.draw_panel(task.content.pixels, styles, result)
    images.write_image(panel[0], drawn, None, panel[1], task.job.quality)
    for (path, output), made in zip(others, result.results.values(), strict=True):
        task.write_image(path, made.picture, output)
    compare.save_plot(plot, result)
