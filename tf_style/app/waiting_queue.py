"""A queue of tasks that run one after the other."""

import contextlib

from tf_style.app.errors import Refused


class WaitingQueue:
    """First come, first served."""

    def __init__(self, max_waiting):
        self._max_waiting = max_waiting  # behind the one that is running
        self._tasks = []

    @contextlib.contextmanager
    def enter(self, task):
        """Queues a task; gives a function that returns how many are ahead of it.

        Raises:
            Refused: too many are waiting.
        """
        if _count(self._tasks) > self._max_waiting:
            raise Refused("busy")
        self._tasks.append(task)
        try:
            yield lambda: _count(self._tasks[: self._tasks.index(task)])
        finally:
            self._tasks.remove(task)


def _count(tasks):
    return sum(not task.abandoned for task in tasks)
