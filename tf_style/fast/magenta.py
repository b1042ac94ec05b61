"""Magenta's arbitrary stylization model: loading and calling it.

Ghiasi et al. (2017), "Exploring the structure of a real-time, arbitrary neural artistic
stylization network", https://arxiv.org/abs/1705.06830, as published for TensorFlow Hub.
In three lines:

    model = tensorflow_hub.load(MAGENTA_HANDLE)
    outputs = model(content, style)  # float32 [1, H, W, 3] in [0, 1]; order matters
    picture = outputs[0]

The rest of this module handles what these lines leave open: the picture comes back up
to 3 pixels too large, downloads hang, caches break.
"""

import functools
import hashlib
import os
import secrets
import shutil
import socket
import time
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_style.config import MAGENTA_HANDLE, MODELS
from tf_style.system import files, hardware
from tf_style.system.errors import FileError, InvalidInput, NotFound

# The network halves the picture twice, and its 9x9 filters reflect 4 border pixels.
MULTIPLE_OF = 4
MIN_SIDE = 8
# Bytes per pixel while painting. Measured with the mobile edition: 230.
BYTES_PER_PIXEL = 300
# Seconds after which a lock with an unknown owner counts as abandoned.
LOCK_EXPIRES_S = 600


class Magenta(NamedTuple):
    """A loaded SavedModel with Magenta's signature."""

    call: Any  # (content, style) -> [picture, ...], all float32 in [0, 1]
    name: str  # the requested name
    source: str  # the handle or folder it came from
    checksum: str  # SHA-256 over its files

    # It was trained on squares of 256 pixels.
    style_size, style_side = 256, staticmethod(min)  # type: ignore[misc]
    # Smaller styles vanish within the network.
    least_style_side = 43  # type: ignore[misc]
    # A style is its own code.
    code_shape = (1, None, None, 3)  # type: ignore[misc]
    code_dtype = np.float32  # type: ignore[misc]
    # Four pictures of 512x512 pixels take a tenth less time than one by one; eight gain
    # nothing more.
    batch_pixels = 1 << 20  # type: ignore[misc]

    def encode(self, style):
        """Returns the code of a style [1, H, W, 3], which is the style itself."""
        return np.asarray(style, np.float32)

    def paint(self, content, styles, weights, strength, memory=None, motions=None):
        """Repaints `content` in each of `styles`, and mixes the pictures.

        The model itself supports neither mixed styles nor partial strength.

        Args:
            content: photos, [B, H, W, 3] in [0, 1]. If a side is not a multiple of 4,
                they
                are mirrored at the right and bottom, and the result is cropped.
            styles: results of `encode`.
            weights: share of each; they add up to 1.
            strength: share of the painted picture in the result, 0 to 1.
            memory, motions: unused. The model's statistics are not accessible, and
                smoothing the colours of its pictures does not help.

        Raises:
            ValueError: the model has another signature, or its picture is not finite;
                or the photo would not fit into memory.
        """
        self._check_fits(content)
        pairs = list(zip(styles, weights, strict=True))
        painted = [w * self._paint(content, s) for s, w in pairs if w and strength]
        return sum(painted, np.float32(0)) * strength + content * (1 - strength)

    def _check_fits(self, content):
        """Raises ValueError if there is not enough memory."""
        count, height, width, _ = content.shape
        free, need = hardware.free_memory(), BYTES_PER_PIXEL * count * height * width
        if free is not None and need > free:
            fitting = int(max(height, width) * (free / need) ** 0.5) // 100 * 100
            raise InvalidInput(
                f"model {self.name} needs the whole picture at once: {width}x{height} "
                f"pixels take about {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
                f"free; use --max_side={fitting}, or --model=builtin, which paints "
                "large pictures in tiles"
            )

    def _paint(self, content, style):
        """Returns the model's result at the size of `content`."""
        height, width = content.shape[1:3]
        padded = _pad(content)
        try:
            styles = np.repeat(style, len(padded), 0)
            picture = self.call(tf.constant(padded), tf.constant(styles))[0].numpy()
            alike = picture.shape == padded.shape and picture.dtype == padded.dtype
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise InvalidInput(_wrong_interface(self.source, error)) from error
        if not alike:
            answer = f"it answered {picture.dtype} {picture.shape} to {padded.shape}"
            raise InvalidInput(_wrong_interface(self.source, answer))
        if not np.isfinite(picture).all():
            raise InvalidInput(
                f"model {self.source} returned values that are not finite"
            )
        if np.abs(picture - 0.5).max() > 1:  # Clearly outside [0, 1].
            answer = f"its values go from {picture.min():g} to {picture.max():g}"
            raise InvalidInput(_wrong_interface(self.source, answer))
        return np.clip(picture[:, :height, :width], 0, 1)


def cached():
    """Tells whether Magenta's model is available offline."""
    return (folder_of(MAGENTA_HANDLE) / "saved_model.pb").is_file()


