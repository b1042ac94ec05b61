"""Reads and writes in threads, a few pictures ahead of and behind the painting."""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import sys
import threading

from tf_style.jobs.events import Written

# Number of pictures that are read ahead, and that wait to be written.
AHEAD = 2


def _yield_to_others():
    """Lowers this thread's priority, on Linux.

    A convolution that shares a core with it would have to wait for its slower half.
    """
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


@contextlib.contextmanager
def read_ahead(read, sources, count=AHEAD):
    """Yields (source, function that returns the result of `read(source)`).

    Up to `count` of them are read before they are asked for.
    """
    with concurrent.futures.ThreadPoolExecutor(1, initializer=_yield_to_others) as pool:

        def found():
            waiting = collections.deque()
            for source in sources:
                waiting.append((source, pool.submit(read, source).result))
                if len(waiting) > count:
                    yield waiting.popleft()
            yield from waiting

        try:
            yield found()
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def ahead(items, count=AHEAD):
    """Runs the iterator `items` in a thread, and yields its items."""
    with read_ahead(
        lambda _: next(items, None), itertools.repeat(None), count
    ) as found:
        made = (result() for _, result in found)
        yield itertools.takewhile(lambda item: item is not None, made)


class Writer(contextlib.AbstractContextManager):
    """Writes results in a thread, and yields their events later.

    Args:
        behind: number of pictures that may wait.

    Attributes:
        written: paths of the written files.
    """

    def __init__(self, behind):
        pool = concurrent.futures.ThreadPoolExecutor
        self._pool = pool(1, initializer=_yield_to_others)
        self._waiting = collections.deque()
        self._behind = behind
        self.written = set()

    def add(self, write, *arguments):
        """Queues a call of `write`; yields the events of earlier calls."""
        self._waiting.append(self._pool.submit(write, *arguments))
        yield from self.finish(self._behind)

    def finish(self, behind=0):
        """Yields events until no more than so many calls are left."""
        while len(self._waiting) > behind:
            for event in self._waiting.popleft().result():
                if isinstance(event, Written):
                    self.written.add(event.path)
                yield event

    def __exit__(self, *_):
        # Finished pictures are written even after an interrupt.
        self._pool.shutdown()
