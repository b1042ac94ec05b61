"""The method of nearest neighbours: what a picture is held to, and what comes of it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tf_style import images, neighbors
from tf_style.config import HubConfig, NeighborsConfig
from tf_style.fast import hub
from tf_style.networks import losses, tracing
from tf_style.optimization import objective as objectives
from tf_style.optimization import tiles
from tf_style.optimization.engine import Step
from tf_style.system import hardware
from tf_style.system.stop import StopToken
from tf_style.video import flow
from tf_style.video import stylize as video

LAYERS = ("block2_conv2", "block3_conv1")
CONFIG = NeighborsConfig(
    backbone="builtin", layers=LAYERS, precision="float32", init="content", steps=6
)


@pytest.fixture
def pair():
    """A photo of 64x48 and a painting of 56x72 pixels, which have nothing in common."""
    rng = np.random.default_rng(3)
    small = [rng.random((1, *size, 3), np.float32) for size in ((8, 6), (14, 18))]
    return images.resize(small[0], 64, 48), images.resize(small[1], 56, 72)


def directions(values, centre):
    centred = np.reshape(values, (-1, values.shape[-1])) - centre
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def test_the_distance_of_activations_by_hand():
    centre = tf.constant([1.0, 1.0])
    seen = tf.constant([[[[4.0, 1.0], [1.0, 3.0]]]])  # right and up, of any length
    held = tf.constant([[[[1.0, 0.0], [0.0, -1.0]]]])
    # One is met, and one is missed by all: 0 and 2, in the mean 1.
    assert float(losses.cosine_distance(seen, held, centre)) == pytest.approx(1)
    assert float(losses.cosine_distance(seen, 0.5 * held, centre)) == pytest.approx(1)


def test_places_are_held_to_what_is_nearest_and_to_what_finds_them(pair, monkeypatch):
    photo, painting = pair
    size = photo.shape[1:3]
    objective = neighbors.load_objective(CONFIG, size)
    style = neighbors.encode(painting, CONFIG)
    (target,) = neighbors.measure_targets(objective, photo, style, size, CONFIG)
    beside = style.size_beside(size, size)[0]
    theirs = objective.extract(images.resize(painting, *beside))
    ours = objective.extract(photo)
    for layer, held, centre in zip(LAYERS, *target, strict=True):
        expected = theirs[layer].numpy().mean((0, 1, 2))
        np.testing.assert_allclose(centre, expected, rtol=1e-4)
        keys = directions(theirs[layer].numpy(), expected)
        queries = directions(ours[layer].numpy(), expected)
        products = queries @ keys.T
        wanted = keys[products.argmax(1)]
        weight = neighbors.COVERAGE * len(queries) / len(keys)
        for key, place in enumerate(products.argmax(0)):
            wanted[place] += weight * keys[key]
        wanted /= 1 + neighbors.COVERAGE
        found = held.numpy().reshape(wanted.shape)
        # Where two are as near as each other, rounding may choose.
        assert np.mean(np.abs(found - wanted).max(1) > 1e-3) < 0.02


def test_a_painting_is_painted_as_itself(pair):
    _, painting = pair
    config = dataclasses.replace(CONFIG, scales=1)
    first = next(neighbors.iterate(painting, painting, config))
    assert first.losses["style"] < 1e-3
    picture = neighbors.stylize(painting, painting, config)
    np.testing.assert_allclose(picture, painting, atol=0.05)


def test_a_picture_comes_nearer_to_the_painting(pair):
    photo, painting = pair
    *_, last = steps = list(neighbors.iterate(photo, painting, CONFIG))
    ours = [step for step in steps if step.size == last.size]
    assert last.best_losses["total"] < 0.9 * ours[0].losses["total"]


def test_more_of_the_photo_in_the_search_keeps_more_of_it(pair):
    photo, painting = pair
    far = images.resize(np.float32(photo[:, ::-1]), *photo.shape[1:3])
    pictures = [
        neighbors.stylize(
            photo,
            painting,
            dataclasses.replace(CONFIG, content_weight=weight, steps=20),
            init=far,
        )
        for weight in (0, 0.9)
    ]
    distances = [np.mean((picture - photo) ** 2) for picture in pictures]
    assert distances[1] < distances[0]


def test_at_a_content_weight_of_one_the_photo_alone_is_searched_with(pair):
    photo, painting = pair
    size, far = photo.shape[1:3], np.ascontiguousarray(photo[:, ::-1])
    held = {}
    for weight in (0.0, 1.0):
        config = dataclasses.replace(CONFIG, content_weight=weight)
        objective = neighbors.load_objective(config, size)
        style = neighbors.encode(painting, config)
        for name, picture in (("photo", photo), ("other", far)):
            (target,) = neighbors.measure_targets(
                objective, photo, style, size, config, picture=picture
            )
            held[weight, name] = target.local[0].numpy()
    apart = {
        weight: np.abs(held[weight, "photo"] - held[weight, "other"]).mean()
        for weight in (0.0, 1.0)
    }
    assert apart[1.0] < 0.02 * apart[0.0]


def test_tiles_give_the_loss_and_the_gradient_of_the_whole(pair):
    photo, painting = (images.resize(x, 96, 80) for x in pair)
    extract = neighbors.load_backbone(CONFIG)
    terms = neighbors.objective_terms(CONFIG)
    found = []
    for built in (
        objectives.Objective(extract, terms),
        tiles.TiledObjective(extract, terms, side=32),
    ):
        style = neighbors.encode(painting, CONFIG)
        targets = neighbors.measure_targets(built, photo, style, (96, 80), CONFIG)
        found.append(built.differentiate(tf.constant(photo), targets))
    (whole, gradient), (tiled, parts) = found
    assert float(tiled["total"]) == pytest.approx(float(whole["total"]), rel=1e-4)
    np.testing.assert_allclose(parts, gradient, atol=2e-3 * np.abs(gradient).max())


def test_large_pictures_are_cut_even_if_there_is_memory(monkeypatch):
    monkeypatch.setattr(hardware, "free_memory", lambda: 64 << 30)
    kinds = [
        type(neighbors.load_objective(CONFIG, size))
        for size in ((1024, 2048), (1025, 2048))
    ]
    assert kinds == [objectives.Objective, tiles.TiledObjective]


def test_styles_have_their_shares_of_what_is_searched(pair):
    photo, painting = pair
    red, blue = (np.float32(painting * colour) for colour in ([1, 0, 0], [0, 0, 1]))
    pictures = [
        neighbors.stylize(
            photo,
            [red, blue],
            dataclasses.replace(CONFIG, style_weights=weights, steps=30),
        )
        for weights in ((1, 0), (0, 1))
    ]
    one, other = (picture.mean((0, 1, 2)) for picture in pictures)
    assert one[0] - one[2] > other[0] - other[2] + 0.1


def test_each_region_takes_from_its_own_style(pair):
    photo, painting = pair
    red, blue = (np.float32(painting * colour) for colour in ([1, 0, 0], [0, 0, 1]))
    left = np.zeros((1, 64, 48, 1), np.float32)
    left[:, :, :24] = 1
    config = dataclasses.replace(CONFIG, steps=20, scales=1)
    picture = neighbors.stylize(photo, [red, blue], config, masks=[left, 1 - left])
    redness = (picture[..., 0] - picture[..., 2]).mean((0, 1))
    assert redness[:20].mean() > redness[-20:].mean() + 0.1


def test_it_begins_with_what_the_built_in_model_paints(pair):
    photo, painting = pair
    config = NeighborsConfig(backbone="builtin", scales=1)
    first = next(neighbors.iterate(photo, painting, config))
    with tracing.untraced():
        fast = hub.stylize(photo, painting, HubConfig(model="builtin"))
    np.testing.assert_allclose(first.image, fast, atol=1e-6)


@pytest.mark.parametrize("stopped_at", [3, 8, 16, 17, 24])
def test_from_the_state_of_any_step_it_goes_on_to_the_same_bits(pair, stopped_at):
    photo, painting = pair
    config = dataclasses.replace(CONFIG, steps=24, scales=2)
    for step in neighbors.iterate(photo, painting, config):
        if step.index == stopped_at:
            state = step.state()
    *_, rest = neighbors.iterate(photo, painting, config, state=state)
    np.testing.assert_array_equal(rest.best, step.best)


def test_without_time_for_a_step_it_is_what_the_built_in_model_paints(pair):
    photo, painting = pair
    config = dataclasses.replace(CONFIG, init="builtin", time_budget=1e-3)
    (step,) = neighbors.iterate(photo, painting, config)
    with tracing.untraced():
        fast = hub.stylize(photo, painting, HubConfig(model="builtin"))
    np.testing.assert_array_equal(neighbors.finish(step, photo, config), fast)
    assert "no time for a step" in step.note


def test_without_time_a_photo_is_painted_by_one_step_at_least(pair):
    *_, step = neighbors.iterate(*pair, dataclasses.replace(CONFIG, time_budget=1e-3))
    assert step.losses["total"] > 0


def test_fine_detail_of_the_first_picture_outlives_small_sizes(pair):
    photo, painting = pair
    rng = np.random.default_rng(0)
    fine = np.clip(photo + rng.normal(0, 0.1, photo.shape), 0, 1).astype(np.float32)
    config = dataclasses.replace(CONFIG, steps=4, scales=2)
    *_, last = neighbors.iterate(photo, painting, config, init=fine)

    def roughness(picture):
        return np.abs(np.diff(np.asarray(picture), axis=1)).mean()

    assert roughness(last.best) > 0.7 * roughness(fine)
    enlarged = images.resize(images.resize(fine, 32, 24), 64, 48)
    assert roughness(enlarged) < 0.5 * roughness(fine)


def test_what_comes_into_a_film_starts_as_the_fast_model_paints_it(pair):
    pytest.importorskip("cv2")
    photo, painting = pair
    config = dataclasses.replace(CONFIG, init="builtin", steps=2)
    size = photo.shape[1:3]
    nowhere = flow.Motion(np.zeros((*size, 2), np.float32), np.zeros((*size, 1)))
    frames = [
        SimpleNamespace(image=images.to_uint8(picture)[0])
        for picture in (photo, photo[:, ::-1])
    ]
    shots = [
        video.Shot(0, frames[0], True, None),
        video.Shot(1, frames[1], False, nowhere),
    ]
    events = video.by_optimizing(
        iter(shots),
        neighbors,
        neighbors.encode(painting, config),
        config,
        {},
        first=shots[0].pixels,
        masks=[],
        keyframes=1,
        init_of=lambda frame: None,
        stop=StopToken(),
    )
    steps = [event for event in events if isinstance(event, Step)]
    *_, first = (step for step in steps if step.index == 0)
    fast = hub.stylize(shots[1].pixels, painting, HubConfig(model="builtin"))
    np.testing.assert_allclose(first.image, fast, atol=1e-5)


def test_a_run_that_ends_at_a_small_size_keeps_the_fine_detail(pair):
    photo, painting = pair
    rng = np.random.default_rng(0)
    fine = np.clip(photo + rng.normal(0, 0.1, photo.shape), 0, 1).astype(np.float32)
    config = dataclasses.replace(CONFIG, steps=4, scales=2)
    step = next(neighbors.iterate(photo, painting, config, init=fine))
    assert step.size == (32, 24)
    # Nothing was changed yet.
    picture = neighbors.finish(step, photo, config)
    np.testing.assert_allclose(picture, fine, atol=1e-5)