def load(name_or_handle):
    """Loads a model.

    A handle is downloaded once, to `TFHUB_CACHE_DIR` or our own persistent cache; a
    damaged copy there is downloaded again.

    Args:
        name_or_handle: "magenta", a URL, or the folder of a SavedModel.

    Raises:
        OSError: the model does not exist, cannot be downloaded or is damaged.
    """
    handle = MAGENTA_HANDLE if name_or_handle == "magenta" else name_or_handle
    if "://" not in handle:
        folder = files.local(handle)
        if not os.path.isfile(folder / "saved_model.pb"):
            raise NotFound(
                f"model {name_or_handle} is not the folder of a SavedModel; give "
                f"{', '.join(MODELS)}, a URL, or a folder with saved_model.pb"
            )
        return Magenta(_load(folder), name_or_handle, handle, files.sha256(folder))
    folder = fetch(handle)
    try:
        call = _load(folder)
    except OSError:
        if folder != folder_of(handle):  # It is not our copy.
            raise
        folder = _replace_broken(handle, folder)
        call = _load(folder)
    return Magenta(call, name_or_handle, handle, files.sha256(folder))


def fetch(handle, stalled_after=files.STALLED_AFTER_S):
    """Returns the folder of a handle in the cache, after downloading it if necessary.

    Args:
        handle: a URL.
        stalled_after: seconds after which a stalled download is given up.

    Raises:
        OSError: it cannot be downloaded.
    """
    folder = folder_of(handle)
    cache = os.environ["TFHUB_CACHE_DIR"] = str(folder.parent)
    lock = folder.with_suffix(".lock")
    remove_if_abandoned(lock)
    resolve = functools.partial(_tensorflow_hub().resolve, handle)
    try:
        with files.bounded_network():
            return Path(files.call_within(resolve, stalled_after, cache))
    # Anything, from urllib's errors to tarfile's.
    except Exception as error:
        reason = files.explain_network(error) or " ".join(str(error).split())
        if lock.exists() and not _is_our_own(lock):
            reason += f"; if no other download is under way, remove {lock}"
        raise FileError(
            f"cannot download {handle}: {reason.rstrip('.')}. Fetch it on another "
            "machine and pass its unpacked folder as --model=FOLDER, or copy that "
            "machine's TFHUB_CACHE_DIR, or use --model=builtin"
        ) from error


def _load(folder):
    load = _tensorflow_hub().load
    try:
        # In its own thread, outside any `tf.distribute` strategy or graph of the
        # caller: a model loaded into one cannot be called.
        with futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(load, str(folder)).result()
    # A damaged file can raise anything from DecodeError to NotFoundError.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"model in {folder} is damaged: {reason}") from error


def _tensorflow_hub():
    # It takes as long to import as all of our own modules together.
    import tensorflow_hub

    return tensorflow_hub


def folder_of(handle):
    """Returns where tensorflow_hub caches a handle."""
    # Its default is the temporary folder, which gets cleaned.
    cache = os.environ.get("TFHUB_CACHE_DIR") or str(files.cache_folder() / "hub")
    return files.local(cache) / hashlib.sha1(handle.encode()).hexdigest()


def remove_if_abandoned(lock):
    """Removes the lock of a killed download, and its partial files.

    Otherwise the next download would wait 20 minutes for it. A lock without an owner,
    or
    of another machine, counts as abandoned after `LOCK_EXPIRES_S`.
    """
    try:
        host, pid, unique = _owner_of(lock)
        if host != socket.gethostname():
            raise InvalidInput("of another machine")
        os.kill(pid, 0)
        return
    except ProcessLookupError:
        pass
    except ValueError:
        unique = "*"
        if time.time() - lock.stat().st_mtime < LOCK_EXPIRES_S:
            return
    except OSError:  # It does not exist, or has another format.
        return
    lock.unlink(missing_ok=True)
    for partial in lock.parent.glob(f"{lock.stem}.{unique}.tmp"):
        shutil.rmtree(partial, ignore_errors=True)


def _is_our_own(lock):
    try:
        return _owner_of(lock)[:2] == (socket.gethostname(), os.getpid())
    except (OSError, ValueError):
        return False


def _owner_of(lock):
    """Reads tensorflow_hub's lock: host, process and a unique name."""
    host, pid, unique = lock.read_text().rsplit(".", 2)
    if int(pid) >= 1 << 31:
        raise InvalidInput(f"{pid} is no process")
    return host, int(pid), unique


def _replace_broken(handle, folder):
    """Downloads a handle again; without a network, the old copy stays."""
    # A name that no other folder can have.
    aside = folder.with_name(f"{folder.name}.broken-{secrets.token_hex(4)}")
    folder.rename(aside)
    try:
        fresh = fetch(handle)
    except OSError as error:
        aside.rename(folder)
        raise FileError(
            f"the cached model in {folder} is damaged, and {error}"
        ) from error
    shutil.rmtree(aside, ignore_errors=True)
    return fresh


def _pad(content):
    """Mirrors the right and bottom border up to a size that the network preserves."""
    rims = [
        (0, max(MIN_SIDE, -(-side // MULTIPLE_OF) * MULTIPLE_OF) - side)
        for side in content.shape[1:3]
    ]
    if not any(after for _, after in rims):
        return np.asarray(content, np.float32)
    return np.pad(content, [(0, 0), *rims, (0, 0)], mode="reflect").astype(np.float32)


def _wrong_interface(source, answer):
    return (
        f"model {source} does not have Magenta's signature: model(content, style), "
        "with float32 [1, H, W, 3] in [0, 1], must return a list whose first item is "
        f"the picture: {' '.join(str(answer).split())[:200]}"
    )
