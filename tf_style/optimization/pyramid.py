"""The sizes that a slow method works at, from coarse to fine, and for how long."""

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tf_style import images
from tf_style.images import Pixels

# Longest side of the first size when their number is automatic. Large strokes form
# there, whatever the final size.
COARSEST_SIDE = 256
# Longest side up to which the fast model paints the photo. Strokes are as small in
# larger pictures, which looked more like photos the larger they were.
FAST_SIDE = 1024
# Side in pixels of the spots that keep their mean colour when a result is repainted.
KEPT = 8


class Scale(NamedTuple):
    """A size to work at, and for how long."""

    size: tuple[int, int]  # height and width
    start: int  # updates, over all scales, before and after it
    stop: int
    last: bool
    before: float  # shares of the work that are done when it begins and when it ends;
    after: float  # a step costs as much as the scale has pixels
    growth: float  # number of pixels of the next scale, relative to its own

    def progress(self, index):
        """Returns the share of the work that is done after `index` updates."""
        share = (index - self.start) / (self.stop - self.start)
        return self.before + share * (self.after - self.before)


def plan(size, config, is_seen):
    """Shares the steps, or the time budget, among sizes.

    Args:
        size: height and width of the photo.
        config: has `steps`, `time_budget` and `scales`.
        is_seen: tells whether pictures of a size, and their styles, are large enough
            for the network.

    Returns:
        A list of `Scale`, from coarse to fine.
    """
    sizes = _sizes(size, config, is_seen)
    # With a time budget, all sizes get the time for equally many steps.
    steps = len(sizes) if config.time_budget else config.steps
    parts = np.array_split(range(steps), len(sizes))
    pixels = [height * width for height, width in sizes]
    work = np.cumsum([0] + [len(p) * n for p, n in zip(parts, pixels, strict=True)])
    scales = []
    for number, (size, part) in enumerate(zip(sizes, parts)):
        start, stop = int(part[0]), int(part[-1]) + 1
        if config.time_budget:  # The time ends a scale before that many steps.
            start, stop = 0, sys.maxsize
        before, after = work[number : number + 2] / work[-1]
        last = number == len(sizes) - 1
        growth = 1.0 if last else pixels[number + 1] / pixels[number]
        scales.append(Scale(size, start, stop, last, before, after, growth))
    return scales


def _sizes(size, config, is_seen):
    """Returns sizes, doubling, that are large enough for the network."""
    scales = config.scales
    scales = scales or 1 + max(0, math.ceil(math.log2(max(size) / COARSEST_SIDE)))
    sizes = [
        tuple(max(1, round(side / 2**halvings)) for side in size)
        for halvings in reversed(range(scales))
    ]
    sizes = list(dict.fromkeys(sizes))  # A pixel cannot be halved.
    sizes = [s for s in sizes if is_seen(s)] or sizes[-1:]
    if config.time_budget:
        return sizes
    return sizes[-config.steps :]  # none goes without a step


def enlarge(
    image: Pixels,
    height: int,
    width: int,
    detail: Pixels,
    repaint: Callable[[Pixels], Pixels] | None = None,
) -> Pixels:
    """Brings a result to a size, and makes it as sharp as that size allows.

    Args:
        image: [1, H, W, 3].
        height, width: to reach.
        detail: picture, [1, H', W', 3], whose fine detail is added.
        repaint: returns a picture of the same size with detail of its own, which takes
            the place of `detail` in pictures larger than `FAST_SIDE`.

    Returns:
        float32 [1, height, width, 3] in [0, 1].
    """
    if height * width <= math.prod(image.shape[1:3]):
        return images.resize(image, height, width)
    if repaint is None or max(height, width) <= FAST_SIDE:
        fine = images.resize(detail, height, width)
        blurred = _blurred(detail, image.shape[1:3], (height, width))
        return np.clip(images.resize(image, height, width) + fine - blurred, 0, 1)
    if max(image.shape[1:3]) < FAST_SIDE:
        rows, columns = images.fit((height, width), FAST_SIDE)
        image = enlarge(image, rows, columns, detail)
    enlarged = images.resize(image, height, width)
    fresh = repaint(enlarged)
    through = [max(1, side // KEPT) for side in (height, width)]
    kept, lost = (_blurred(p, through, (height, width)) for p in (enlarged, fresh))
    return np.clip(fresh + kept - lost, 0, 1)


def _blurred(picture, through, size):
    """Returns a picture at a size, without detail that is too fine for another."""
    return images.resize(images.resize(picture, *through), *size)
