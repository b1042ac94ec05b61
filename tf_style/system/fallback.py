"""Remembering what `auto` came to: a fallback only for a while, as networks recover."""

import functools
import math
import threading
import time
from collections.abc import Callable

# Seconds after which what could not be had is asked for again.
RETRY_AFTER_S = 300.0


def remembered(choose: Callable[[], tuple[str, str]]) -> Callable[[], tuple[str, str]]:
    """Decorates a function that names what is used here, and says why in a line.

    Its answer holds for the rest of the process; "builtin", the answer where nothing
    else can be had, holds for `RETRY_AFTER_S`.
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
