"""The fast number formats of this machine, and its memory."""

import functools
import re
from pathlib import Path

import tensorflow as tf
from tensorflow.python.client import device_lib

CPU_INFO = Path("/proc/cpuinfo")
MEMORY_INFO = Path("/proc/meminfo")
# Where Linux keeps the account of a container, by version 2 of its control groups.
CONTAINER = Path("/sys/fs/cgroup")
PROCESS_STATUS = Path("/proc/self/status")
# NVIDIA's compute capability from which cards have units for bfloat16. Some older
# ones have units for float16, which VGG-19's activations may overflow.
BFLOAT16_SINCE = (8, 0)


@functools.lru_cache(maxsize=1)
def fastest_dtype() -> str:
    """Returns the fastest dtype with float32's range here, once per process.

    "bfloat16" if the graphics card, or else the processor, has matrix units for it;
    "float32" if not, or if unknown.
    """
    if cards := tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(cards[0])
        capability = details.get("compute_capability", (0, 0))
        return "bfloat16" if capability >= BFLOAT16_SINCE else "float32"
    try:
        flags = CPU_INFO.read_text(encoding="utf-8")  # Linux has it.
    except OSError:
        return "float32"
    found = re.search(r"\b(avx512_bf16|amx_bf16)\b", flags)
    return "bfloat16" if found else "float32"


def free_memory() -> int | None:
    """Returns the bytes that a computation may use here, or None if unknown."""
    if tf.config.list_physical_devices("GPU"):
        card = next(d for d in device_lib.list_local_devices() if "GPU" in d.name)
        if not card.memory_limit:  # Some kinds do not tell.
            return None
        used = tf.config.experimental.get_memory_info("GPU:0")["current"]
        return card.memory_limit - used
    kibibytes = _number(MEMORY_INFO, r"MemAvailable:\s+(\d+) kB")  # Linux has it.
    if kibibytes is None:
        return None
    free = 1024 * kibibytes
    limit = _number(CONTAINER / "memory.max", r"(\d+)")
    used = _number(CONTAINER / "memory.current", r"(\d+)")
    if limit is None or used is None:
        return free
    # Linux counts cached files as used until the memory is needed.
    at_hand = _number(CONTAINER / "memory.stat", r"(?m)^inactive_file (\d+)") or 0
    return min(free, limit - used + at_hand)


def peak_memory() -> int | None:
    """Returns the peak memory of the process in bytes, or None if unknown."""
    kibibytes = _number(PROCESS_STATUS, r"VmHWM:\s+(\d+) kB")
    return None if kibibytes is None else 1024 * kibibytes


def _number(path, pattern):
    """Finds a number in a file of Linux' accounts, or None."""
    try:
        found = re.search(pattern, path.read_text(encoding="utf-8"))
    except OSError:
        return None
    return int(found[1]) if found else None
