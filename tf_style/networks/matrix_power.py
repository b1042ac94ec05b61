"""Powers of symmetric matrices, for what is measured of a style.

By eigenvalues; or, in models that leave TensorFlow, by products alone, since ONNX and
LiteRT know no eigenvalues.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

# Least eigenvalue, relative to the largest.
FLOOR = 1e-6
# An eigenvalue of FLOOR grows by up to 9/4 in each of them.
ITERATIONS = 20

_products_only = contextvars.ContextVar("products_only", default=False)


@contextlib.contextmanager
def products_only() -> Iterator[None]:
    """Has `power` use products of matrices alone, where graphs are traced in here."""
    token = _products_only.set(True)
    try:
        yield
    finally:
        _products_only.reset(token)


def power(matrix: tf.Tensor, exponent: float) -> tf.Tensor:
    """Returns a power of symmetric matrices, with a floor under their eigenvalues.

    Args:
        matrix: [B, C, C], positive but for rounding.
        exponent: any; 0.5 or -0.5 in `products_only`.

    Returns:
        [B, C, C].
    """
    if _products_only.get():
        return _newton_schulz(matrix, exponent)
    values, vectors = tf.linalg.eigh(matrix)
    values = tf.maximum(values, FLOOR * values[:, -1:] + 1e-12)
    scaled = vectors * (values**exponent)[:, None]
    return tf.matmul(scaled, vectors, transpose_b=True)


def _newton_schulz(matrix, exponent):
    """Square root or its inverse, by Higham (2008), "Functions of matrices", eq. 6.35.

    The coupled iteration converges for eigenvalues from 0 to 1.
    """
    norm = tf.sqrt(tf.reduce_sum(matrix**2, [1, 2], keepdims=True)) + 1e-12
    identity = tf.eye(matrix.shape[-1])
    root = matrix / norm + FLOOR * identity
    inverse = identity[None]
    bound = 2 * FLOOR**-0.5
    for _ in range(ITERATIONS):
        step = 1.5 * identity - 0.5 * tf.matmul(inverse, root)
        root = tf.clip_by_value(tf.matmul(root, step), -2, 2)
        inverse = tf.clip_by_value(tf.matmul(step, inverse), -bound, bound)
    # It diverges, up to the bound, where there is nothing but rounding, as in the
    # covariance of a picture of one colour; there it is as good as zero.
    largest = tf.reduce_max(tf.abs(inverse), [1, 2], keepdims=True)
    sound = tf.cast(largest < 0.75 * bound, tf.float32)
    if exponent > 0:
        return root * tf.sqrt(norm) * sound
    return inverse * tf.math.rsqrt(norm) * sound
