"""The decoder of the stylizer: from transported and copied activations to a picture.

Its layers are modulated as in Ghiasi et al. (2017), "Exploring the structure of a
real-time, arbitrary neural artistic stylization network",
https://arxiv.org/abs/1705.06830, by the style's means and deviations.
"""

import contextvars

import keras
import numpy as np
from keras import ops

from tf_style.fast.builtin.blocks import fold, unfold
from tf_style.networks import second_moments, small_vgg
from tf_style.networks.second_moments import CHANNELS

# Least variance of the decoder's channels, of about 1, and of its colours.
EPSILON = 1e-3
# The result gets the style's full variance of colours if those of the transported photo
# have a quarter of it or more: all photos but those of nearly one colour.
LIVELY = 4

# Replaces pictures' own statistics while a network is traced, in this thread only: a
# function (layer, [B, H, W, C]) -> mean and variance, float32 [B, 1, 1, C] or
# [1, 1, 1, C]; None: nothing does.
_statistics = contextvars.ContextVar("statistics", default=None)


class Modulate(keras.layers.Layer):
    """Conditional instance normalisation, and a leaky unit.

    Dumoulin et al. (2017), https://arxiv.org/abs/1610.07629, eq. 5, with scale and
    shift computed from the style's statistics.
    """

    def build(self, x_shape, known_shape):
        """Makes the map to scales and shifts, all zero at first."""
        self.affine = keras.layers.Dense(2 * x_shape[-1], kernel_initializer="zeros")
        self.affine.build(known_shape)

    def call(self, x, known):
        """Maps x [B, H, W, C] and known [B, K] to [B, H, W, C]."""
        scale, shift = ops.split(self.affine(known), 2, -1)
        replaced = _statistics.get()
        moments = replaced(self, x) if replaced else None
        if _is_one_in_tensorflow(x):
            x, *_ = _normalise_one(x, 1 + scale[0], shift[0], moments)
            return ops.leaky_relu(x)
        mean, variance = moments or measure_moments(x)
        scale = (1 + scale[:, None, None]) * ops.rsqrt(variance + EPSILON)
        shift = shift[:, None, None] - mean * scale
        return ops.leaky_relu(x * ops.cast(scale, x.dtype) + ops.cast(shift, x.dtype))

    def compute_output_spec(self, x, known):
        """Keras' way to learn the shape without running the layer."""
        return keras.KerasTensor(x.shape, x.dtype)


class SharedStatistics:
    """Runs a decoder with other statistics than each picture's own.

    Args:
        network: a model with `Modulate` layers.
    """

    def __init__(self, network):
        self._network = network
        self._layers = [x for x in network.layers if isinstance(x, Modulate)]

    def measure(self, inputs):
        """Returns the statistics of pictures taken together, in the order of layers."""
        found = [None] * len(self._layers)

        def listen(index, x):
            found[index] = measure_moments(x, [0, 1, 2])
            return found[index]

        self.run(inputs, listen)
        return found

    def apply(self, inputs, found):
        """Runs the network with such statistics."""
        return self.run(inputs, lambda index, _: found[index])

    def run(self, inputs, statistics):
        """Runs the network with what `statistics(index of the layer, x)` returns."""
        token = _statistics.set(
            lambda layer, x: statistics(self._layers.index(layer), x)
        )
        try:
            return self._network(inputs)
        finally:
            _statistics.reset(token)


def build(dtype="float32", start="he_normal"):
    """Builds the decoder, with kernels from the initializer `start`.

    Inputs: [colours, *activations] after transport and copying; a map of noise
    [B, H', W', 1] for the size of each of these activations; `encoder.edges` of the
    photo; the likeness of each place's find, [B, H / 8, W / 8, 1]; and
    `second_moments.statistics` of the style. Output: the picture.
    """
    colours, half, quarter, eighth = (
        keras.Input((None, None, channels)) for channels in CHANNELS
    )
    noises = [keras.Input((None, None, 1)) for _ in CHANNELS[1:]]
    edges = [keras.Input((None, None, 2)) for _ in CHANNELS[1:3]]
    likeness = keras.Input((None, None, 1))
    style = keras.Input((2 * sum(CHANNELS),))
    known = keras.layers.Dense(256, kernel_initializer=start)(style)
    known = keras.layers.LeakyReLU(0.2)(known)
    known = keras.layers.Dense(128, kernel_initializer=start)(known)
    known = keras.layers.Lambda(_bounded)(known)

    def convolve(x, filters):
        convolution = small_vgg.ReflectedConv2D(
            filters, 3, kernel_initializer=start, dtype=dtype
        )
        return convolution(x)

    def paint(x, filters):
        return Modulate(autocast=False)(convolve(x, filters), known)

    def refine(x):
        return x + paint(paint(x, x.shape[-1]), x.shape[-1])

    def join(*parts):
        return keras.layers.Concatenate(dtype=dtype)(parts)

    def enlarge(x):
        shape = (None, None, x.shape[-1])
        return keras.layers.Lambda(_double, shape, dtype=dtype)(x)

    twice = {"side": 2}
    x = paint(join(eighth, noises[2], likeness), 128)
    x = paint(refine(refine(x)), 48)
    x = paint(join(enlarge(x), quarter, noises[1], edges[1]), 80)
    x = paint(refine(refine(x)), 32)
    pixels = keras.layers.Lambda(fold, (None, None, 4 * CHANNELS[0]), arguments=twice)
    pixels = pixels(colours)
    x = paint(join(enlarge(x), half, pixels, noises[0], edges[0]), 32)
    x = convolve(paint(refine(x), 32), 12)
    x = keras.layers.Activation("sigmoid", dtype="float32")(x)
    x = keras.layers.Lambda(unfold, (None, None, CHANNELS[0]), arguments=twice)(x)
    x = keras.layers.Lambda(match_colours)([x, style, colours])
    inputs = [colours, half, quarter, eighth, *noises, *edges, likeness, style]
    return keras.Model(inputs, x)


