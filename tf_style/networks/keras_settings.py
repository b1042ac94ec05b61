"""Keras' global settings, which belong to whoever else uses Keras in this process.

Our networks are built under Keras' defaults, whatever the user has set; each layer then
keeps its own type and order of axes. Importing this module makes sure that Keras runs
on TensorFlow.
"""

import contextlib
import importlib.util
import os
import threading
from collections.abc import Iterator

from tf_style.system.errors import MissingPackage

try:
    import keras

    backend = keras.backend.backend()
except ImportError as error:  # That backend is not installed.
    backend = f"{os.environ.get('KERAS_BACKEND', 'that of keras.json')} ({error})"
# A machine for training may have another backend alone, which the networks run on.
if backend != "tensorflow" and importlib.util.find_spec("tensorflow"):
    raise MissingPackage(
        f"tf_style needs Keras on TensorFlow, and its backend is {backend}; set "
        "KERAS_BACKEND=tensorflow before Keras is first imported"
    )

# Two threads must not take each other's settings for the user's.
_LOCK = threading.RLock()


@contextlib.contextmanager
def defaults() -> Iterator[None]:
    """Sets Keras to float32 and [B, H, W, C], and back to what it was at the end."""
    with _LOCK:
        config = keras.config
        floatx, order = config.floatx(), config.image_data_format()
        policy = config.dtype_policy()
        config.set_floatx("float32")
        config.set_image_data_format("channels_last")
        config.set_dtype_policy("float32")
        try:
            yield
        finally:
            config.set_floatx(floatx)
            config.set_image_data_format(order)
            config.set_dtype_policy(policy)
