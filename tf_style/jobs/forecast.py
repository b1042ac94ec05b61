"""Estimates how long pictures will take, from a short trial on the first."""

import dataclasses
import itertools
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
            total += self._rates[method] * _work(slow, content, style, config)
        return total


def _try_hub(content, code, config):
    for _ in range(2):
        began = time.perf_counter()
        hub.stylize(content, code, config)
    return (time.perf_counter() - began) / _pixels(content)


def _try_steps(slow, content, style, config):
    config = dataclasses.replace(config, init="content", scales=1, steps=TRIAL_STEPS)
    if max(content.shape[1:3]) > TRIAL_SIDE:
        content = images.fit_longest(content, TRIAL_SIDE)
    times = [time.perf_counter() for _ in slow.iterate(content, style, config)]
    fastest = min(after - before for before, after in itertools.pairwise(times))
    return fastest / _pixels(content)


def _work(slow, content, style, config):
    """Returns pixels times steps, over all scales."""
    scales = slow.plan_scales(content, style, config)
    return sum((s.stop - s.start) * s.size[0] * s.size[1] for s in scales)


def _pixels(content):
    return content.shape[1] * content.shape[2]
