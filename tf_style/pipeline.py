"""Reading and writing beside the painting, a few pictures ahead and behind."""

import collections
import concurrent.futures
import contextlib

from tf_style.events import Written

# Pictures that are read before they are needed, and painted before they are written.
AHEAD = 2


@contextlib.contextmanager
def read_ahead(read, sources):
    """Gives an iterator of (source, function that returns what `read(source)` gave)."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

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


class Writer(contextlib.AbstractContextManager):
    """Writes in a thread what is painted, and tells of it later.

    Args:
        behind: pictures that may wait for it.

    Attributes:
        written: paths of what is there.
    """

    def __init__(self, behind):
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
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
        # What was painted before an interrupt is written all the same.
        self._pool.shutdown()
