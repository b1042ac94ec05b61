"""Means and second moments of a style, and the transport to them.

The transport is the linear optimal one between Gaussians, as in Lu et al. (2019), "A
closed-form solution to universal style transfer", https://arxiv.org/abs/1906.00668.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from tf_style.networks import matrix_power

# Keras' tensors: TensorFlow's, or in training those of other backends.
Tensor = Any

# What describes a style: colours, and the activations of three layers.
CHANNELS = (3, 32, 64, 128)
CODE_SIZE = sum((channels + 1) ** 2 for channels in CHANNELS)
# Smallest variance of any direction, relative to the style's mean, so that nothing
# faint in a photo is amplified. Colours have few channels, and their faint directions
# matter.
RIDGES = (1e-4, 1e-2, 1e-2, 1e-2)


def second(values: Tensor) -> Tensor:
    """Means over positions of [B, H, W, C] and of their products, [B, C + 1, C + 1].

    A channel of ones at the end lets one matrix hold both.
    """
    count, height, width, channels = ops.shape(values)
    # A sum over so many positions needs the bits.
    flat = ops.reshape(ops.cast(values, "float32"), (count, height * width, channels))
    # As products, which are faster than sums, and than a channel of ones beside them.
    sums = ops.matmul(ops.ones((count, 1, height * width), "float32"), flat)
    products = ops.matmul(ops.swapaxes(flat, 1, 2), flat)
    number = ops.full((count, 1, 1), ops.cast(height * width, "float32"), "float32")
    right = ops.concatenate([ops.swapaxes(sums, 1, 2), number], 1)
    return ops.concatenate([ops.concatenate([products, sums], 1), right], 2) / number


def split(code: Tensor) -> list[Tensor]:
    """Splits codes [B, CODE_SIZE] into second moments [B, C + 1, C + 1], a list."""
    parts, begin = [], 0
    for size in (channels + 1 for channels in CHANNELS):
        part = code[:, begin : begin + size**2]
        parts.append(ops.reshape(part, (-1, size, size)))
        begin += size**2
    return parts


def join(seconds: Sequence[Tensor]) -> Tensor:
    """Joins second moments [B, C + 1, C + 1], a list, into codes [B, CODE_SIZE]."""
    return ops.concatenate(
        [ops.reshape(s, (-1, s.shape[-1] ** 2)) for s in seconds], -1
    )


def _gaussian(second):
    """Mean [B, 1, C] and covariance [B, C, C] of second moments [B, C + 1, C + 1]."""
    mean, products = second[:, -1:, :-1], second[:, :-1, :-1]
    return mean, products - ops.matmul(ops.swapaxes(mean, 1, 2), mean)


def transport(
    values: Tensor, target: Tensor, ridge: float, own: Tensor | None = None
) -> Tensor:
    """Moves activations to the target's mean and covariance by optimal transport.

    Lu et al. (2019), eq. 9, with a ridge on both covariances. A picture's own moments
    leave it unchanged.

    Args:
        values: [B, H, W, C].
        target: moments to reach, [B, C + 1, C + 1].
        ridge: variance to add, relative to the target's mean one.
        own: moments of the picture that `values` belong to; None: `values` themselves.

    Returns:
        [B, H, W, C].
    """
    channels = values.shape[-1]
    mean, covariance = _gaussian(second(values) if own is None else own)
    target_mean, target_covariance = _gaussian(target)
    # A trace as a sum, because LiteRT has no diagonals.
    identity = ops.eye(channels, dtype="float32")
    trace = ops.sum(target_covariance * identity, (1, 2), keepdims=True)
    floor = (ridge * trace / channels + 1e-8) * identity
    root = matrix_power.power(target_covariance + floor, 0.5)
    between = ops.matmul(ops.matmul(root, covariance + floor), root)
    inverse = matrix_power.power(between, -0.5)
    matrix = ops.matmul(ops.matmul(root, inverse), root)
    flat = ops.reshape(values, (ops.shape(values)[0], -1, channels))
    moved = ops.matmul(flat, matrix) + (target_mean - ops.matmul(mean, matrix))
    return ops.reshape(moved, ops.shape(values))


def statistics(code: Tensor) -> Tensor:
    """Means and standard deviations of codes [B, CODE_SIZE], [B, 2 * channels]."""
    parts = []
    for mean, variance in map(means_and_variances, split(code)):
        parts += [mean, ops.sqrt(variance + 1e-6)]
    return ops.concatenate(parts, -1)


def means_and_variances(second: Tensor) -> tuple[Tensor, Tensor]:
    """Means and variances [B, C] of second moments [B, C + 1, C + 1]."""
    mean, covariance = _gaussian(second)
    identity = ops.eye(covariance.shape[-1], dtype="float32")
    return mean[:, 0], ops.maximum(ops.sum(covariance * identity, -1), 0)
