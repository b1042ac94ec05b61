"""What the stylizer sees: a picture as colours and activations, a style as their code.

Activations are those of the built-in backbone, in three layers.
"""

import keras
import tensorflow as tf

from tf_style import hardware
from tf_style.builtin import moments, vgg

# What is transported: colours, and the activations of these layers.
LAYERS = ("block2_conv1", "block3_conv1", "block4_conv1")
# Pixels a side that one position of the deepest layer stands for.
STRIDE = 8
# Root mean squares of activations over paintings: the decoder sees about unit size.
SCALES = (1.0, 250.0, 250.0, 250.0)


def fastest_policy():
    """Returns Keras' dtype policy that is fastest here and good enough."""
    fast = hardware.fastest_dtype() == "bfloat16"
    return "mixed_bfloat16" if fast else "float32"


def build(dtype="float32"):
    """Builds the part of the built-in backbone that the stylizer sees with."""
    layers = vgg.LAYERS[: vgg.LAYERS.index(LAYERS[-1]) + 1]
    network = vgg.load("reflect", layers=layers, dtype=dtype)
    outputs = [network.get_layer(name).output for name in LAYERS]
    encoder = keras.Model(network.input, outputs)
    encoder.trainable = False
    return encoder


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


def prepare(encoder, photo, code):
    """Returns what the decoder is shown, but for the noise: (transported, statistics).

    Args:
        encoder: as from `build`.
        photo: [B, H, W, 3] in [0, 1], each side a multiple of `STRIDE`, at least two.
        code: moments to reach, [B, CODE_SIZE].
    """
    (colour, *deeper), (faint, *faints) = moments.split(code), moments.RIDGES
    colours = moments.transport(photo, colour, faint)
    _, *activations = measure(encoder, tf.clip_by_value(colours, 0, 1))
    moved = [moments.transport(*task) for task in zip(activations, deeper, faints)]
    return [colours, *moved], moments.statistics(code)


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
