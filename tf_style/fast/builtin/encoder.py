"""The encoder: pictures as colours and activations, styles as their moments.

Activations are those of the built-in backbone, in three layers.
"""

import keras
import numpy as np
from keras import ops

from tf_style.networks import second_moments, small_vgg

# Colours and the activations of these layers are transported.
LAYERS = ("block2_conv1", "block3_conv1", "block4_conv1")
# Size in pixels of one position of each.
STRIDES = (2, 4, 8)
STRIDE = STRIDES[-1]
# Root mean square of activations over paintings; normalises the decoder's input.
SCALE = 250.0
# `keras.applications.vgg19.preprocess_input` of [0, 1], as a product: its slices take
# three times as long.
TO_VGG = 255 * np.eye(3, dtype=np.float32)[::-1]
VGG_BLACK = keras.applications.vgg19.preprocess_input(
    np.zeros([1, 1, 3], np.float32), "channels_last"
)
# Factor that normalises the slopes of a photo's brightness.
EDGES = 8.0
# Of red, green and blue, ITU-R BT.601.
LUMINANCE = (0.299, 0.587, 0.114)


def build(dtype="float32"):
    """Builds the part of the built-in backbone that the stylizer uses."""
    layers = small_vgg.LAYERS[: small_vgg.LAYERS.index(LAYERS[-1]) + 1]
    network = small_vgg.load("reflect", layers=layers, dtype=dtype)
    outputs = [network.get_layer(name).output for name in LAYERS]
    encoder = keras.Model(network.input, outputs)
    encoder.trainable = False
    return encoder


def crop(picture):
    """Crops [1, H, W, C] centrally to sides that are multiples of `STRIDE`."""
    height, width = ops.shape(picture)[1:3]
    top, left = height % STRIDE // 2, width % STRIDE // 2
    rows, columns = height // STRIDE * STRIDE, width // STRIDE * STRIDE
    return picture[:, top : top + rows, left : left + columns]


def measure(encoder, image):
    """Returns colours and activations of [B, H, W, 3], of about unit size."""
    activations = encoder(ops.matmul(image, TO_VGG) + VGG_BLACK)
    return [image, *(ops.cast(a, "float32") / SCALE for a in activations)]


def encode(encoder, image):
    """Returns the style code of [B, H, W, 3] in [0, 1], [B, CODE_SIZE].

    It holds the means of colours and activations and of all their products. Being means
    over positions, codes of several styles may be mixed like their pixels.
    """
    return moments(measure(encoder, image))


def moments(measured):
    """Returns the style code of what `measure` returns."""
    return second_moments.join([second_moments.second(v) for v in measured])


def recolour(photo, code, own=None):
    """Moves the colours of a photo [B, H, W, 3] to those of a code.

    Args:
        photo: [B, H, W, 3] in [0, 1], each side a multiple of `STRIDE`, at least two.
        code: moments to reach, [B, CODE_SIZE], or [1, CODE_SIZE] for all.
        own: second moments of its colours, where they are not to be its very own.
    """
    return second_moments.transport(
        photo, second_moments.split(code)[0], second_moments.RIDGES[0], own
    )


def transport(encoder, colours, code, own=None):
    """Moves the activations of a recoloured photo to those of a code.

    Args:
        encoder: as from `build`.
        colours: as from `recolour`.
        code: moments to reach, [B, CODE_SIZE], or [1, CODE_SIZE] for all.
        own: second moments of the activations, where `colours` are tiles of the photo.

    Returns:
        Activations of `LAYERS`, a list.
    """
    activations = see(encoder, colours)
    return move(activations, code, own or [None] * len(activations))


def see(encoder, colours):
    """Returns the activations of a recoloured photo."""
    _, *activations = measure(encoder, ops.clip(colours, 0, 1))
    return activations


def move(activations, code, own):
    """Moves activations to those of a code; see `transport`."""
    targets, ridges = second_moments.split(code)[1:], second_moments.RIDGES[1:]
    tasks = zip(activations, targets, ridges, own, strict=True)
    return [second_moments.transport(*task) for task in tasks]


def edges(photo):
    """Returns slopes of brightness, down and to the right, at half and quarter size.

    Args:
        photo: [B, H, W, 3] in [0, 1].

    Returns:
        [B, H / 2, W / 2, 2] and [B, H / 4, W / 4, 2], of about unit size.
    """
    # A product takes a third of the time of a sum over so few channels.
    grey = ops.matmul(photo, ops.convert_to_tensor(LUMINANCE, "float32")[:, None])
    slopes = []
    for stride in STRIDES[:2]:
        small = ops.average_pool(grey, stride, stride, data_format="channels_last")
        rows = ops.concatenate([small[:, :1], small, small[:, -1:]], 1)
        columns = ops.concatenate([small[:, :, :1], small, small[:, :, -1:]], 2)
        both = [rows[:, 2:] - rows[:, :-2], columns[:, :, 2:] - columns[:, :, :-2]]
        slopes.append(ops.concatenate(both, -1) * EDGES)
    return slopes


def noise(shape, seed=0):
    """Draws the decoder's noise for pictures of `shape` [B, H, W, 3].

    Equal sizes get equal noise, so that results are reproducible.

    Args:
        shape: of the pictures.
        seed: a number, or a `keras.random.SeedGenerator` for noise that differs.
    """
    return [
        keras.random.normal(
            (shape[0], shape[1] // stride, shape[2] // stride, 1),
            dtype="float32",
            seed=seed + stride if isinstance(seed, int) else seed,
        )
        for stride in STRIDES
    ]


def same_noise(photos):
    """Draws the noise for [B, H, W, 3]: each gets what a single one gets."""
    count, *size = ops.shape(photos)
    return [ops.repeat(level, count, 0) for level in noise([1, *size])]
