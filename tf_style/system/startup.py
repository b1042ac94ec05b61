"""Importing TensorFlow without its start-up messages."""

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tf_style.system import files

# Keras imports these where they are installed, to draw and to train from tables; that
# takes a quarter of the time, and 50 MB. What films and panels need is imported later.
UNUSED = ("IPython", "cv2", "matplotlib", "pandas", "scipy")


def import_quietly(load: Callable[[], Any], verbose: bool = False) -> Any:
    """Returns the result of `load`, which imports modules that need TensorFlow.

    Args:
        load: a function without arguments.
        verbose: whether TensorFlow may print, now and later.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if verbose else silenced(), _fast_imports():
        loaded = load()
        import tensorflow as tf

        # The search for graphics cards prints too, when TensorFlow is first used.
        tf.config.list_physical_devices()
    if not verbose:
        tf.get_logger().setLevel("ERROR")
    return loaded


@contextlib.contextmanager
def _fast_imports():
    """Imports without `UNUSED`, and without looking for garbage among modules.

    There is none, but TensorFlow's modules are so many objects that the search takes
    another quarter of the time.
    """
    absent = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
        # Nor are they looked at later.
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Closes stderr even for C++ code, which knows nothing of `sys.stderr`."""
    sys.stderr.flush()
    saved = os.dup(2)
    files.discard_output(2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
