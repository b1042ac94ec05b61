"""Asks a run to end with its best result so far."""

import math
import threading
import time
from collections.abc import Callable


class StopToken:
    """Asks running work to stop.

    Ctrl-C, a button of the page, the end of a Ray job or its own budget of seconds sets
    it. The work checks it between steps.

    Args:
        seconds: budget in seconds from now; 0: none.
        watch: called at every check; True stops the work.
    """

    def __init__(
        self, seconds: float = 0.0, watch: Callable[[], bool] | None = None
    ) -> None:
        self._event = threading.Event()
        self._watch = watch
        self._began = time.monotonic()
        self._budget = seconds or math.inf

    def reserve(self, seconds: float) -> None:
        """Takes seconds off the budget, for what has to be done after the steps."""
        self._budget = max(1e-3, self._budget - seconds)

    def set(self) -> None:
        """Asks the work to stop."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Waits for `seconds`, or until the work is asked to stop."""
        self._event.wait(seconds)

    @property
    def requested(self) -> bool:
        """Whether someone asked to stop, other than by a spent budget."""
        if self._watch is not None and not self._event.is_set() and self._watch():
            self._event.set()
        return self._event.is_set()

    @property
    def spent(self) -> float:
        """The spent share of the budget, 0 to 1; 0 without a budget."""
        return min(1.0, (time.monotonic() - self._began) / self._budget)

    def seconds_left(self, share: float = 1.0) -> float:
        """Returns the seconds until a share of the budget is spent, or infinity."""
        return self._began + share * self._budget - time.monotonic()
