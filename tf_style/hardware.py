"""What this machine computes fast."""

import functools
import re
from pathlib import Path

import tensorflow as tf

CPU_INFO = Path("/proc/cpuinfo")
# NVIDIA's compute capability from which cards have units for bfloat16. Some older
# ones have units for float16, which VGG-19's activations may overflow.
BFLOAT16_SINCE = (8, 0)


@functools.lru_cache(maxsize=1)
def fastest_dtype():
    """Returns the fastest dtype with float32's range here, once per process.

    "bfloat16" if the graphics card, or else the processor, has matrix units for it;
    "float32" if not, or where nothing says so.
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
