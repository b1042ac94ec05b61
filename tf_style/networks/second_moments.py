"""A style as the stylizer knows it: means and second moments, and the way to them.

The way is the linear optimal transport between Gaussians, as in Lu et al. (2019), "A
closed-form solution to universal style transfer", https://arxiv.org/abs/1906.00668.
"""

from collections.abc import Sequence

import tensorflow as tf

from tf_style.networks.matrix_power import power

# Of what a style is known by: colours, and the activations of three layers.
CHANNELS = (3, 32, 64, 128)
CODE_SIZE = sum((channels + 1) ** 2 for channels in CHANNELS)
# Least variance of any direction, relative to the style's mean, so that nothing which
# a photo hardly has is blown up. Colours are few, and their faint ones matter.
RIDGES = (1e-4, 1e-2, 1e-2, 1e-2)


def second(values: tf.Tensor) -> tf.Tensor:
    """Means over positions of [B, H, W, C] and of their products, [B, C + 1, C + 1].

    A channel of ones at the end lets one matrix hold both.
    """
    values = tf.concat([values, tf.ones_like(values[..., :1])], -1)
    shape = tf.shape(values)
    flat = tf.reshape(values, [shape[0], shape[1] * shape[2], shape[3]])
    # A sum over so many positions has no room in fewer bits.
    exact = tf.cast(flat, tf.float32)
    positions = tf.cast(shape[1] * shape[2], tf.float32)
    return tf.matmul(exact, exact, transpose_a=True) / positions


def split(code: tf.Tensor) -> list[tf.Tensor]:
    """Splits codes [B, CODE_SIZE] into second moments [B, C + 1, C + 1], a list."""
    sizes = [(channels + 1) ** 2 for channels in CHANNELS]
    parts = zip(tf.split(code, sizes, -1), CHANNELS)
    return [tf.reshape(part, [-1, c + 1, c + 1]) for part, c in parts]


def join(seconds: Sequence[tf.Tensor]) -> tf.Tensor:
    """Joins second moments [B, C + 1, C + 1], a list, into codes [B, CODE_SIZE]."""
    return tf.concat([tf.reshape(s, [tf.shape(s)[0], -1]) for s in seconds], -1)


def _gaussian(second):
    """Mean [B, 1, C] and covariance [B, C, C] of second moments [B, C + 1, C + 1]."""
    mean, products = second[:, -1:, :-1], second[:, :-1, :-1]
    return mean, products - tf.matmul(mean, mean, transpose_a=True)


def transport(
    values: tf.Tensor, target: tf.Tensor, ridge: float, own: tf.Tensor | None = None
) -> tf.Tensor:
    """Moves activations to the target's mean and covariance by the shortest way.

    Lu et al. (2019), eq. 9, with a ridge under both covariances. A picture's own
    moments leave it as it is.

    Args:
        values: [B, H, W, C].
        target: moments to reach, [B, C + 1, C + 1].
        ridge: variance to add, relative to the target's mean one.
        own: moments of the picture that `values` are a part of; None: the whole.

    Returns:
        [B, H, W, C].
    """
    channels = values.shape[-1]
    mean, covariance = _gaussian(second(values) if own is None else own)
    target_mean, target_covariance = _gaussian(target)
    variance = tf.reduce_mean(_diagonal(target_covariance), -1)
    floor = (ridge * variance + 1e-8)[:, None, None] * tf.eye(channels)
    root = power(target_covariance + floor, 0.5)
    matrix = root @ power(root @ (covariance + floor) @ root, -0.5) @ root
    flat = tf.reshape(values, [tf.shape(values)[0], -1, channels])
    moved = tf.matmul(flat, matrix) + (target_mean - tf.matmul(mean, matrix))
    return tf.reshape(moved, tf.shape(values))


def statistics(code: tf.Tensor) -> tf.Tensor:
    """Means and standard deviations of codes [B, CODE_SIZE], [B, 2 * channels]."""
    parts = []
    for mean, covariance in map(_gaussian, split(code)):
        variance = tf.maximum(_diagonal(covariance), 0)
        parts += [mean[:, 0], tf.sqrt(variance + 1e-6)]
    return tf.concat(parts, -1)


def _diagonal(matrix):
    """Diagonal of [B, C, C], [B, C]; LiteRT has no operation for it."""
    return tf.reduce_sum(matrix * tf.eye(matrix.shape[-1]), -1)
