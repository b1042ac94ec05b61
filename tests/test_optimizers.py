"""Adam and L-BFGS on problems whose answers are known, and beside others' own."""

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from tf_style.optimization import optimizers


def quadratic(seed, size=12):
    """Returns a symmetric matrix with eigenvalues from 1 to 100."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(size, size)))
    return (rotation * np.geomspace(1, 100, size)) @ rotation.T


def minimise(matrix, target, start, steps, rate=0.01, **settings):
    """Goes down (x - target) matrix (x - target) / 2; returns all positions, flat."""
    image = tf.constant(np.float32(start).reshape(1, 2, 2, 3))
    optimizer = optimizers.LBFGS(rate, **settings)
    memory = optimizer.start(image)
    path = [image.numpy().ravel()]
    for _ in range(steps):
        gradient = np.float32(matrix @ (path[-1] - target)).reshape(image.shape)
        image, memory = optimizer.step(image, gradient, memory, tf.constant(rate))
        path.append(image.numpy().ravel())
    return path


def test_the_first_step_moves_pixels_by_the_rate_down_the_gradient():
    matrix, target, start = quadratic(1), np.full(12, 0.6), np.full(12, 0.4)
    before, after = minimise(matrix, target, start, 1, rate=0.01)
    gradient = matrix @ (start - target)
    np.testing.assert_allclose(
        after - before, -0.01 * gradient / np.abs(gradient).mean(), atol=1e-5
    )


@pytest.mark.parametrize("seed", range(4))
def test_it_finds_the_least_of_a_quadratic(seed):
    target = np.random.default_rng(seed).uniform(0.3, 0.7, 12)
    path = minimise(quadratic(seed), target, np.full(12, 0.5), 60)
    np.testing.assert_allclose(path[-1], target, atol=2e-3)


@pytest.mark.parametrize("history", [1, 2, 3])
def test_it_finds_it_with_few_pairs_too(history):
    """Of one pair, TensorFlow's graph optimizer used to lose the shape."""
    target = np.random.default_rng(0).uniform(0.3, 0.7, 12)
    path = minimise(quadratic(0), target, np.full(12, 0.5), 400, history=history)
    np.testing.assert_allclose(path[-1], target, atol=2e-2)


@pytest.mark.parametrize("budget, pairs", [(10000, 10), (240, 5), (100, 2), (0, 2)])
def test_large_pictures_have_fewer_pairs_and_two_at_least(monkeypatch, budget, pairs):
    monkeypatch.setattr(optimizers.LBFGS, "HISTORY_BYTES", budget)
    # 12 numbers of 2 bytes, twice for each pair.
    memory = optimizers.LBFGS(0.01).start(tf.zeros([1, 2, 2, 3]))
    assert len(memory.s) == len(memory.y) == pairs


def test_by_the_second_step_it_knows_the_curvature_of_a_line():
    target = np.full(12, 0.6)
    path = minimise(7 * np.eye(12), target, np.full(12, 0.5), 2)
    np.testing.assert_allclose(path[1], 0.51, atol=1e-5)  # the rate
    # Then Newton's step of 0.09, as exact as what is kept.
    np.testing.assert_allclose(path[2], target, atol=0.09 * 2**-7)


@pytest.mark.parametrize("seed", range(4))
def test_the_least_within_bounds_is_found_where_the_aim_is_outside(seed):
    matrix = quadratic(seed)
    target = np.random.default_rng(seed).uniform(-0.5, 1.5, 12)
    path = minimise(matrix, target, np.full(12, 0.5), 150)
    assert all(0 <= x.min() and x.max() <= 1 for x in path)
    gradient = matrix @ (path[-1] - target)
    # Karush, Kuhn and Tucker: no gradient inside, and at bounds only outwards.
    projected = path[-1] - np.clip(path[-1] - gradient / 100, 0, 1)
    assert np.abs(projected).max() < 3e-3


def test_no_step_is_longer_than_the_trust():
    path = minimise(1e-3 * np.eye(12), np.full(12, 1e3), np.zeros(12), 3, rate=5.0)
    moves = np.abs(np.diff(path, axis=0)).max(1)
    assert moves.max() == pytest.approx(optimizers.LBFGS.MAX_STEP, rel=1e-4)


