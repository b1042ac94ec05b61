"""A queue of tasks that run one after the other."""

import contextlib

from tf_style.app.errors import Refused


class WaitingQueue:
    """First come, first served."""

    def __init__(self, max_waiting):
        self._max_waiting = max_waiting  # behind the one that is running
        self._tasks = []

    @contextlib.contextmanager
    def turn(self, task):
        """Waits for the turn of a `sessions.Task`; gives whether it still wants it.

        Raises:
            Refused: too many are waiting.
        """
        if _count(self._tasks) > self._max_waiting:
            raise Refused("busy")
        self._tasks.append(task)
        try:
            told = 0
            while (ahead := self._count_ahead(task)) and not task.stop.requested:
                if ahead != told:
                    task.update(status="queued", ahead=ahead)
                told = ahead
                task.stop.wait(0.05)
            if not task.stop.requested:
                task.update(status="painting", ahead=0)
            yield not task.stop.requested
        finally:
            self._tasks.remove(task)

    def _count_ahead(self, task):
        return _count(self._tasks[: self._tasks.index(task)])


def _count(tasks):
    return sum(not task.abandoned for task in tasks)
