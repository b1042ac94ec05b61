"""L-BFGS on problems whose answers are known."""

import numpy as np
import pytest
import tensorflow as tf

from tf_style.optimization import optimizers


def quadratic(seed, size=12):
    """Returns a symmetric matrix with eigenvalues from 1 to 100."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(size, size)))
    return (rotation * np.geomspace(1, 100, size)) @ rotation.T


def minimise(matrix, aim, start, steps, rate=0.01):
    """Goes down (x - aim) matrix (x - aim) / 2; returns all positions, flat."""
    image = tf.Variable(np.float32(start).reshape(1, 2, 2, 3))
    optimizer = optimizers.LBFGS(rate)
    optimizer.build([image])

    @tf.function
    def step():
        away = tf.reshape(image, [-1, 1]) - aim[:, None].astype(np.float32)
        slope = tf.matmul(matrix.astype(np.float32), away)
        optimizer.apply([tf.reshape(slope, image.shape)], [image])

    path = [image.numpy().ravel()]
    for _ in range(steps):
        step()
        path.append(image.numpy().ravel())
    return path


def test_the_first_step_moves_pixels_by_the_rate_down_the_gradient():
    matrix, aim, start = quadratic(1), np.full(12, 0.6), np.full(12, 0.4)
    before, after = minimise(matrix, aim, start, 1, rate=0.01)
    slope = matrix @ (start - aim)
    np.testing.assert_allclose(
        after - before, -0.01 * slope / np.abs(slope).mean(), atol=1e-5
    )


@pytest.mark.parametrize("seed", range(4))
def test_it_finds_the_least_of_a_quadratic(seed):
    aim = np.random.default_rng(seed).uniform(0.3, 0.7, 12)
    path = minimise(quadratic(seed), aim, np.full(12, 0.5), 60)
    np.testing.assert_allclose(path[-1], aim, atol=2e-3)


def test_by_the_second_step_it_knows_the_curvature_of_a_line():
    aim = np.full(12, 0.6)
    path = minimise(7 * np.eye(12), aim, np.full(12, 0.5), 2)
    np.testing.assert_allclose(path[1], 0.51, atol=1e-5)  # the rate
    # Then Newton's step of 0.09, as exact as what is kept.
    np.testing.assert_allclose(path[2], aim, atol=0.09 * 2**-7)


@pytest.mark.parametrize("seed", range(4))
def test_the_least_within_bounds_is_found_where_the_aim_is_outside(seed):
    matrix = quadratic(seed)
    aim = np.random.default_rng(seed).uniform(-0.5, 1.5, 12)
    path = minimise(matrix, aim, np.full(12, 0.5), 150)
    assert all(0 <= x.min() and x.max() <= 1 for x in path)
    slope = matrix @ (path[-1] - aim)
    # Karush, Kuhn and Tucker: no slope inside, and at bounds only outwards.
    projected = path[-1] - np.clip(path[-1] - slope / 100, 0, 1)
    assert np.abs(projected).max() < 3e-3


def test_no_step_is_longer_than_the_trust():
    path = minimise(1e-3 * np.eye(12), np.full(12, 1e3), np.zeros(12), 3, rate=5.0)
    moves = np.abs(np.diff(path, axis=0)).max(1)
    assert moves.max() == pytest.approx(optimizers.TRUST, rel=1e-4)
