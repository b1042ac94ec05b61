"""Describes this machine, its peak speed, and the products in one step."""

import os
import platform
import re
import time
from pathlib import Path

import peer
import tensorflow as tf

# Extensions that decide how fast a network runs.
FLAGS = "avx2 fma avx512f avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_bf16".split()
MATRIX_SIDES = (2048, 3072, 4096)
# A layer of VGG-19's block 4 on 512x512 pixels: height, width, channels in and out.
CONVOLUTION = (64, 64, 512, 512)

# Simonyan and Zisserman (2015), configuration E: (channels, convolutions) per block.
BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))


def describe():
    """Returns the processor, its relevant extensions, cores and memory."""
    info = Path("/proc/cpuinfo").read_text()  # Linux has it.
    flags = set(re.search(r"flags\s*: (.*)", info)[1].split())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": re.search(r"model name\s*: (.*)", info)[1],
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def multiply_adds(height, width):
    """Returns those of one step: all convolutions, forwards and back to the pixels.

    The weights are frozen, so that each convolution counts twice and not three times.
    """
    total, before = 0, 3
    for number, (channels, convolutions) in enumerate(BLOCKS, 1):
        for index in range(1, convolutions + 1):
            total += height * width * 9 * before * channels
            before = channels
            if f"block{number}_conv{index}" == peer.CONTENT_LAYER:
                return 2 * total
        height, width = height // 2, width // 2


class Peaks:
    """The most multiply-adds per second that were ever seen here, by precision.

    Attributes:
        found: {precision: {"matmul": rate, "convolution": rate}}.
    """

    def __init__(self, precisions):
        self.found = {name: {"matmul": 0, "convolution": 0} for name in precisions}
        self._works = [work for name in precisions for work in _works(name)]
        self.measure()  # traces
        for rates in self.found.values():
            rates.update(matmul=0, convolution=0)

    def measure(self):
        """Measures once; to be called again and again, as the machine may be busy."""
        with tf.device("CPU:0"):
            for precision, kind, count, run, *arguments in self._works:
                began = time.perf_counter()
                run(*arguments)
                rate = count / (time.perf_counter() - began)
                rates = self.found[precision]
                rates[kind] = max(rates[kind], rate)


def _works(precision):
    """Yields precision, kind, multiply-adds, a function and its arguments."""

    def draw(*shape):
        return tf.cast(tf.random.stateless_normal(shape, (0, 1)), precision)

    for side in MATRIX_SIDES:
        matrix = draw(side, side)
        yield precision, "matmul", side**3, tf.matmul, matrix, matrix
    height, width, before, after = CONVOLUTION
    kernel = draw(3, 3, before, after).numpy()  # so that the graph holds a constant
    convolve = tf.function(lambda picture: tf.nn.conv2d(picture, kernel, 1, "SAME"))
    count = height * width * 9 * before * after
    yield precision, "convolution", count, convolve, draw(1, height, width, before)
