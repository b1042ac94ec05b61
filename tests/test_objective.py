"""Objectives: what tiles give is what the whole gives, and neither traces twice."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_style.config import GatysConfig
from tf_style.networks import features, losses
from tf_style.optimization import gatys, objective, tiles


@pytest.fixture
def photo():
    """A photo [1, 83, 102, 3]: each block has an odd side, or a last row too few."""
    return np.random.default_rng(5).random((1, 83, 102, 3), np.float32)


LAYERS = {
    "the default": {},
    "shallow content": {"content_layers": ("block1_conv2", "block3_conv1")},
    "one layer for both": {
        "content_layers": ("conv2_1",),
        "style_layers": ("conv2_1", "conv2_1", "conv4_4"),
        "style_layer_weights": (1.0, 2.0, 3.0),
    },
    "one block": {"content_layers": ("conv1_2",), "style_layers": ("conv1_1",)},
    "average pooling": {"pooling": "average"},
    "a small share of smoothness": {"tv_weight": 1e4},
}


@pytest.mark.parametrize("side", [32, pytest.param(34, marks=pytest.mark.slow)])
@pytest.mark.parametrize("settings", LAYERS.values(), ids=LAYERS)
def test_the_gradient_is_the_wholes(vgg19, photo, style, side, settings):
    _compare(GatysConfig(backbone=str(vgg19), **settings), photo, style, side)


def test_the_gradient_is_the_wholes_with_the_builtin_backbone(photo, style):
    _compare(GatysConfig(backbone="builtin"), photo, style, 32)


MASKED = GatysConfig(backbone="builtin", tv_weight=0.1)


@pytest.fixture
def soft_mask(photo):
    """From black at the left to white at the right, with black rows above."""
    across = np.linspace(0, 1, 102, dtype=np.float32)
    mask = np.tile(across[:, None], (1, 83, 1, 1))
    mask[:, :20] = 0
    return mask


def test_the_gradient_of_a_region_is_the_wholes(photo, style, soft_mask):
    _compare(MASKED, photo, style, 32, [soft_mask])


def test_the_gradient_of_regions_of_two_styles_is_the_wholes(photo, style, soft_mask):
    other = np.random.default_rng(6).random((1, 70, 40, 3), np.float32) ** 3
    # They overlap, and neither covers the upper left corner.
    left = np.zeros_like(soft_mask)
    left[:, 40:, :60] = 1
    config = dataclasses.replace(MASKED, style_weights=(3.0, 1.0))
    _compare(config, photo, [style, other], 32, [soft_mask, left])


def test_the_gradient_of_two_styles_everywhere_is_the_wholes(photo, style):
    other = np.random.default_rng(6).random((1, 70, 40, 3), np.float32) ** 3
    config = dataclasses.replace(
        MASKED, style_weights=(3.0, 1.0), preserve_color="covariance"
    )
    _compare(config, photo, [style, other], 32)


@pytest.mark.parametrize("smooth", [0.0, 0.1])
def test_the_gradient_of_a_frame_of_a_film_is_the_wholes(photo, style, smooth):
    weight = 1e4
    before = np.random.default_rng(7).random(photo.shape, np.float32)
    trust = np.random.default_rng(8).random((1, 83, 102, 1), np.float32)
    trust[:, :30] = 0
    config = GatysConfig(backbone="builtin", temporal_weight=weight, tv_weight=smooth)
    prior = gatys.Prior(before, trust)
    terms, gradient = _compare(config, photo, style, 32, prior=prior)
    away = photo[:, ::-1] - before
    assert terms["temporal"] == pytest.approx(weight * np.mean(trust * away**2))
    # Nothing else depends on it.
    without, plain = _compare(config, photo, style, 32)
    expected = 2 * weight * trust * away / photo.size
    np.testing.assert_allclose(
        gradient - plain, expected, atol=1e-5 * np.abs(gradient).max()
    )
    assert "temporal" not in without


def _compare(config, photo, style, side, masks=(), prior=None):
    """Holds losses and gradient of tiles to those of the whole, and returns these."""
    config = dataclasses.replace(config, precision="float32")
    encoded, size = gatys.encode(style, config), photo.shape[1:3]
    picture, found = photo[:, ::-1], {}
    for name, tile in (("whole", 0), ("tiled", side)):
        objective = gatys.load_objective(
            dataclasses.replace(config, tile=tile), size, is_frame=prior is not None
        )
        targets = gatys.measure_targets(
            objective, photo, encoded, size, config, masks, prior
        )
        losses, gradient = objective.differentiate(tf.constant(picture), targets)
        measured = objective.measure(tf.constant(picture), targets)
        assert all(
            float(measured[loss]) == pytest.approx(float(losses[loss]), rel=1e-6)
            for loss in losses
        )
        found[name] = targets, losses, np.asarray(gradient)
    (whole_targets, losses, exact), (tiled_targets, tiled_losses, gradient) = (
        found.values()
    )
    for target, tiled_target in zip(
        tf.nest.flatten(whole_targets), tf.nest.flatten(tiled_targets)
    ):
        scale = np.abs(target).max()
        np.testing.assert_allclose(tiled_target, target, rtol=0, atol=1e-5 * scale)
    assert {k: float(v) for k, v in tiled_losses.items()} == pytest.approx(
        {k: float(v) for k, v in losses.items()}, rel=1e-5
    )
    difference = gradient - exact
    assert np.linalg.norm(difference) < 1e-5 * np.linalg.norm(exact)
    # At the rims of the picture and of the tiles as well as in between.
    assert np.abs(difference).max() < 1e-5 * np.abs(exact).max()
    return {name: float(loss) for name, loss in losses.items()}, exact


def test_a_picture_optimised_in_tiles_has_no_seams(photo, style):
    config = GatysConfig(
        backbone="builtin", precision="float32", scales=1, steps=5, optimizer="adam"
    )
    whole = gatys.stylize(photo, style, config)
    tiled = gatys.stylize(photo, style, dataclasses.replace(config, tile=32))
    assert np.abs(whole - photo).mean() > 0.02
    assert np.abs(tiled - whole).max() < 0.02
    assert np.abs(tiled - whole).mean() < 1e-4


KINDS = {
    "whole": objective.Objective,
    "tiled": lambda *arguments: tiles.TiledObjective(*arguments, side=32),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_traced_for_further_sizes(kind, style):
    """Neither for photos nor for styles, once the sizes need as many tiles or more."""
    config = GatysConfig(
        backbone="builtin",
        content_layers=("block2_conv1",),
        style_layers=("block1_conv1", "block3_conv1"),
    )
    built = KINDS[kind](gatys.load_backbone(config), gatys.objective_terms(config))
    encoded, traces = gatys.encode(style, config), []
    for size in ((70, 91), (83, 66), (90, 99), (70, 91)):
        photo = np.random.default_rng(3).random((1, *size, 3), np.float32)
        targets = gatys.measure_targets(built, photo, encoded, size, config)
        built.differentiate(tf.constant(photo), targets)
        built.measure(tf.constant(photo), targets)
        traces.append(built.traces)
    assert traces == traces[:1] * 4
    # Photo, style, gradient and losses; of tiles, two blocks and the end.
    assert 0 < traces[0] <= {"whole": 4, "tiled": 7}[kind]


def brightness(layer):
    """A loss that someone adds: how far the mean of a layer is from what it should be.

    So does it look at the picture, without the row and the column of neighbours.
    """

    def measure(seen, *_):
        is_picture = seen.shape[-1] == 3
        return tf.reduce_mean(seen[:, :-1, :-1] if is_picture else seen)

    def combine(means, wanted):
        return tf.add_n([(m - w) ** 2 for m, w in zip(means, wanted)])

    return losses.Loss("brightness", (losses.PIXELS, layer), measure, combine)


def test_a_loss_that_someone_adds_is_held_to_the_style(photo):
    def squares(layer):
        """The mean square of a layer, from what the painting has."""
        return losses.Loss(
            "squares",
            (layer,),
            lambda seen, *_: tf.reduce_mean(seen**2),
            lambda means, wanted: (means[0] - wanted[0]) ** 2,
            "style",
        )

    config, size = GatysConfig(backbone="builtin"), photo.shape[1:3]
    painting, terms = photo[:, ::-1] ** 2, [(1.0, squares("block2_conv1"))]
    encoded, extract = gatys.encode(painting, config), gatys.load_backbone(config)
    for make in KINDS.values():
        built = make(extract, terms)
        targets = gatys.measure_targets(built, photo, encoded, size, config)
        found = [
            float(built.measure(tf.constant(picture), targets)["total"])
            for picture in (painting, photo)
        ]
        assert found[0] < 1e-6 * found[1]


# Of blocks that run in tiles, and of one that runs whole.
@pytest.mark.parametrize("layer", ["block1_conv2", "block2_conv1", "block4_conv1"])
def test_a_loss_that_someone_adds_needs_no_gradient_of_its_own(photo, layer):
    extract = features.load_backbone("builtin", ("block2_conv1", layer, "block4_conv1"))
    wanted = [objective.Target([(), ()], [tf.constant(0.25), tf.constant(3.0)])]
    found = [
        make(extract, [(2.0, brightness(layer))]).differentiate(
            tf.constant(photo), wanted
        )
        for make in KINDS.values()
    ]
    means = photo.mean(), extract(photo)[layer].numpy().mean()
    by_hand = 2 * ((means[0] - 0.25) ** 2 + (means[1] - 3) ** 2)
    for given, _ in found:
        assert float(given["brightness"]) == pytest.approx(by_hand, rel=1e-4)
        assert float(given["total"]) == pytest.approx(by_hand, rel=1e-4)
    (_, exact), (_, tiled) = found
    np.testing.assert_allclose(tiled, exact, atol=1e-5 * np.abs(exact).max())
