"""How long pictures will take, from a short trial on the first."""

import dataclasses
import time

from tf_style import images
from tf_style.fast import hub
from tf_style.optimization import gatys

# The first step compiles; of the others the fastest is taken.
TRIAL_STEPS = 3
# Longest side at which steps are tried; a pixel of a larger picture takes as long.
TRIAL_SIDE = 512


class Forecast:
    """Tells how long pictures of one job will take."""

    def __init__(self):
        self._rates = {}  # seconds a pixel, and a step, by method

    def seconds(self, task):
        """Returns about how many seconds a `tasks.Task` will take."""
        job, content, total = task.job, task.content.pixels, 0.0
        if "hub" in job.methods:
            if "hub" not in self._rates:
                self._rates["hub"] = _try_hub(content, task.encode(), job.hub)
            total += self._rates["hub"] * _pixels(content)
        if "gatys" in job.methods:
            if job.gatys.time_budget:
                return task.seconds
            style = task.encode_slow()
            if "gatys" not in self._rates:
                self._rates["gatys"] = _try_gatys(content, style, job.gatys)
            total += self._rates["gatys"] * _work(content, style, job.gatys)
        return total


def _try_hub(content, code, config):
    for _ in range(2):
        began = time.perf_counter()
        hub.stylize(content, code, config)
    return (time.perf_counter() - began) / _pixels(content)


def _try_gatys(content, style, config):
    config = dataclasses.replace(config, init="content", scales=1, steps=TRIAL_STEPS)
    if max(content.shape[1:3]) > TRIAL_SIDE:
        content = images.fit_longest(content, TRIAL_SIDE)
    times = [time.perf_counter() for _ in gatys.iterate(content, style, config)]
    fastest = min(after - before for before, after in zip(times, times[1:]))
    return fastest / _pixels(content)


def _work(content, style, config):
    """Returns pixels times steps, over all scales."""
    scales = gatys.plan_scales(content, style, config)
    return sum((s.stop - s.start) * s.size[0] * s.size[1] for s in scales)


def _pixels(content):
    return content.shape[1] * content.shape[2]
