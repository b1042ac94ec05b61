"""The built-in stylizer: any style in one pass, without a network.

The photo's colours, and its activations in three layers of the built-in backbone, are
moved to the style's means and covariances in closed form; a decoder, the only part that
was trained (`training/stylizer.py`), paints a picture from them, whose colours get the
style's means and deviations. The style enters as these moments and nothing else: they
are its code.

The closed form is the linear optimal transport between Gaussians, as in Lu et al.
(2019), "A closed-form solution to universal style transfer",
https://arxiv.org/abs/1906.00668. The decoder is modulated as in Ghiasi et al. (2017),
https://arxiv.org/abs/1705.06830, by the means and deviations in the code.
"""

import hashlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_style import files, hardware
from tf_style.builtin import vgg
from tf_style.losses import gram_matrix

# Weights as float16, in the order of the decoder's.
WEIGHTS = Path(__file__).with_name("stylizer.npz")

# What is transported: colours, and the activations of these layers.
LAYERS = ("block2_conv1", "block3_conv1", "block4_conv1")
CHANNELS = (3, 32, 64, 128)
# Pixels a side that one position of the deepest layer stands for.
STRIDE = 8
# Root mean squares of activations over paintings: the decoder sees about unit size.
SCALES = (1.0, 250.0, 250.0, 250.0)
# Least variance of any direction, relative to the style's mean, so that nothing which
# a photo hardly has is blown up. Colours are few, and their faint ones matter.
RIDGES = (1e-4, 1e-2, 1e-2, 1e-2)

# Least variance of the decoder's channels, of about 1.
EPSILON = 1e-3

CODE_SIZE = sum((channels + 1) ** 2 for channels in CHANNELS)


class Stylizer:
    """The built-in stylizer, ready to paint.

    Attributes:
        name, source, checksum, style_size, style_side: as of other models.
    """

    name = "builtin"
    source = str(WEIGHTS)
    # Longest side at which a style is coded. Measured on pictures of 512 pixels: 341
    # makes small squares of texture too strong, from 420 to 512 it matters little.
    style_size, style_side = 460, staticmethod(max)

    def __init__(self):
        dtype = fastest_policy()
        self._encoder = build_encoder(dtype)
        self._decoder = build_decoder(dtype, start="zeros")
        with np.load(WEIGHTS) as held:
            weights = [held[key].astype(np.float32) for key in held.files]
        self._decoder.set_weights(weights)
        sums = [files.sha256(path) for path in (vgg.WEIGHTS, WEIGHTS)]
        self.checksum = hashlib.sha256("".join(sums).encode()).hexdigest()
        picture = tf.TensorSpec([1, None, None, 3])
        code = tf.TensorSpec([1, CODE_SIZE])
        self._encode = tf.function(
            lambda image: encode(self._encoder, image), input_signature=[picture]
        )
        self._paint = tf.function(self._stylize, input_signature=[picture, code])

    def encode(self, style):
        """Returns the code of a style [1, H, W, 3] in [0, 1], [CODE_SIZE]."""
        return self._encode(tf.constant(style, tf.float32))[0].numpy()

    def paint(self, content, codes, weights, strength):
        """Repaints `content` in a mixture of styles.

        Args:
            content: photo, [1, H, W, 3] in [0, 1], of any size.
            codes: as from `encode`.
            weights: a share for each, all together 1.
            strength: 0 gives back the photo, 1 the style; between them the code is
                mixed with the photo's own.

        Returns:
            float32 [1, H, W, 3] in [0, 1].
        """
        content = np.asarray(content, np.float32)
        if strength == 0:
            return content
        height, width = content.shape[1:3]
        padded = tf.constant(_pad(content))
        code = np.average(codes, axis=0, weights=weights)[None].astype(np.float32)
        if strength < 1:
            own = self._encode(padded)
            code = own + strength * (code - own)
        painted = self._paint(padded, code).numpy()[:, :height, :width]
        # The decoder does not quite give back a photo from its own code.
        return content + (1 - (1 - strength) ** 3) * (painted - content)

    def _stylize(self, photo, code):
        transported, known = prepare(self._encoder, photo, code)
        return self._decoder([*transported, *noise(tf.shape(photo)), known])


def fastest_policy():
    """Returns Keras' dtype policy that is fastest here and good enough."""
    # float16 is finer than bfloat16, but has not the range.
    fast = hardware.fastest_dtype() == "bfloat16"
    return "mixed_bfloat16" if fast else "float32"


def measure(encoder, image):
    """Returns colours and activations of [B, H, W, 3], of about unit size."""
    activations = encoder(keras.applications.vgg19.preprocess_input(image * 255))
    values = [image, *(tf.cast(a, tf.float32) for a in activations)]
    return [value / scale for value, scale in zip(values, SCALES)]


