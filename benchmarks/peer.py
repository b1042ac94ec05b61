"""The line protocol between `gatys.py` and the loops it compares.

A loop prints `ready` once it is warm. Then it answers each line with a line of JSON:

    step N        makes N steps; {"seconds": s, "losses": [...]}, each measured on the
                  picture before its step
    reset         starts again; the same for the steps that this took, if any
    picture FILE  saves the picture as it is now, as .npy
    measure FILE  the loss of the picture in a file (only `tutorial_loop.py`)
    peak          peak memory of the process, in bytes
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

STYLE_LAYERS = [f"block{number}_conv1" for number in range(1, 6)]
CONTENT_LAYER = "block5_conv2"
STYLE_WEIGHT, CONTENT_WEIGHT, VARIATION_WEIGHT = 1e-2, 1e4, 30.0


def parser(docstring):
    """Returns the arguments that all loops take."""
    made = argparse.ArgumentParser(description=docstring.splitlines()[0])
    made.add_argument("--content", type=np.load, required=True, help="[1, H, W, 3] npy")
    made.add_argument("--style", type=np.load, required=True, help="[1, H, W, 3] npy")
    made.add_argument("--steps", type=int, help="make so many, then end: no protocol")
    made.add_argument("--precision", default="float32")
    return made


def serve(loop, steps=None):
    """Warms a loop up and answers for it, until stdin ends.

    Args:
        loop: has step(), which returns the loss before it; reset(), which returns the
            losses of the steps that it made; and picture().
        steps: if given, answers `reset` and `step` of so many, and ends.
    """
    # Whatever a library prints must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(value):
        print(value, file=answers, flush=True)

    loop.step()
    if steps:
        answer(json.dumps(_timed(loop.reset)))
        return answer(json.dumps(_step(loop, steps)))
    answer("ready")
    for line in sys.stdin:
        name, *arguments = line.strip().split(maxsplit=1)
        answer(json.dumps(_COMMANDS[name](loop, *arguments)))


def _timed(work):
    began = time.perf_counter()
    losses = work()
    return {"seconds": time.perf_counter() - began, "losses": losses}


def _step(loop, count):
    return _timed(lambda: [loop.step() for _ in range(int(count))])


def _picture(loop, path):
    np.save(path, loop.picture())
    return path


def _peak(_):
    status = Path("/proc/self/status").read_text()  # Linux has it.
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


_COMMANDS = {
    "step": _step,
    "reset": lambda loop: _timed(loop.reset),
    "picture": _picture,
    "measure": lambda loop, path: loop.measure(np.load(path)),
    "peak": _peak,
}


class Peer:
    """A loop in a process of its own, which waits while it is not asked."""

    def __init__(self, python, script, *arguments):
        path = Path(__file__).with_name(script)
        # All run on the processor, whatever else there is.
        quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
        self._process = subprocess.Popen(
            [python, path, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | quiet,
        )
        while self._read() != "ready":
            pass

    def ask(self, line):
        """Returns the answer to a line."""
        print(line, file=self._process.stdin, flush=True)
        return json.loads(self._read())

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(map(str, self._process.args))} ended early")
        return line.strip()
