"""Powers of matrices, by eigenvalues and by products alone."""

import numpy as np
import pytest

from tf_style.networks import matrix_power


def matrices(channels, condition):
    """Two symmetric matrices with known eigenvalues, which they come with."""
    drawn = np.random.default_rng(1).standard_normal((2, channels, channels))
    vectors, _ = np.linalg.qr(drawn)
    values = np.geomspace(1, 1 / condition, channels) * [[100], [1e-5]]
    return vectors, values


def compose(vectors, values):
    return ((vectors * values[:, None]) @ vectors.swapaxes(1, 2)).astype(np.float32)


@pytest.mark.parametrize("exponent", [0.5, -0.5])
@pytest.mark.parametrize("channels", [3, 128])
def test_products_alone_give_the_same_roots(channels, exponent):
    vectors, values = matrices(channels, 1e3)
    matrix, expected = compose(vectors, values), compose(vectors, values**exponent)
    scale = np.abs(expected).max((1, 2), keepdims=True)
    found = matrix_power.power(matrix, exponent)
    assert np.abs((found - expected) / scale).max() < 1e-3
    with matrix_power.products_only():
        found = matrix_power.power(matrix, exponent)
    assert np.abs((found - expected) / scale).max() < 1e-3


@pytest.mark.parametrize("exponent", [0.5, -0.5])
def test_mere_rounding_gives_finite_roots(exponent):
    rounding = np.diag([-3e-8, 1e-8, 0]).astype(np.float32)[None]
    for matrix in (rounding, np.zeros_like(rounding)):
        with matrix_power.products_only():
            assert np.isfinite(matrix_power.power(matrix, exponent)).all()


def test_products_alone_are_used_in_their_context_only():
    matrix = np.eye(3, dtype=np.float32)[None]
    with matrix_power.products_only():
        pass
    # Other roots are found by eigenvalues alone.
    assert np.allclose(matrix_power.power(8 * matrix, 1 / 3), 2 * matrix, atol=1e-5)
