"""Reads and writes in threads, a few pictures ahead of and behind the painting."""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import queue
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
def read_ahead(read, sources, count=AHEAD, wait=False):
    """Yields (source, function that returns the result of `read(source)`).

    Up to `count` of them are read before they are asked for. Whoever leaves early does
    not wait for the one that is being read, which may come from a server that stalls,
    unless with `wait`.
    """
    asked, waiting = queue.SimpleQueue(), collections.deque()
    # An executor's threads would be waited for at the end of the program.
    thread = threading.Thread(target=_read_all, args=(read, asked), daemon=True)
    thread.start()

    def found():
        for source in sources:
            future = concurrent.futures.Future()
            asked.put((source, future))
            waiting.append((source, future))
            if len(waiting) > count:
                yield take()
        while waiting:
            yield take()

    def take():
        source, future = waiting.popleft()
        return source, future.result

    try:
        yield found()
    finally:
        for _, future in waiting:
            future.cancel()
        asked.put((None, None))
        if wait:
            thread.join()


def _read_all(read, asked):
    """Reads what is asked for, until nothing more is."""
    _yield_to_others()
    while (request := asked.get()) != (None, None):
        source, future = request
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(read(source))
            except BaseException as error:
                future.set_exception(error)


@contextlib.contextmanager
def ahead(items, count=AHEAD):
    """Runs the iterator `items` in a thread, and yields its items."""
    with read_ahead(
        lambda _: next(items, None), itertools.repeat(None), count, wait=True
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
