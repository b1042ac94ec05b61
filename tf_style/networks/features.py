"""Loads backbones: VGG-19 with Keras' weights, or our own small copy."""

import difflib
import functools
import os
import re
import warnings
from os.path import commonpath
from pathlib import Path

import keras

from tf_style.networks import keras_settings, small_vgg
from tf_style.networks.backbone import LAYERS, Backbone, cut
from tf_style.system import fallback, files
from tf_style.system.errors import FileError, InvalidInput, NotFound

VGG19_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
VGG19_MD5 = "253f8cb515780f3b799900260a226db6"


def layer_name(name: str) -> str:
    """Returns Keras' name of a layer: `block4_conv2` also for `conv4_2` and `relu4_2`.

    Raises:
        ValueError: there is no such layer; the message lists all and suggests one.
    """
    found = re.fullmatch(r"(?:conv|relu)(\d)_(\d)", name)
    keras_name = f"block{found[1]}_conv{found[2]}" if found else name
    if keras_name in LAYERS:
        return keras_name
    close = difflib.get_close_matches(keras_name, LAYERS, n=len(LAYERS))
    guess = max(close, key=lambda c: len(commonpath([c, keras_name])), default="")
    meant = f"; did you mean {guess!r}?" if guess else "."
    raise InvalidInput(
        f"VGG-19 has no layer {name!r}{meant} It has {', '.join(LAYERS)}; "
        "conv4_2 and relu4_2 also name block4_conv2"
    )


@fallback.remembered
def choose() -> tuple[str, str]:
    """Chooses the backbone for `auto` on this machine.

    A failed download is tried again after a few minutes.

    Returns:
        "vgg19" or "builtin", and a line that says which and why.
    """
    try:
        cached = _cached_vgg19().is_file()
        place = files.find_or_fetch(cached, VGG19_URL, _download_vgg19)
    except OSError as error:
        return "builtin", (
            f"optimising with the built-in backbone, because VGG-19 is not available "
            f"({error}); --backbone=vgg19 makes that an error"
        )
    return "vgg19", (
        f"optimising with VGG-19, {place}; --backbone=builtin is several times as fast"
    )


# A comparison needs one per slow method, one in float32, and that of `patches`.
@functools.lru_cache(maxsize=4)
def load_backbone(
    name_or_path: str,
    layers: tuple[str, ...],
    pooling: str = "max",
    dtype: str = "float32",
) -> Backbone:
    """Loads a backbone, once per process.

    Args:
        name_or_path: "vgg19" for Keras' VGG-19 with ImageNet weights, downloaded on
            first use; "builtin" for our small copy, with layers up to block5_conv1; or
            the path of a Keras weights file for VGG-19 without its top.
        layers: tuple of layers to measure, in any of the accepted spellings. The
            network ends at the deepest of them.
        pooling: "max", or "average" as in Gatys et al. (2016).
        dtype: number format in which the network computes.

    Raises:
        ValueError: an unknown layer, or a file that does not hold these weights.
        OSError: the file does not exist, or the download failed.
    """
    layers = tuple(dict.fromkeys(layer_name(layer) for layer in layers))
    if name_or_path == "builtin":
        path = small_vgg.WEIGHTS
        if missing := [layer for layer in layers if layer not in small_vgg.LAYERS]:
            raise InvalidInput(
                f"the built-in backbone has no layer {missing[0]!r}; "
                f"it has {', '.join(small_vgg.LAYERS)}"
            )
    else:
        path = _vgg19_file(name_or_path)
    with keras_settings.defaults():
        blocks = _build(name_or_path, path, layers, pooling, dtype)
    return Backbone(blocks, name_or_path, str(path), files.sha256(path))


def _build(name, path, layers, pooling, dtype):
    """Returns the `Block`s of a network."""
    whole = small_vgg.load() if name == "builtin" else _load_vgg19(path)
    outputs = {layer: whole.get_layer(layer).output for layer in layers}
    network = keras.Model(whole.input, outputs)
    if (pooling, dtype) != ("max", "float32"):
        network = _rebuilt(network, pooling, dtype)
    network.trainable = False
    return list(cut(network, layers))


def _vgg19_file(name_or_path):
    if name_or_path == "vgg19":
        return _download_vgg19()
    path = files.local(name_or_path)
    if not os.path.isfile(path):
        raise NotFound(
            f"backbone {name_or_path} does not exist; give vgg19, builtin, or the path "
            "of a Keras weights file (.weights.h5 or .h5)"
        )
    return path


def _load_vgg19(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras lists every missing layer.
            return keras.applications.VGG19(include_top=False, weights=str(path))
    except Exception as error:
        raise InvalidInput(
            f"{path} does not hold Keras weights of VGG-19 without its top: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error


def _cached_vgg19():
    """Returns where Keras keeps its ImageNet weights."""
    cache = files.local(os.environ.get("KERAS_HOME", "~/.keras"))
    return cache / "models" / VGG19_URL.rpartition("/")[2]


def _download_vgg19(stalled_after=files.STALLED_AFTER_S):
    """Returns the file of Keras' ImageNet weights, from its cache if it is there."""
    path = _cached_vgg19()
    cache = path.parent.parent
    if path.is_file() and not os.access(cache, os.W_OK):
        return path  # Keras would ignore it and download to the temporary folder.
    get_file = functools.partial(
        keras.utils.get_file,
        origin=VGG19_URL,
        cache_dir=str(cache),
        cache_subdir="models",
        file_hash=VGG19_MD5,
    )
    try:
        cache.mkdir(parents=True, exist_ok=True)  # else Keras takes the temporary one
        with files.bounded_network():
            path = files.call_within(get_file, stalled_after, cache / "models")
    # Keras raises a bare Exception for all network errors.
    except Exception as error:
        reason = files.explain_network(error) or " ".join(str(error).split())
        raise FileError(
            f"cannot download VGG-19 from {VGG19_URL}: {reason}. Fetch that file on "
            "another machine and pass it as --backbone=FILE, or use --backbone=builtin"
        ) from error
    return Path(path)


def _rebuilt(network, pooling, dtype):
    """Returns a network with the same weights, another pooling and number format."""

    def clone(layer):
        kind, config = layer.__class__, layer.get_config()
        if pooling == "average" and kind is keras.layers.MaxPooling2D:
            kind = keras.layers.AveragePooling2D
        if layer.name == LAYERS[0] and dtype != "float32":
            # Pixels from 0 to 255 need the bits, and the first layer is cheap.
            kind, config["activation"] = _rounding(kind, dtype), "linear"
        elif kind is not keras.layers.InputLayer:
            config["dtype"] = dtype
        return kind.from_config(config)

    other = keras.models.clone_model(network, clone_function=clone)
    other.set_weights(network.get_weights())
    return other


def _rounding(kind, dtype):
    """Returns a kind of layer that keeps its ReLU in `dtype`: the largest of all."""

    class Rounding(kind):
        def call(self, inputs):
            return keras.ops.relu(keras.ops.cast(super().call(inputs), dtype))

    return Rounding
