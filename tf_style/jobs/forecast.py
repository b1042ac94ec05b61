"""Estimates how long pictures will take, from a short trial on the first."""

import dataclasses
import itertools
import math
import time

from tf_style import images, methods
from tf_style.fast import hub

# The first step compiles; use the fastest of the others.
TRIAL_STEPS = 3
# Longest side of the trial; time per pixel is the same for larger pictures.
TRIAL_SIDE = 512


class Forecast:
    """Estimates the time of the pictures of one job."""

    def __init__(self):
        self._rates = {}  # seconds per pixel and step, by method

    def seconds(self, task):
        """Returns the estimated seconds of a `tasks.Task`."""
        content, total = task.content.pixels, 0.0
        if task.job.time_budget:
            return task.seconds
        for method, config in zip(task.job.methods, task.job.configs):
            if method == "hub":
                if method not in self._rates:
                    self._rates[method] = _try_hub(content, task.encode(), config)
                total += self._rates[method] * _pixels(content)
                continue
            slow, style = methods.load(method), task.encode_slow(method)
            if method not in self._rates:
                self._rates[method] = _try_steps(slow, content, style, config)
            step, start = self._rates[method]
            steps, starts = _work(slow, content, style, config)
            total += step * steps + start * starts
        return total


def _try_hub(content, code, config):
    for _ in range(2):
        began = time.perf_counter()
        hub.stylize(content, code, config)
    return (time.perf_counter() - began) / _pixels(content)


def _try_steps(slow, content, style, config):
    """Returns the seconds a pixel of a step, and those that the first takes more."""
    config = dataclasses.replace(config, init="content", scales=1, steps=TRIAL_STEPS)
    content = images.limit_longest(content, TRIAL_SIDE)
    for _ in range(2):  # The first run compiles.
        times = [time.perf_counter()]
        times += [time.perf_counter() for _ in slow.iterate(content, style, config)]
    first, *others = (after - before for before, after in itertools.pairwise(times))
    step = min(others)
    return step / _pixels(content), max(0, first - step) / _pixels(content)


def _work(slow, content, style, config):
    """Returns pixels times steps, and times starts, over all scales."""
    scales = slow.plan_scales(content, style, config)
    # It finds its targets at the start of a scale, and some again on the way.
    every = getattr(slow, "FIND_EVERY", 0)
    steps = starts = 0
    for scale in scales:
        count, (height, width) = scale.stop - scale.start, scale.size
        steps += count * height * width
        starts += (math.ceil(count / every) if every else 1) * height * width
    return steps, starts


def _pixels(content):
    return content.shape[1] * content.shape[2]
