"""A style as the stylizer knows it: means and second moments, and the way to them.

The way is the linear optimal transport between Gaussians, as in Lu et al. (2019), "A
closed-form solution to universal style transfer", https://arxiv.org/abs/1906.00668.
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

from keras import ops

# What Keras computes with: TensorFlow's tensors, and in training those of others too.
Tensor = Any

# Of what a style is known by: colours, and the activations of three layers.
CHANNELS = (3, 32, 64, 128)
CODE_SIZE = sum((channels + 1) ** 2 for channels in CHANNELS)
# Least variance of any direction, relative to the style's mean, so that nothing which
# a photo hardly has is blown up. Colours are few, and their faint ones matter.
RIDGES = (1e-4, 1e-2, 1e-2, 1e-2)
# Newton's steps to a square root: the matrices here, whose eigenvalues differ by a
# factor of 6e6 at most, come within 1 % of what their eigenvalues give.
NEWTON_STEPS = 22


def second(values: Tensor) -> Tensor:
    """Means over positions of [B, H, W, C] and of their products, [B, C + 1, C + 1].

    A channel of ones at the end lets one matrix hold both.
    """
    # A sum over so many positions has no room in fewer bits.
    values = ops.cast(values, "float32")
    values = ops.concatenate([values, ops.ones_like(values[..., :1])], -1)
    count, height, width, channels = ops.shape(values)
    flat = ops.reshape(values, (count, height * width, channels))
    positions = ops.cast(height * width, "float32")
    return ops.matmul(ops.swapaxes(flat, 1, 2), flat) / positions


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
    floor = ridge * ops.trace(target_covariance, axis1=1, axis2=2) / channels + 1e-8
    floor = floor[:, None, None] * ops.eye(channels)
    roots = _newton_roots if _newton.get() else _roots
    root, _ = roots(target_covariance + floor)
    between = ops.matmul(ops.matmul(root, covariance + floor), root)
    _, inverse = roots(between)
    matrix = ops.matmul(ops.matmul(root, inverse), root)
    flat = ops.reshape(values, (ops.shape(values)[0], -1, channels))
    moved = ops.matmul(flat, matrix) + (target_mean - ops.matmul(mean, matrix))
    return ops.reshape(moved, ops.shape(values))


# Whether square roots are found by Newton's steps, in this thread only.
_newton = contextvars.ContextVar("newton", default=False)


@contextlib.contextmanager
def newton() -> Iterator[None]:
    """Lets `transport` find square roots by products of matrices alone.

    For what has no eigenvalues, or slow ones: exported models, graphics cards.
    """
    token = _newton.set(True)
    try:
        yield
    finally:
        _newton.reset(token)


def _roots(matrix):
    """Square root and inverse square root of symmetric [B, C, C].

    There is a floor under the eigenvalues.
    """
    values, vectors = ops.linalg.eigh(matrix)
    values = ops.maximum(values, 1e-6 * values[:, -1:] + 1e-12)
    turned = ops.swapaxes(vectors, 1, 2)
    return tuple(
        ops.matmul(vectors * power[:, None], turned)
        for power in (ops.sqrt(values), ops.rsqrt(values))
    )


def _newton_roots(matrix):
    """The same by Higham (2008), "Functions of Matrices", eq. 6.35 (Newton-Schulz)."""
    size = ops.sqrt(ops.sum(ops.square(matrix), (1, 2), keepdims=True))
    identity = ops.eye(matrix.shape[-1])
    root, inverse = matrix / size, ops.zeros_like(matrix) + identity
    for _ in range(NEWTON_STEPS):
        step = 1.5 * identity - 0.5 * ops.matmul(inverse, root)
        root, inverse = ops.matmul(root, step), ops.matmul(step, inverse)
    return root * ops.sqrt(size), inverse * ops.rsqrt(size)


def statistics(code: Tensor) -> Tensor:
    """Means and standard deviations of codes [B, CODE_SIZE], [B, 2 * channels]."""
    parts = []
    for mean, covariance in map(_gaussian, split(code)):
        variance = ops.maximum(ops.diagonal(covariance, axis1=1, axis2=2), 0)
        parts += [mean[:, 0], ops.sqrt(variance + 1e-6)]
    return ops.concatenate(parts, -1)
