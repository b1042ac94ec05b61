"""How a run is asked to end with the best that it has."""

import math
import threading
import time
from collections.abc import Callable


class StopToken:
    """Shared by whoever runs something and whoever may want it to end.

    It is set by Ctrl-C, by a button of the page, by the end of a Ray job, or by its own
    budget of seconds. Whoever does the work looks at it between steps.

    Args:
        seconds: budget from now on; 0: none.
        watch: called whenever somebody looks; True asks to end.
    """

    def __init__(
        self, seconds: float = 0.0, watch: Callable[[], bool] | None = None
    ) -> None:
        self._event = threading.Event()
        self._watch = watch
        self._began = time.monotonic()
        self._budget = seconds or math.inf

    def set(self) -> None:
        """Asks the work to end."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Waits for so long, or until somebody asks for the end."""
        self._event.wait(seconds)

    @property
    def requested(self) -> bool:
        """Whether somebody asked for the end, rather than the budget's being spent."""
        if self._watch is not None and not self._event.is_set() and self._watch():
            self._event.set()
        return self._event.is_set()

    @property
    def spent(self) -> float:
        """The share of the budget that is spent, 0 to 1; 0 without a budget."""
        return min(1.0, (time.monotonic() - self._began) / self._budget)

    def seconds_left(self, share: float = 1.0) -> float:
        """Returns the seconds until so much of the budget is spent, or infinity."""
        return self._began + share * self._budget - time.monotonic()
