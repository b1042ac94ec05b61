"""A queue of tasks that run one after the other."""

import contextlib
import threading


class Busy(ValueError):
    """Too much is being done already; it may be tried again."""


class WaitingQueue:
    """First come, first served.

    Args:
        max_waiting: tasks that may wait behind the one that is running.
    """

    def __init__(self, max_waiting):
        self._max_waiting = max_waiting
        self._tasks = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def enter(self, task):
        """Queues a task; gives a function that returns how many are ahead of it.

        Raises:
            Busy: too many are waiting.
        """
        with self._lock:
            self._drop_abandoned()
            if len(self._tasks) > self._max_waiting:
                raise Busy(
                    f"{self._max_waiting} pictures are waiting already, and no more "
                    "may; try again in a minute"
                )
            self._tasks.append(task)
        try:
            yield lambda: self._count_ahead(task)
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._tasks.remove(task)

    def _count_ahead(self, task):
        with self._lock:
            self._drop_abandoned()
            return self._tasks.index(task) if task in self._tasks else 0

    def _drop_abandoned(self):
        self._tasks = [task for task in self._tasks if not task.abandoned]