def encode(encoder, image):
    """Returns the style code of [B, H, W, 3] in [0, 1], [B, CODE_SIZE].

    It holds the means of colours and activations and of all their products. Being means
    over positions, codes of several styles may be mixed like their pixels.
    """
    parts = [moments(values) for values in measure(encoder, image)]
    return tf.concat([tf.reshape(p, [tf.shape(p)[0], -1]) for p in parts], -1)


def moments(values):
    """Means over positions of [B, H, W, C] and of their products, [B, C + 1, C + 1].

    A channel of ones at the end lets one matrix hold both.
    """
    return gram_matrix(tf.concat([values, tf.ones_like(values[..., :1])], -1))


def split(code):
    """Splits codes [B, CODE_SIZE] into second moments [B, C + 1, C + 1], a list."""
    sizes = [(channels + 1) ** 2 for channels in CHANNELS]
    parts = zip(tf.split(code, sizes, -1), CHANNELS)
    return [tf.reshape(part, [-1, c + 1, c + 1]) for part, c in parts]


def _gaussian(second):
    """Mean [B, 1, C] and covariance [B, C, C] of second moments [B, C + 1, C + 1]."""
    mean, products = second[:, -1:, :-1], second[:, :-1, :-1]
    return mean, products - tf.matmul(mean, mean, transpose_a=True)


def transport(values, target, ridge):
    """Moves activations to the target's mean and covariance by the shortest way.

    Lu et al. (2019), eq. 9, with a ridge under both covariances. A picture's own
    moments leave it as it is.

    Args:
        values: [B, H, W, C].
        target: moments to reach, [B, C + 1, C + 1].
        ridge: variance to add, relative to the target's mean one.

    Returns:
        [B, H, W, C].
    """
    channels = values.shape[-1]
    mean, covariance = _gaussian(moments(values))
    target_mean, target_covariance = _gaussian(target)
    floor = ridge * tf.linalg.trace(target_covariance) / channels + 1e-8
    floor = floor[:, None, None] * tf.eye(channels)
    root = _power(target_covariance + floor, 0.5)
    matrix = root @ _power(root @ (covariance + floor) @ root, -0.5) @ root
    flat = tf.reshape(values, [tf.shape(values)[0], -1, channels])
    moved = tf.matmul(flat, matrix) + (target_mean - tf.matmul(mean, matrix))
    return tf.reshape(moved, tf.shape(values))


def _power(matrix, exponent):
    """Power of symmetric [B, C, C], with a floor under its eigenvalues."""
    values, vectors = tf.linalg.eigh(matrix)
    values = tf.maximum(values, 1e-6 * values[:, -1:] + 1e-12)
    scaled = vectors * (values**exponent)[:, None]
    return tf.matmul(scaled, vectors, transpose_b=True)


def build_encoder(dtype="float32"):
    """Builds the part of the built-in backbone that the stylizer sees with."""
    layers = vgg.LAYERS[: vgg.LAYERS.index(LAYERS[-1]) + 1]
    network = vgg.load("reflect", layers=layers, dtype=dtype)
    outputs = [network.get_layer(name).output for name in LAYERS]
    encoder = keras.Model(network.input, outputs)
    encoder.trainable = False
    return encoder


class Modulate(keras.layers.Layer):
    """Conditional instance normalisation, and a leaky unit.

    Dumoulin et al. (2017), https://arxiv.org/abs/1610.07629, eq. 5, with scale and
    shift from what is known of the style, as in Ghiasi et al. (2017).
    """

    def build(self, x_shape, known_shape):
        """Makes the map to scales and shifts, which starts as no modulation."""
        self.affine = keras.layers.Dense(2 * x_shape[-1], kernel_initializer="zeros")
        self.affine.build(known_shape)

    def call(self, x, known):
        """Maps x [B, H, W, C] and known [B, K] to [B, H, W, C]."""
        scale, shift = tf.split(self.affine(known), 2, -1)
        if x.shape[0] == 1:  # Batch normalisation is the same, and has a fast kernel.
            picture = tf.raw_ops.FusedBatchNormV3(
                x=x,
                scale=1 + scale[0],
                offset=shift[0],
                mean=[],
                variance=[],
                epsilon=EPSILON,
                is_training=True,
            )
            return tf.nn.leaky_relu(picture.y)
        mean, variance = tf.nn.moments(tf.cast(x, tf.float32), [1, 2], keepdims=True)
        scale = (1 + scale[:, None, None]) * tf.math.rsqrt(variance + EPSILON)
        shift = shift[:, None, None] - mean * scale
        return tf.nn.leaky_relu(x * tf.cast(scale, x.dtype) + tf.cast(shift, x.dtype))

    def compute_output_spec(self, x, known):
        """Keras' way to learn the shape without running the layer."""
        return keras.KerasTensor(x.shape, x.dtype)


