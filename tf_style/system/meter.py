"""What a stretch of the program takes: wall time and peak memory."""

import contextlib
import time
from pathlib import Path

from tf_style.system import hardware


class Meter(contextlib.AbstractContextManager):
    """Measures the stretch that it is the context of.

    Attributes:
        seconds: of wall time; there at the end.
        peak_memory_mib: of the whole process meanwhile; None if unknown; there at the
            end.
    """

    def __enter__(self):
        # Linux forgets the peak when told so; elsewhere there is only the peak of the
        # process's whole life, which says nothing about a stretch.
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
