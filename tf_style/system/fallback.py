"""Caches the choice for `auto`; a fallback only briefly, because networks recover."""

import functools
import math
import threading
import time
from collections.abc import Callable

# Seconds after which an unavailable model is requested again.
RETRY_AFTER_S = 300.0


def remembered(choose: Callable[[], tuple[str, str]]) -> Callable[[], tuple[str, str]]:
    """Decorates a function that returns a model's name and a line that says why.

    The answer is cached for the process; the fallback "builtin" for `RETRY_AFTER_S`
    only.
    """
    lock, answers = threading.Lock(), []

    @functools.wraps(choose)
    def answer():
        with lock:
            if not answers or time.monotonic() >= answers[-1][1]:
                found = choose()
                lasts = RETRY_AFTER_S if found[0] == "builtin" else math.inf
                answers[:] = [(found, time.monotonic() + lasts)]
            return answers[-1][0]

    answer.cache_clear = answers.clear  # type: ignore[attr-defined]
    return answer
