"""Measures the memory of a process."""

import re
from pathlib import Path


def resident(pid="self"):
    """Returns MiB of a process; on Linux."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) >> 10
