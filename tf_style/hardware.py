"""What this machine computes fast."""

import functools
import re
from pathlib import Path

import tensorflow as tf

CPU_INFO = Path("/proc/cpuinfo")
# Matrix units of graphics cards, by NVIDIA's compute capability.
FLOAT16_SINCE, BFLOAT16_SINCE = (7, 0), (8, 0)


@functools.lru_cache(maxsize=1)
def fastest_dtype():
    """Returns what this machine has matrix units for, once per process.

    "bfloat16" or "float16", as its graphics card or else its processor has them;
    "float32" where there are none, or nothing says so.
    """
    if cards := tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(cards[0])
        capability = details.get("compute_capability", (0, 0))
        if capability >= BFLOAT16_SINCE:
            return "bfloat16"
        return "float16" if capability >= FLOAT16_SINCE else "float32"
    try:
        flags = CPU_INFO.read_text(encoding="utf-8")  # Linux has it.
    except OSError:
        return "float32"
    found = re.search(r"\b(avx512_bf16|amx_bf16)\b", flags)
    return "bfloat16" if found else "float32"