def unmatched(network):
    """Returns a decoder without its last layer, `match_colours`."""
    *_, matching = network.layers
    return keras.Model(network.inputs, matching.input[0])


def read(network, copy, path):
    """Gives a decoder and its `neighbours.Copy` the weights of a file.

    The file holds them as float16 in their own order, and then the principal components
    that places are compared by, which are returned, float32 [C, D].
    """
    with np.load(path) as held:
        arrays = [held[key].astype(np.float32) for key in held.files]
    own = len(network.get_weights())
    network.set_weights(arrays[:own])
    copy.set_weights(arrays[own:-1])
    return arrays[-1]


def measure_moments(x, axes=(1, 2)):
    """Returns mean and variance of [B, H, W, C], float32 [B, 1, 1, C] each."""
    if x.dtype == "bfloat16" and _is_one_in_tensorflow(x):  # without a longer copy
        ones = ops.ones(x.shape[-1:], "float32")
        _, *found = _normalise_one(x, ones, 0 * ones)
        return [ops.reshape(values, (1, 1, 1, -1)) for values in found]
    return ops.moments(ops.cast(x, "float32"), axes, keepdims=True)


def match_colours(parts, own=None):
    """Gives a picture the style's means and deviations of colours.

    Args:
        parts: the picture, [B, H, W, 3]; `second_moments.statistics` of the style; and
            the transported colours of the whole photo. Where these hardly vary, the
            picture must not either: the decoder normalises, and would make clouds out
            of nothing.
        own: mean and variance to take for the picture's; None: its own.
    """
    picture, style, colours = parts
    mean, deviation = ops.split(style[:, None, None, : 2 * CHANNELS[0]], 2, -1)
    own_mean, own_variance = own or _colour_moments(picture)
    _, variance = _colour_moments(colours)
    lively = ops.mean(variance, -1, keepdims=True)
    lively = lively / ops.mean(ops.square(deviation), -1, keepdims=True)
    deviation = deviation * ops.sqrt(ops.minimum(LIVELY * lively, 1))
    gain = deviation * ops.rsqrt(own_variance + EPSILON)
    return ops.clip(picture * gain + (mean - own_mean * gain), 0, 1)


def _colour_moments(picture):
    """As `measure_moments`; for so few channels, products take half its time."""
    found = second_moments.means_and_variances(second_moments.second(picture))
    return [x[:, None, None] for x in found]


def _bounded(x):
    """Keeps x within 4, so that the scales of layers cannot pile up in an odd style."""
    return 4 * ops.tanh(x / 4)


def _double(x):
    """Bilinear, since nearest neighbours leave a hatching of squares."""
    count, height, width, channels = ops.shape(x)
    before = ops.concatenate([x[:, :1], x[:, :-1]], 1)
    after = ops.concatenate([x[:, 1:], x[:, -1:]], 1)
    rows = ops.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], 2)
    x = ops.reshape(rows, (count, 2 * height, width, channels))
    before = ops.concatenate([x[:, :, :1], x[:, :, :-1]], 2)
    after = ops.concatenate([x[:, :, 1:], x[:, :, -1:]], 2)
    columns = ops.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], 3)
    return ops.reshape(columns, (count, 2 * height, 2 * width, channels))


def _is_one_in_tensorflow(x):
    return x.shape[0] == 1 and keras.backend.backend() == "tensorflow"


def _normalise_one(x, scale, offset, moments=None):
    """Normalises one picture as batch normalisation does, which has a fast kernel.

    Args:
        x: [1, H, W, C].
        scale, offset: [C] each.
        moments: as from `measure_moments`; None: its own.

    Returns:
        The result, and the mean and variance of x, [C] each.
    """
    import tensorflow as tf

    mean, variance = (tf.reshape(m, [-1]) for m in moments) if moments else ([], [])
    found = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=offset,
        mean=mean,
        variance=variance,
        epsilon=EPSILON,
        is_training=moments is None,
    )
    return found.y, found.batch_mean, found.batch_variance
