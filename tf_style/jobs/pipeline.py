"""Reading and writing beside the painting, a few pictures ahead and behind."""

import collections
import concurrent.futures
import contextlib
import itertools
import os
import sys
import threading

from tf_style.jobs.events import Written

# Pictures that are read before they are needed, and made before they are written.
AHEAD = 2


def _yield_to_others():
    """Lets this thread run when others wait, where Linux has niceness for threads.

    A convolution that shares its cores with it would wait for its slower half.
    """
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


@contextlib.contextmanager
def read_ahead(read, sources):
    """Gives an iterator of (source, function that returns what `read(source)` gave)."""
    with concurrent.futures.ThreadPoolExecutor(1, initializer=_yield_to_others) as pool:

        def found():
            waiting = collections.deque()
            for source in sources:
                waiting.append((source, pool.submit(read, source).result))
                if len(waiting) > AHEAD:
                    yield waiting.popleft()
            yield from waiting

        try:
            yield found()
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def ahead(items):
    """Gives an iterator of what the iterator `items` makes, in a thread."""
    with read_ahead(lambda _: next(items, None), itertools.repeat(None)) as found:
        made = (result() for _, result in found)
        yield itertools.takewhile(lambda item: item is not None, made)


class Writer(contextlib.AbstractContextManager):
    """Writes in a thread what is made, and yields the events later.

    Args:
        behind: pictures that may wait for it.

    Attributes:
        written: paths of what is there.
    """

    def __init__(self, behind):
        pool = concurrent.futures.ThreadPoolExecutor
        self._pool = pool(1, initializer=_yield_to_others)
        self._waiting = collections.deque()
        self._behind = behind
        self.written = set()

    def add(self, write, *arguments):
        """Has `write` called, which returns events; yields those of earlier calls."""
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
        # What was made before an interrupt is written all the same.
        self._pool.shutdown()
