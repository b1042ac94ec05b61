"""Exports the built-in stylizer for programs without TensorFlow or tf_style.

Every format has the signature of Magenta's model: `placeholder` is a photo and
`placeholder_1` a painting, float32 [1, H, W, 3] in [0, 1]; `output_0` is the picture,
of the photo's size. The painting is used at its own size; strokes are right if its
longest side is about `Stylizer.style_size` pixels.
"""

import functools
import importlib
import logging
import tempfile
from pathlib import Path

import tensorflow as tf

from tf_style.fast.builtin import decoder, encoder, network, stylizer
from tf_style.networks import matrix_power
from tf_style.system.errors import InvalidInput, MissingPackage

# The first ONNX version whose operations all match TensorFlow's.
OPSET = 18
# Side of the photo for which a model stores noise; larger photos repeat it.
NOISE_SIDE = 1024
MAX_SIDE = 4096

Size = tuple[int, int]  # width and height in pixels


class _Network(tf.Module):
    """The networks in float32, with operations that all formats support."""

    def __init__(self):
        super().__init__()
        self._network = network.Network("float32", pieces=False)
        # Keras' fused normalisation of a single picture becomes a training mode in
        # ONNX.
        self._decoder = decoder.SharedStatistics(self._network.decoder)
        # Attributes that a SavedModel must track.
        self.kept = [held.value for held in self._network.variables]
        # Other runtimes draw other random numbers, so the model contains its own.
        drawn = encoder.noise([1, NOISE_SIDE, NOISE_SIDE, 3])
        self._noises = [level.numpy().ravel().astype("float16") for level in drawn]

    def paint(self, content, style):
        """Repaints a photo.

        Args:
            content: [1, H, W, 3] in [0, 1], each side a multiple of `encoder.STRIDE`,
                two at least.
            style: [1, H', W', 3] in [0, 1], each side at least
                `Stylizer.least_style_side`.

        Returns:
            float32 [1, H, W, 3] in [0, 1].
        """
        painting = self._network.look(encoder.crop(style))
        code = painting.moments
        colours = encoder.recolour(content, code)
        own = [colours, *encoder.transport(self._network.encoder, colours, code)]
        (found,) = self._network.find(own, [painting])
        others = [*self._noise(content), *encoder.edges(content)]
        return self._decoder.run(
            self._network.show(own, [painting], found, others, code),
            lambda _, x: decoder.measure_moments(x),
        )

    def _noise(self, content):
        """Returns the noise of `encoder.noise`, repeated for large photos."""
        size = tf.shape(content)[1:3]
        for values, stride in zip(self._noises, encoder.STRIDES):
            height, width = tf.unstack(size // stride)
            places = tf.range(height * width) % len(values)
            level = tf.cast(tf.gather(tf.constant(values), places), tf.float32)
            yield tf.reshape(level, [1, height, width, 1])


def to_saved_model() -> dict[str, bytes]:
    """Returns the files of a SavedModel by their paths in its folder.

    It also paints several photos, in one style or in one style each.
    """
    networks = _networks()

    def paint(placeholder, placeholder_1):
        several = tf.cast(tf.shape(placeholder_1)[0] > 1, tf.int32)

        def paint_one(index):
            style = placeholder_1[several * index]
            return _any_size(networks, placeholder[index][None], style[None])[0]

        found = tf.map_fn(
            paint_one,
            tf.range(tf.shape(placeholder)[0]),
            fn_output_signature=tf.TensorSpec([None, None, 3]),
        )
        return [found]

    with tempfile.TemporaryDirectory() as folder:
        _save(folder, networks, paint, _signature(None))
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def to_onnx() -> bytes:
    """Returns an ONNX model for photos and styles of any size.

    Raises:
        ImportError: a package is missing.
    """
    tf2onnx = _import("tf2onnx")
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    networks = _networks()

    def paint(placeholder, placeholder_1):
        return {"output_0": _any_size(networks, placeholder, placeholder_1)}

    signature = _signature(1)
    with matrix_power.products_only():
        model, _ = tf2onnx.convert.from_function(
            tf.function(paint, signature), signature, opset=OPSET
        )
    return model.SerializeToString()


def to_litert(size: Size, style_size: Size) -> bytes:
    """Returns a LiteRT (TensorFlow Lite) model for pictures of one size.

    Args:
        size: width and height of photos, in pixels.
        style_size: the same of styles.

    Raises:
        ValueError: a size is invalid or too large.
    """
    for name, sides in (("size", size), ("style_size", style_size)):
        if not all(1 <= side <= MAX_SIDE for side in sides):
            raise InvalidInput(
                f"{name} is {sides[0]}x{sides[1]}; sides must be from 1 to {MAX_SIDE} "
                "pixels"
            )
    networks = _networks()

    def paint(placeholder, placeholder_1):
        return [_any_size(networks, placeholder, placeholder_1)]

    with tempfile.TemporaryDirectory() as folder:
        with matrix_power.products_only():
            _save(folder, networks, paint, _signature(1, size, style_size))
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


@functools.lru_cache(1)
def _networks():
    return _Network()


def _import(name):
    try:
        importlib.import_module(f"{name}.convert")
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackage(
            f"ONNX needs {name}: pip install 'tf_style[export]' ({error})"
        ) from error


def _signature(count, size=(None, None), style_size=(None, None)):
    names = ("placeholder", "placeholder_1")
    return [
        tf.TensorSpec([count, height, width, 3], tf.float32, name)
        for name, (width, height) in zip(names, (size, style_size))
    ]


def _save(folder, networks, paint, signature):
    """Writes a SavedModel with the signature of `paint`."""
    model = tf.Module()
    model.networks = networks
    model.__call__ = tf.function(paint, signature)
    tf.saved_model.save(model, folder, model.__call__.get_concrete_function())


def _any_size(networks, content, style):
    """Repaints a photo of any size in a style of any size."""
    height, width = tf.unstack(tf.shape(content)[1:3])
    padded = _mirror(content, encoder.STRIDE, 2 * encoder.STRIDE)
    style = _mirror(style, 1, stylizer.Stylizer.least_style_side)
    return networks.paint(padded, style)[:, :height, :width]


def _mirror(picture, multiple, least):
    """Mirrors the right and bottom border up to multiples of a side, like `np.pad`.

    `tf.pad` mirrors only once, which is not enough for a picture of a few pixels.
    """
    for axis in (1, 2):
        side = tf.shape(picture)[axis]
        wanted = tf.maximum(least, (side + multiple - 1) // multiple * multiple)
        period = tf.maximum(2 * side - 2, 1)
        places = tf.range(wanted) % period
        places = tf.minimum(places, tf.abs(period - places))
        picture = tf.gather(picture, places, axis=axis)
    return picture
