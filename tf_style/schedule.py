"""Which sizes the slow path works at, from coarse to fine, and how long at each."""

import itertools
import math
import sys
import time
from typing import NamedTuple

import numpy as np

from tf_style import objective

# Longest side of the first of as many sizes as a picture needs: where the large strokes
# are laid, whatever the size it will come to.
COARSEST_SIDE = 256


class Scale(NamedTuple):
    """A size to work at, and how long."""

    size: tuple[int, int]
    start: int  # updates made when it begins and when it ends, over all scales
    stop: int
    last: bool
    before: float  # shares of the work that are done when it begins and when it ends;
    after: float  # a step costs as much as the scale has pixels
    growth: float  # pixels of the next scale, as a multiple of its own

    def progress(self, index):
        """Returns the share of the work that is done after `index` updates."""
        share = (index - self.start) / (self.stop - self.start)
        return self.before + share * (self.after - self.before)


def plan(content, styles, extract, config):
    """Shares the steps, or the time budget, among sizes.

    Args:
        content: photo, [1, H, W, 3].
        styles: paintings, [1, H', W', 3] each.
        extract: the backbone, which cannot see pictures that are too small.
        config: a `GatysConfig`.

    Returns:
        A list of `Scale`, from coarse to fine.
    """
    sizes = _pyramid(content, styles, extract, config)
    # A time budget gives all sizes the time for as many.
    steps = len(sizes) if config.time_budget else config.steps
    parts = np.array_split(range(steps), len(sizes))
    pixels = [height * width for height, width in sizes]
    work = np.cumsum([0] + [len(p) * n for p, n in zip(parts, pixels, strict=True)])
    scales = []
    for number, (size, part) in enumerate(zip(sizes, parts)):
        start, stop = int(part[0]), int(part[-1]) + 1
        if config.time_budget:  # It ends a scale before that many steps.
            start, stop = 0, sys.maxsize
        before, after = work[number : number + 2] / work[-1]
        last = number == len(sizes) - 1
        growth = 1.0 if last else pixels[number + 1] / pixels[number]
        scales.append(Scale(size, start, stop, last, before, after, growth))
    return scales


class Clock:
    """Counts the seconds of a time budget; 0 stands for no end."""

    def __init__(self, budget):
        self._began = time.monotonic()
        self._budget = budget or np.inf

    def left(self, share=1.0):
        """Returns seconds until so much of the budget is spent."""
        return self._began + share * self._budget - time.monotonic()

    def passed(self):
        """Returns the share of the budget that is spent."""
        return min(1.0, (time.monotonic() - self._began) / self._budget)


def _pyramid(content, styles, extract, config):
    """Sizes to work at, each twice the one before, that the backbone can see."""
    longest = max(content.shape[1:3])
    scales = config.scales or 1 + max(0, math.ceil(math.log2(longest / COARSEST_SIDE)))
    sizes = [
        tuple(max(1, round(side / 2**halvings)) for side in content.shape[1:3])
        for halvings in reversed(range(scales))
    ]

    def shortest(size):
        scaled = [objective.scale_style(content, s, size, config) for s in styles]
        return min(*size, *itertools.chain(*scaled))

    sizes = list(dict.fromkeys(sizes))  # A pixel cannot be halved.
    sizes = [s for s in sizes if shortest(s) >= extract.least_size] or sizes[-1:]
    if config.time_budget:
        return sizes
    return sizes[-config.steps :]  # none goes without a step
