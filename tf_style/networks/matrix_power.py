"""Powers of symmetric matrices, for what is measured of a style.

By eigenvalues; or by products alone, since ONNX and LiteRT know no eigenvalues, and
graphics cards are slow at them.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

from keras import ops

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


def power(matrix: Any, exponent: float) -> Any:
    """Returns a power of symmetric matrices, with a floor under their eigenvalues.

    Args:
        matrix: [B, C, C], positive but for rounding.
        exponent: any; 0.5 or -0.5 in `products_only`.

    Returns:
        [B, C, C].
    """
    if _products_only.get():
        return _newton_schulz(matrix, exponent)
    values, vectors = ops.linalg.eigh(matrix)
    values = ops.maximum(values, FLOOR * values[:, -1:] + 1e-12)
    scaled = vectors * (values**exponent)[:, None]
    return ops.matmul(scaled, ops.swapaxes(vectors, 1, 2))


def _newton_schulz(matrix, exponent):
    """Square root or its inverse, by Higham (2008), "Functions of matrices", eq. 6.35.

    The coupled iteration converges for eigenvalues from 0 to 1.
    """
    norm = ops.sqrt(ops.sum(ops.square(matrix), (1, 2), keepdims=True)) + 1e-12
    identity = ops.eye(matrix.shape[-1], dtype="float32")
    root = matrix / norm + FLOOR * identity
    inverse = identity[None]
    bound = 2 * FLOOR**-0.5
    for _ in range(ITERATIONS):
        step = 1.5 * identity - 0.5 * ops.matmul(inverse, root)
        root = ops.clip(ops.matmul(root, step), -2, 2)
        inverse = ops.clip(ops.matmul(step, inverse), -bound, bound)
    # It diverges, up to the bound, where there is nothing but rounding, as in the
    # covariance of a picture of one colour; there it is as good as zero.
    largest = ops.max(ops.abs(inverse), (1, 2), keepdims=True)
    sound = ops.cast(largest < 0.75 * bound, "float32")
    if exponent > 0:
        return root * ops.sqrt(norm) * sound
    return inverse * ops.rsqrt(norm) * sound
