"""Measures the wall time and peak memory of a piece of code."""

import contextlib
import time
from pathlib import Path

from tf_style.system import hardware


class Meter(contextlib.AbstractContextManager):
    """A context that measures its code.

    Attributes:
        seconds: wall time; set at the end.
        peak_memory_mib: peak of the whole process meanwhile; None if unknown; set at
            the
            end.
    """

    def __enter__(self):
        # Linux can reset the peak; elsewhere there is only the peak of the whole
        # process, which says nothing about a piece of code.
        self._peak_is_ours = False
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
            self._peak_is_ours = True
        self._start = time.perf_counter()
        return self

    def clock(self) -> float:
        """Returns the seconds until now."""
        return time.perf_counter() - self._start

    def __exit__(self, *_):
        self.seconds = self.clock()
        peak = hardware.peak_memory() if self._peak_is_ours else None
        self.peak_memory_mib = None if peak is None else peak / 2**20