def build_decoder(dtype="float32", start="he_normal"):
    """Builds the decoder, with kernels from the initializer `start`.

    Inputs: [colours, *activations] after transport, then a map of noise [B, H', W', 1]
    for the size of each of these activations, and statistics of the style as from
    `statistics`. Output: the picture.
    """
    colours, half, quarter, eighth = (
        keras.Input((None, None, channels)) for channels in CHANNELS
    )
    noises = [keras.Input((None, None, 1)) for _ in LAYERS]
    style = keras.Input((2 * sum(CHANNELS),))
    known = keras.layers.Dense(256, kernel_initializer=start)(style)
    known = keras.layers.LeakyReLU(0.2)(known)
    known = keras.layers.Dense(128, kernel_initializer=start)(known)
    known = keras.layers.Lambda(_bounded)(known)

    def convolve(x, filters):
        convolution = vgg.ReflectedConv2D(
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
        return keras.layers.Lambda(_double, dtype=dtype)(x)

    x = paint(join(eighth, noises[2]), 96)
    x = paint(refine(refine(x)), 48)
    x = paint(join(enlarge(x), quarter, noises[1]), 80)
    x = paint(refine(refine(x)), 32)
    pixels = keras.layers.Lambda(lambda p: tf.nn.space_to_depth(p, 2))(colours)
    x = paint(join(enlarge(x), half, pixels, noises[0]), 32)
    x = convolve(paint(x, 32), 12)
    x = keras.layers.Activation("sigmoid", dtype="float32")(x)
    x = keras.layers.Lambda(lambda p: tf.nn.depth_to_space(p, 2))(x)
    x = keras.layers.Lambda(_match_colours)([x, style])
    return keras.Model([colours, half, quarter, eighth, *noises, style], x)


def _match_colours(parts):
    """Gives a picture the means and deviations of colours that the style has."""
    picture, style = parts
    mean, deviation = tf.split(style[:, None, None, : 2 * CHANNELS[0]], 2, -1)
    own_mean, own_variance = tf.nn.moments(picture, [1, 2], keepdims=True)
    gain = deviation * tf.math.rsqrt(own_variance + EPSILON)
    return tf.clip_by_value((picture - own_mean) * gain + mean, 0, 1)


def _bounded(x):
    """Keeps x within 4, so that no odd style makes the factors of layers pile up."""
    return 4 * tf.tanh(x / 4)


def _double(x):
    """Bilinear, since nearest neighbours leave a hatching of squares."""
    return tf.cast(tf.image.resize(x, 2 * tf.shape(x)[1:3]), x.dtype)


def statistics(code):
    """Means and standard deviations of codes [B, CODE_SIZE], [B, 2 * channels]."""
    parts = []
    for mean, covariance in map(_gaussian, split(code)):
        variance = tf.maximum(tf.linalg.diag_part(covariance), 0)
        parts += [mean[:, 0], tf.sqrt(variance + 1e-6)]
    return tf.concat(parts, -1)


def noise(shape):
    """Draws the decoder's noise for pictures of `shape` [B, H, W, 3].

    Equal sizes get equal noise, so that a picture can be made again.
    """
    return [
        tf.random.stateless_normal([shape[0], shape[1] // s, shape[2] // s, 1], [s, 0])
        for s in (2, 4, 8)
    ]


def _pad(content):
    """Mirrors the right and lower rim up to sides that the network can halve."""
    rims = [
        (0, max(2 * STRIDE, -(-side // STRIDE) * STRIDE) - side)
        for side in content.shape[1:3]
    ]
    return np.pad(content, [(0, 0), *rims, (0, 0)], mode="reflect")


def prepare(encoder, photo, code):
    """Returns what the decoder is shown, but for the noise: (transported, statistics).

    Args:
        encoder: as from `build_encoder`.
        photo: [B, H, W, 3] in [0, 1], each side a multiple of `STRIDE`, at least two.
        code: moments to reach, [B, CODE_SIZE].
    """
    (colour, *deeper), (faint, *faints) = split(code), RIDGES
    colours = transport(photo, colour, faint)
    _, *activations = measure(encoder, tf.clip_by_value(colours, 0, 1))
    moved = [transport(*task) for task in zip(activations, deeper, faints)]
    return [colours, *moved], statistics(code)
