"""Losses against numbers worked out by hand, and what must not change them."""

import numpy as np
import pytest

from tf_style.networks import losses


def constant(height, width, *channels):
    return np.full((1, height, width, len(channels)), channels, np.float32)


def checkerboard(height, width, channels=1):
    board = np.indices((height, width)).sum(0) % 2
    return np.repeat(board[None, ..., None], channels, -1).astype(np.float32)


def edge(height, width):
    """Black on the left, white on the right."""
    picture = np.zeros((1, height, width, 1), np.float32)
    picture[:, :, width // 2 :] = 1
    return picture


@pytest.fixture
def activations():
    return np.random.default_rng(3).normal(size=(2, 5, 7, 4)).astype(np.float32)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 32)])
def test_gram_matrix_of_constant_channels_does_not_depend_on_the_size(size):
    gram = losses.gram_matrix(constant(*size, 1, 2))
    np.testing.assert_allclose(gram, [[[1, 2], [2, 4]]], rtol=1e-6)


def test_gram_matrix_is_the_mean_outer_product_of_each_picture_of_the_batch(
    activations,
):
    expected = [
        sum(np.outer(pixel, pixel) for pixel in picture.reshape(-1, 4)) / (5 * 7)
        for picture in activations
    ]
    np.testing.assert_allclose(losses.gram_matrix(activations), expected, rtol=1e-4)


def test_gram_matrix_ignores_where_things_are(activations):
    order = np.random.default_rng(4).permutation(5 * 7)
    moved = activations.reshape(2, 35, 4)[:, order].reshape(2, 7, 5, 4)
    np.testing.assert_allclose(
        losses.gram_matrix(moved), losses.gram_matrix(activations), rtol=1e-4
    )


def test_gram_matrix_follows_the_order_of_channels(activations):
    order = [2, 0, 3, 1]
    expected = losses.gram_matrix(activations).numpy()[:, order][:, :, order]
    np.testing.assert_allclose(
        losses.gram_matrix(activations[..., order]), expected, rtol=1e-5
    )


def test_twice_the_activations_give_four_times_the_gram_matrix_and_sixteen_the_loss(
    activations,
):
    once, twice = (losses.gram_matrix(k * activations) for k in (1, 2))
    zero = np.zeros_like(once)
    np.testing.assert_allclose(twice, 4 * once, rtol=1e-5)
    assert float(losses.style_loss([twice], [zero])) == pytest.approx(
        16 * float(losses.style_loss([once], [zero])), rel=1e-5
    )


@pytest.mark.parametrize(
    "features, target, expected",
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], 0),
        ([[1, 2], [3, 4]], [[1, 0], [0, 4]], 13 / 4),
        ([[1, 2], [3, 4]], [[0, 0], [0, 0]], 30 / 4),
        ([[-1, -1], [-1, -1]], [[1, 1], [1, 1]], 4),
    ],
)
def test_content_loss_is_the_mean_squared_difference(features, target, expected):
    features, target = (
        np.reshape(values, (1, 2, 2, 1)).astype(np.float32)
        for values in (features, target)
    )
    assert float(losses.content_loss(features, target)) == pytest.approx(expected)
    assert float(losses.content_loss(target, features)) == pytest.approx(expected)


# Mean squared differences of 25 / 4 and of 1.
GRAMS = [np.float32([[[1, 2], [2, 4]]]), np.float32([[[1, 1], [1, 1]]])]
TARGETS = [np.zeros((1, 2, 2), np.float32)] * 2


@pytest.mark.parametrize(
    "weights, expected",
    [
        (None, (25 / 4 + 1) / 2),
        ((), (25 / 4 + 1) / 2),
        ((1, 1), (25 / 4 + 1) / 2),
        ((3, 1), (3 * 25 / 4 + 1) / 4),
        ((0.75, 0.25), (3 * 25 / 4 + 1) / 4),
        ((300, 100), (3 * 25 / 4 + 1) / 4),
        ((0, 5), 1),
    ],
)
def test_style_loss_is_the_weighted_mean_over_layers(weights, expected):
    assert float(losses.style_loss(GRAMS, TARGETS, weights)) == pytest.approx(expected)


def test_style_loss_of_a_picture_with_itself_is_zero(activations):
    gram = losses.gram_matrix(activations)
    assert float(losses.style_loss([gram], [gram])) == 0


@pytest.mark.parametrize("targets, weights", [(TARGETS[:1], None), (TARGETS, (1,))])
def test_style_loss_refuses_layers_that_do_not_match(targets, weights):
    with pytest.raises(ValueError):
        losses.style_loss(GRAMS, targets, weights)


@pytest.mark.parametrize(
    "picture, expected",
    [
        (constant(1, 1, 0.3), 0),
        (constant(5, 7, 0.2, 0.5, 0.9), 0),
        (checkerboard(8, 8), 2 * 8 * 7 / 64),
        (checkerboard(8, 8, channels=3), 3 * 2 * 8 * 7 / 64),
        (checkerboard(4, 6), (4 * 5 + 6 * 3) / 24),
        (3 * checkerboard(4, 6), 3 * (4 * 5 + 6 * 3) / 24),
        (edge(4, 6), 4 / 24),
        (edge(8, 12), 8 / 96),
        (edge(4, 6).transpose(0, 2, 1, 3), 4 / 24),
        (np.concatenate([edge(4, 6), 0 * edge(4, 6)]), 4 / 24 / 2),
    ],
)
def test_total_variation_is_the_mean_step_to_the_neighbours(picture, expected):
    assert float(losses.total_variation(picture)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "trust, expected",
    [
        ([[1, 1], [1, 1]], (1 + 4 + 0 + 9) / 4),
        ([[1, 0], [0, 0]], 1 / 4),
        ([[0, 0.5], [1, 0]], 2 / 4),
        ([[0, 0], [0, 0]], 0),
    ],
)
def test_temporal_loss_is_the_mean_squared_change_of_what_is_trusted(trust, expected):
    image = np.float32([[1, 2], [3, 4]]).reshape(1, 2, 2, 1).repeat(3, -1)
    prior = np.float32([[2, 0], [3, 1]]).reshape(1, 2, 2, 1).repeat(3, -1)
    trust = np.float32(trust).reshape(1, 2, 2, 1)
    assert float(losses.temporal_loss(image, prior, trust)) == pytest.approx(expected)
    # What is not trusted may be anything.
    image[np.broadcast_to(trust, image.shape) == 0] = 77
    assert float(losses.temporal_loss(image, prior, trust)) == pytest.approx(expected)
