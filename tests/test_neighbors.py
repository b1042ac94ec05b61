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
from tf_style.optimization import pyramid, tiles
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
    parts = target.local, target.whole
    for layer, held, centre in zip(LAYERS, *parts, strict=True):
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


# Tiles of 16 cut the last block, too.
@pytest.mark.parametrize("side", [32, 16])
def test_tiles_give_the_loss_and_the_gradient_of_the_whole(pair, side):
    photo, painting = (images.resize(x, 96, 80) for x in pair)
    extract = neighbors.load_backbone(CONFIG)
    terms = neighbors.objective_terms(CONFIG)
    found = []
    for built in (
        objectives.Objective(extract, terms),
        tiles.TiledObjective(extract, terms, side=side),
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


def test_it_starts_in_each_region_from_that_style_alone(pair):
    photo, painting = pair
    paintings = [painting, 1 - painting]
    left = np.zeros_like(photo[..., :1])
    left[:, :, : photo.shape[2] // 2] = 1
    config = dataclasses.replace(CONFIG, init="builtin", scales=1)
    masks = [left, 1 - left]
    first = next(neighbors.iterate(photo, paintings, config, masks=masks))
    with tracing.untraced():
        alone = [hub.stylize(photo, p, HubConfig(model="builtin")) for p in paintings]
    expected = np.where(left > 0, *alone)
    np.testing.assert_allclose(first.image, expected, atol=1e-5)
    blend = next(neighbors.iterate(photo, paintings, config)).image
    assert np.abs(blend - expected).mean() > 0.05


@pytest.mark.parametrize("init", ["content", "builtin"])
@pytest.mark.parametrize("stopped_at", [3, 8, 16, 17, 24])
def test_from_the_state_of_any_step_it_goes_on_to_the_same_bits(
    pair, stopped_at, init, monkeypatch
):
    monkeypatch.setattr(pyramid, "FAST_SIDE", 32)  # The second size is repainted.
    photo, painting = pair
    config = dataclasses.replace(CONFIG, steps=24, scales=2, init=init)
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


def test_a_budget_leaves_time_to_repaint_a_large_result(pair, monkeypatch):
    reserved = []
    monkeypatch.setattr(StopToken, "reserve", lambda _, time: reserved.append(time))
    config = dataclasses.replace(CONFIG, init="builtin", steps=1)
    next(neighbors.iterate(*pair, config))
    assert not reserved
    monkeypatch.setattr(pyramid, "FAST_SIDE", 32)
    next(neighbors.iterate(*pair, config))
    assert min(reserved) > 0


def test_without_time_a_photo_is_painted_by_one_step_at_least(pair):
    *_, step = neighbors.iterate(*pair, dataclasses.replace(CONFIG, time_budget=1e-3))
    assert step.losses["total"] > 0


def test_the_fast_model_paints_the_photo_small_and_then_the_result(pair, monkeypatch):
    monkeypatch.setattr(pyramid, "FAST_SIDE", 32)
    photo, painting = pair
    seen, paint = [], hub.stylize

    def spy(content, *how, masks):
        seen.append(content)
        return paint(content, *how, masks=masks)

    monkeypatch.setattr(hub, "stylize", spy)
    config = dataclasses.replace(CONFIG, steps=4, scales=2, init="builtin")
    steps = list(neighbors.iterate(photo, painting, config))
    best = np.asarray(steps[1].best)
    small, large = seen
    np.testing.assert_array_equal(small, images.resize(photo, 32, 24))
    assert abs(large - images.resize(best, 64, 48)).mean() < 0.02
    # Ended at the small size, it is repainted as well.
    early = neighbors.finish(steps[1], photo, config)
    np.testing.assert_allclose(early, steps[2].image, atol=1e-6)


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


def film(shots, painting, config, state=(), masks=()):
    """Returns the events of a film's frames."""
    return video.by_optimizing(
        iter(shots),
        neighbors,
        neighbors.encode(painting, config),
        config,
        dict(state),
        first=shots[0].pixels,
        masks=list(masks),
        keyframes=1,
        init_of=lambda frame: None,
        stop=StopToken(),
    )


def shot(index, picture, motion=None):
    frame = SimpleNamespace(image=images.to_uint8(picture)[0])
    return video.Shot(index, frame, motion is None, motion)


def moving(size, pixels, trust=1.0):
    """The camera swings down and to the right by so many pixels a frame."""
    grid = np.moveaxis(np.mgrid[: size[0], : size[1]][::-1], 0, -1)
    return flow.Motion(np.float32(grid + pixels), np.full([*size, 1], trust))


def found_by(target):
    return [np.asarray(found) for found in target.found]


def test_neighbours_of_the_frame_before_stay_unless_others_are_much_nearer(pair):
    photo, painting = pair
    size = photo.shape[1:3]
    objective = neighbors.load_objective(CONFIG, size)
    style = neighbors.encode(painting, CONFIG)

    def search(found):
        prior = neighbors.Prior(photo, np.ones((1, *size, 1), np.float32), found)
        targets = neighbors.measure_targets(
            objective, photo, style, size, CONFIG, prior=prior
        )
        return targets[0]

    best = found_by(search(()))
    rng = np.random.default_rng(0)
    others = [rng.integers(0, f.max(), f.shape, np.int32) for f in best]
    kept = [found == other for found, other in zip(found_by(search(others)), others)]
    centres = search(()).whole
    activations = objective.activations(photo, LAYERS)
    held, nearest = search(others).local, search(()).local
    for where, own, centre, ours, theirs in zip(
        kept, activations, centres, held, nearest
    ):
        assert 0.02 < where.mean() < 0.98
        query = directions(own.numpy(), centre.numpy())
        likeness = [(query * directions(t.numpy(), 0)).sum(1) for t in (ours, theirs)]
        assert np.mean(likeness[0] > likeness[1] - neighbors.HOLD - 0.05) > 0.95
    none = [np.full_like(found, -1) for found in best]
    for found, wanted in zip(found_by(search(none)), best, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("trust", [0.0, 1.0])
def test_neighbours_move_along_with_the_scene(pair, trust):
    pytest.importorskip("cv2")
    photo, painting = pair
    scene = images.resize(photo, 70, 54)  # no sides that can be halved twice
    noise = np.random.default_rng(1).normal(0, 0.03, (2, 1, 62, 46, 3))
    frames = [scene[:, :-8, :-8] + noise[0], scene[:, 8:, 8:] + noise[1]]
    motion = moving(frames[0].shape[1:3], 8, trust)
    states = [
        event.state
        for event in film(
            [shot(0, frames[0]), shot(1, frames[1], motion)], painting, CONFIG
        )
        if isinstance(event, video.Stylized)
    ]
    for layer, places in enumerate((4, 2)):
        before, now = (state[f"found/{layer}"] for state in states)
        same = now[:, :-places, :-places] == before[:, places:, places:]
        assert (same[:, 1:-1, 1:-1].mean() > 0.9) == bool(trust)


def test_a_film_goes_on_as_if_it_had_not_been_interrupted(pair):
    pytest.importorskip("cv2")
    photo, painting = pair
    size = photo.shape[1:3]
    masks = [np.linspace(0, 1, size[1], dtype=np.float32)[None, None, :, None]]
    masks = [np.broadcast_to(m, (1, *size, 1)) for m in (masks[0], 1 - masks[0])]
    shots = [shot(0, photo)]
    for index in (1, 2):
        picture = np.roll(photo, -index, (1, 2))
        shots.append(shot(index, picture, moving(size, 1)))
    paintings = [painting, painting[:, ::-1]]

    def last(shots, state=()):
        *_, stylized = film(shots, paintings, CONFIG, state, masks)
        return stylized

    whole, half = last(shots), last(shots[:2])
    again = last(shots[2:], half.state)
    np.testing.assert_array_equal(whole.frames[0][2], again.frames[0][2])


def test_what_comes_into_a_film_starts_as_the_fast_model_paints_it(pair):
    pytest.importorskip("cv2")
    photo, painting = pair
    config = dataclasses.replace(CONFIG, init="builtin", steps=2)
    nowhere = moving(photo.shape[1:3], 0, trust=0.0)
    shots = [shot(0, photo), shot(1, photo[:, ::-1], nowhere)]
    steps = [
        event for event in film(shots, painting, config) if isinstance(event, Step)
    ]
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
