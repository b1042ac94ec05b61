"""Mode compare: the methods on one pair, measured alike, in a panel."""

import dataclasses
import time
from pathlib import Path
from typing import NamedTuple

HELP = "both"
METHODS = ("hub", "gatys")
MAX_SIDE = 512
HAS_STEPS = True
HAS_CHECKPOINTS = IS_QUICK = MAKES_FILMS = False


class Parts(NamedTuple):
    """Where the parts of a comparison stand beside its panel."""

    fast: Path
    slow: Path
    plot: Path


def parts(output):
    """Returns the `Parts` of a comparison whose panel is `output`."""
    names = (f"hub{output.suffix}", f"gatys{output.suffix}", "loss.png")
    return Parts(*(output.with_name(f"{output.stem}_{name}") for name in names))


def picture_path(output):
    """See `modes`."""
    return parts(output).slow


def stylize(task, snapshots):
    """See `modes`."""
    from tf_style import compare
    from tf_style.jobs.tasks import Stylized

    began = time.perf_counter()
    result = yield from compare.iterate(
        task.content.pixels,
        [style.pixels for style in task.styles],
        dataclasses.replace(task.job.gatys, time_budget=task.seconds),
        task.job.hub,
        masks=task.mask_pixels,
        init=task.init.pixels if task.init else None,
        stop=task.stop,
        follow=snapshots.follow,
    )
    seconds, facts = time.perf_counter() - began, compare.to_json(result)
    return Stylized(result.slow.picture, seconds, facts, result.interrupted, result)


def draw(task, stylized, paths):
    """See `modes`."""
    from tf_style import compare, images

    result, alpha, quality = stylized.comparison, task.content.alpha, task.job.quality
    styles = [style.pixels for style in task.styles]
    panel, fast, slow, (plot, _) = paths
    drawn = compare.draw_panel(task.content.pixels, styles, result)
    images.write_image(panel[0], drawn, None, panel[1], quality)
    for (path, output), side in ((fast, result.fast), (slow, result.slow)):
        images.write_image(path, side.picture, alpha, output, quality)
    compare.save_plot(plot, result)
