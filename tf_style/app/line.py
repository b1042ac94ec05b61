"""A line of tasks that have their turn one after the other."""

import contextlib
import threading


class Line:
    """First come, first served.

    Args:
        most_waiting: tasks that may stand behind the one whose turn it is.
    """

    def __init__(self, most_waiting):
        self._most_waiting = most_waiting
        self._tasks = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def place(self, task):
        """Gives a function that returns how many tasks are still before this one.

        Raises:
            ValueError: too many are waiting.
        """
        with self._lock:
            self._forget_abandoned()
            if len(self._tasks) > self._most_waiting:
                raise ValueError(
                    f"{self._most_waiting} pictures are waiting already, and no more "
                    "may; try again in a minute"
                )
            self._tasks.append(task)
        try:
            yield lambda: self._before(task)
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._tasks.remove(task)

    def _before(self, task):
        with self._lock:
            self._forget_abandoned()
            return self._tasks.index(task) if task in self._tasks else 0

    def _forget_abandoned(self):
        self._tasks = [task for task in self._tasks if not task.abandoned]
