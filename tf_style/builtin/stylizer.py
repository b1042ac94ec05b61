"""The built-in stylizer: any style in one pass, without a network.

The photo's colours, and its activations in three layers of the built-in backbone, are
moved to the style's means and covariances in closed form (`moments`); a decoder
(`decoder`), the only part that was trained, paints a picture from them, whose colours
get the style's means and deviations. The style enters as these moments and nothing
else: they are its code.
"""

import hashlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_style import files, hardware
from tf_style.builtin import decoder, moments, vgg

# Weights as float16, in the order of the decoder's.
WEIGHTS = Path(__file__).with_name("stylizer.npz")

# What is transported: colours, and the activations of these layers.
LAYERS = ("block2_conv1", "block3_conv1", "block4_conv1")
# Pixels a side that one position of the deepest layer stands for.
STRIDE = 8
# Root mean squares of activations over paintings: the decoder sees about unit size.
SCALES = (1.0, 250.0, 250.0, 250.0)


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
        self._decoder = decoder.build(dtype, start="zeros")
        decoder.read(self._decoder, WEIGHTS)
        sums = [files.sha256(path) for path in (vgg.WEIGHTS, WEIGHTS)]
        self.checksum = hashlib.sha256("".join(sums).encode()).hexdigest()
        picture = tf.TensorSpec([1, None, None, 3])
        code = tf.TensorSpec([1, moments.CODE_SIZE])
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
    parts = [moments.second(values) for values in measure(encoder, image)]
    return tf.concat([tf.reshape(p, [tf.shape(p)[0], -1]) for p in parts], -1)


def build_encoder(dtype="float32"):
    """Builds the part of the built-in backbone that the stylizer sees with."""
    layers = vgg.LAYERS[: vgg.LAYERS.index(LAYERS[-1]) + 1]
    network = vgg.load("reflect", layers=layers, dtype=dtype)
    outputs = [network.get_layer(name).output for name in LAYERS]
    encoder = keras.Model(network.input, outputs)
    encoder.trainable = False
    return encoder


def noise(shape, seed=0):
    """Draws the decoder's noise for pictures of `shape` [B, H, W, 3].

    Equal sizes get equal noise, so that a picture can be made again.
    """
    return [
        tf.random.stateless_normal(
            [shape[0], shape[1] // scale, shape[2] // scale, 1], [scale, seed]
        )
        for scale in (2, 4, 8)
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
    (colour, *deeper), (faint, *faints) = moments.split(code), moments.RIDGES
    colours = moments.transport(photo, colour, faint)
    _, *activations = measure(encoder, tf.clip_by_value(colours, 0, 1))
    moved = [moments.transport(*task) for task in zip(activations, deeper, faints)]
    return [colours, *moved], moments.statistics(code)
