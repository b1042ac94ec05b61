"""Checkpoints: files from which an interrupted run continues."""

import contextlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_style import __version__
from tf_style.jobs import manifest
from tf_style.optimization.engine import State
from tf_style.system import arrays, files
from tf_style.system.errors import InvalidInput

# Fields of a `State` that are arrays; the others are stored as JSON. The last may be
# None.
ARRAYS = ("image", "best", "found_for")
# A picture of 8192x8192 pixels needs half of it.
MAX_BYTES = 8 << 30


def path_of(picture):
    """Returns the path of a picture's checkpoint."""
    return Path(f"{picture}.checkpoint.npz")


def check_ours(path):
    """Raises ValueError if the path exists and is not a checkpoint of ours."""
    if not os.path.lexists(path):
        return
    with contextlib.suppress(OSError, zipfile.BadZipFile):
        with zipfile.ZipFile(path) as archive:
            if "facts.npy" in archive.namelist():
                return
    raise InvalidInput(
        f"{path} is not a checkpoint of tf_style and would be overwritten; "
        "move it, or choose another --output"
    )


def write(path, state, account):
    """Writes a checkpoint, all or nothing.

    Args:
        path: file to write.
        state: a `State`.
        account: what the picture depends on, from `manifest.describe`.

    Raises:
        OSError: it cannot be written; the old one is left as it was.
    """
    values = state._asdict()
    pictures = {name: values.pop(name) for name in ARRAYS}
    pictures = {name: value for name, value in pictures.items() if value is not None}
    memory = values.pop("optimizer_state")
    facts = {
        "tf_style": __version__,
        "account": account,
        "state": values,
        "optimizer_state": [(str(array.dtype), array.shape) for array in memory],
    }
    for index, array in enumerate(memory):
        # NumPy's files do not support bfloat16, so store bytes.
        pictures[f"optimizer{index}"] = array.reshape(-1).view(np.uint8)
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, facts=json.dumps(facts), **pictures)


def read(path, account):
    """Reads the `State` of a run.

    Raises:
        ValueError: the file is not a checkpoint, or belongs to another run than
            `account`; the message names the difference.
        OSError: it cannot be read.
    """
    try:
        archive = arrays.read_npz(path, MAX_BYTES)
        facts = json.loads(str(archive["facts"]))
        there = [name for name in ARRAYS if name in archive or name != "found_for"]
        pictures = {name: archive[name] for name in there}
        memory = [
            archive[f"optimizer{index}"]
            .view(tf.as_dtype(kind).as_numpy_dtype)
            .reshape(shape)
            for index, (kind, shape) in enumerate(facts["optimizer_state"])
        ]
        state = State(**facts["state"], **pictures, optimizer_state=memory)
        _check(state)
        other = manifest.difference(facts["account"], account)
    except OSError:
        raise
    except Exception as error:  # The file may contain anything.
        raise InvalidInput(
            f"{path} is not a checkpoint of tf_style; delete it, or leave out --resume"
        ) from error
    if other:
        raise InvalidInput(
            f"{path} belongs to a run with {other}; leave out --resume to start over"
        )
    return state


def _check(state):
    """Raises ValueError or TypeError if a state is unusable."""
    shape = state.image.shape
    numbers = (state.index, state.failures)
    whole = [type(number) is int and number >= 0 for number in numbers]
    pictures = [
        picture.dtype == np.float32
        and picture.shape == (1, *shape[1:3], 3)
        and np.isfinite(picture).all()
        for picture in (state.image, state.best, state.found_for)
        if picture is not None
    ]
    losses = [float(loss) for loss in state.best_losses.values()]
    if not (all(whole) and all(pictures) and losses and 0 < state.rate <= 1):
        raise InvalidInput("it holds no state of a run")