@pytest.mark.parametrize("pairs", [1, 4, 10])
def test_the_inverse_of_the_hessian_is_that_of_scipy(pairs):
    """Which knows no initial scale: there, H0 is the identity."""
    rng, n, m = np.random.default_rng(pairs), 30, 10
    s = rng.normal(size=(pairs, n)).astype(np.float32)
    y = np.float32(s @ quadratic(0, n) / 100)
    g = rng.normal(size=n).astype(np.float32)
    expected = scipy.optimize.LbfgsInvHessProduct(s, y).matvec(g)

    def padded(products):
        return tf.constant(np.pad(products, (m - pairs, 0)))

    memory = optimizers.Memory(
        s=[tf.zeros(n)] * (m - pairs) + [*map(tf.constant, s)],
        y=[tf.zeros(n)] * (m - pairs) + [*map(tf.constant, y)],
        sy=padded(s @ y.T),
        yy=padded(y @ y.T),
        known=tf.constant(pairs),
        step=None,
        gradient=None,
    )
    found = optimizers.inverse_hessian_product(memory, tf.constant(g), 1.0)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-2)


def test_it_comes_down_a_convex_problem_as_scipys_does():
    """With a line search, SciPy needs more looks at the loss than we make steps."""
    matrix, target = quadratic(5), np.random.default_rng(5).uniform(0.3, 0.7, 12)

    def loss(x):
        return (x - target) @ matrix @ (x - target) / 2, matrix @ (x - target)

    found = scipy.optimize.minimize(
        loss, np.full(12, 0.5), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * 12
    )
    path = minimise(matrix, target, np.full(12, 0.5), 2 * found.nfev)
    np.testing.assert_allclose(path[-1], found.x, atol=3e-3)


def test_pairs_are_kept_from_the_oldest_to_the_newest_with_their_products():
    matrix, target = quadratic(3), np.full(12, 0.6)
    image, optimizer = tf.constant(np.full((1, 2, 2, 3), 0.5, np.float32)), None
    optimizer = optimizers.LBFGS(0.01)
    memory = optimizer.start(image)
    for _ in range(optimizer.HISTORY + 4):
        gradient = np.float32(matrix @ (image.numpy().ravel() - target))
        gradient = gradient.reshape(image.shape)
        image, memory = optimizer.step(image, gradient, memory, tf.constant(0.01))
    s, y = (np.array([v.numpy().astype(np.float32) for v in memory[i]]) for i in (0, 1))
    upper = np.triu_indices(len(s))
    np.testing.assert_allclose(memory.sy.numpy()[upper], (s @ y.T)[upper], rtol=1e-4)
    np.testing.assert_allclose(memory.yy, y @ y.T, rtol=1e-4)


def test_adam_steps_as_keras_does():
    rng = np.random.default_rng(0)
    first = rng.uniform(0.4, 0.6, (1, 3, 4, 3)).astype(np.float32)
    ours, theirs = optimizers.Adam(0.02, 0.9, 1e-7), tf.Variable(first)
    adam = keras.optimizers.Adam(0.02, beta_1=0.9, epsilon=1e-7)
    image, memory = tf.constant(first), ours.start(tf.constant(first))
    for _ in range(9):
        gradient = rng.normal(size=first.shape).astype(np.float32)
        image, memory = ours.step(image, gradient, memory, tf.constant(0.02))
        adam.apply([tf.constant(gradient)], [theirs])
        np.testing.assert_allclose(image, theirs, atol=1e-6)


@pytest.mark.parametrize("kind", [optimizers.LBFGS(1.0), optimizers.Adam(1.0, 0.9, 1)])
def test_a_picture_stays_within_its_range(kind):
    image = tf.constant(np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 2, 2, 3))
    memory = kind.start(image)
    for sign in (1, -1, 1):
        gradient = tf.fill(image.shape, 1e6 * sign)
        image, memory = kind.step(image, gradient, memory, tf.constant(1.0))
        assert 0 <= image.numpy().min() and image.numpy().max() <= 1
