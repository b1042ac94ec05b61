"""A file system that fails, or kills the process, at the n-th thing it is asked for.

Python tells hooks of every file that is opened, renamed, removed or changed (PEP 578),
whoever asks: our code, Pillow, NumPy or the standard library. What is written is seen
by a file object of our own.
"""

import builtins
import contextlib
import io
import os
import signal
import sys

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate")


class Faults:
    """Counts what is asked of a folder, and lets one of these fail.

    Args:
        folder: nothing outside it is counted or harmed.

    Attributes:
        asked: what was asked for so far, a list of lines.
    """

    def __init__(self, folder):
        self.asked = []
        self._folder = str(folder)
        self._fails_at = self._failure = None

    @contextlib.contextmanager
    def watching(self, fails_at=None, failure=None):
        """Watches; number `fails_at` meets `failure`, a function, which may raise."""
        self.asked, self._fails_at, self._failure = [], fails_at, failure
        _Hook.current = self
        opened = builtins.open
        builtins.open = io.open = _opener(self, opened)
        try:
            yield self
        finally:
            builtins.open = io.open = opened
            _Hook.current = None

    def ask(self, what, path):
        """Counts one thing, and fails if it is its turn."""
        if not _lies_in(path, self._folder):
            return
        self.asked.append(f"{what} {os.path.basename(os.fsdecode(path))}")
        if len(self.asked) - 1 == self._fails_at:
            self._failure()


def raises(number):
    """Returns a failure: an OSError of this number."""

    def fail():
        raise OSError(number, os.strerror(number))

    return fail


def kill():
    """A failure: the process is gone at once."""
    os.kill(os.getpid(), signal.SIGKILL)


class _Hook:
    current = None

    @classmethod
    def hear(cls, event, arguments):
        if cls.current is None:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes, os.PathLike)) and flags & WRITING:
                cls.current.ask("open", path)
        elif event in CHANGES:
            cls.current.ask(event, arguments[0])


sys.addaudithook(_Hook.hear)


def _lies_in(path, folder):
    if not isinstance(path, (str, bytes, os.PathLike)):
        return False
    return os.path.abspath(os.fsdecode(path)).startswith(folder)


def _opener(faults, opened):
    def open_(file, mode="r", *arguments, **keywords):
        stream = opened(file, mode, *arguments, **keywords)
        writes = {*mode} & {*"wax+"} and isinstance(file, (str, os.PathLike))
        return _Watched(stream, file, faults) if writes else stream

    return open_


class _Watched:
    """A file that is being written; Pillow must not go round it by its number."""

    def __init__(self, stream, path, faults):
        self._stream, self._path, self._faults = stream, path, faults

    def write(self, data):
        self._faults.ask("write", self._path)
        return self._stream.write(data)

    def fileno(self):
        raise io.UnsupportedOperation

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()

    def __iter__(self):
        return iter(self._stream)

    def __getattr__(self, name):
        return getattr(self._stream, name)
