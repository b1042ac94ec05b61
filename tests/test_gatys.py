"""Gatys et al.: what is minimised, towards what, and from where."""

import concurrent.futures
import dataclasses
import functools
import itertools
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver

from tf_style import images
from tf_style.cli import flags as cli_flags
from tf_style.config import GatysConfig, HubConfig
from tf_style.networks import losses
from tf_style.optimization import engine, gatys
from tf_style.system import stop

PRESETS = Path(__file__).resolve().parent.parent / "configs"


@pytest.fixture
def settings(vgg19):
    """Makes a `GatysConfig` of shallow layers, which are fast and see any picture."""
    return functools.partial(
        GatysConfig,
        backbone=str(vgg19),
        content_layers=("block1_conv2",),
        style_layers=("block1_conv1", "block1_conv2"),
        scales=1,
        steps=4,
    )


def make_problem(config, content, styles, size=(37, 50), masks=()):
    """Returns the objective of a size, and what to hold a picture to."""
    objective = gatys.load_objective(config, size)
    style = gatys.encode(styles, config)
    return objective, gatys.measure_targets(
        objective, content, style, size, config, masks
    )


def totals(steps):
    return [step.losses["total"] for step in steps]


def test_the_loss_falls_at_each_scale_on_the_default_layers(vgg19, content, style):
    config = GatysConfig(backbone=str(vgg19), scales=2, steps=8)
    by_size = {}
    for step in gatys.iterate(content, style, config):
        by_size.setdefault(step.size, []).append(step)
    assert list(by_size) == [(18, 25), (37, 50)]
    for steps in by_size.values():
        assert totals(steps)[-1] < 0.8 * totals(steps)[0]


@pytest.mark.parametrize("scales, init", [(1, "content"), (3, "noise")])
def test_pictures_stay_in_range_and_the_result_is_of_the_contents_size(
    settings, content, style, scales, init
):
    config = settings(scales=scales, init=init, optimizer="adam", learning_rate=0.5)
    steps = list(gatys.iterate(content, style, config))
    # So large a rate reaches both ends of the range.
    assert min(step.image.numpy().min() for step in steps) == 0
    assert max(step.image.numpy().max() for step in steps) == 1
    picture = gatys.finish(steps[-1], content, config)
    assert picture.shape == content.shape
    assert picture.dtype == np.float32
    assert 0 <= picture.min() < picture.max() <= 1


def test_lbfgs_stays_in_range_and_gets_further_than_adam(settings, content, style):
    runs = {
        optimizer: list(
            gatys.iterate(content, style, settings(optimizer=optimizer, steps=20))
        )
        for optimizer in ("lbfgs", "adam")
    }
    for step in runs["lbfgs"]:
        assert 0 <= step.image.numpy().min() < step.image.numpy().max() <= 1
    least = {name: steps[-1].best_losses["total"] for name, steps in runs.items()}
    assert least["lbfgs"] < 0.95 * least["adam"]


def test_the_content_as_its_own_style_starts_without_loss(settings, content):
    first = next(gatys.iterate(content, content, settings(tv_weight=1.0)))
    variation = float(losses.total_variation(content))
    expected = {"content": 0, "style": 0, "tv": variation, "total": variation}
    assert first.losses == pytest.approx(expected, abs=1e-6)
    np.testing.assert_array_equal(first.image, content)


def test_the_same_seed_gives_the_same_picture_and_another_gives_another(
    settings, content, style
):
    first, again, other = (
        gatys.stylize(content, style, settings(init="noise", seed=seed, steps=2))
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.1


def test_scales_too_small_for_the_layers_are_left_out(vgg19, content, style):
    config = GatysConfig(backbone=str(vgg19), scales=3, steps=2)
    content = images.resize(content, 40, 64)
    sizes = [step.size for step in gatys.iterate(content, style, config)]
    assert sizes == [(20, 32), (40, 64), (40, 64)]


def test_a_first_picture_of_another_size_is_resized(settings, content, style):
    config = settings(init="start.png")
    first = next(gatys.iterate(content, style, config, init=style))
    np.testing.assert_array_equal(first.image, images.resize(style, 37, 50))


@pytest.mark.parametrize("init", ["content", "noise"])
def test_a_first_picture_that_is_passed_is_never_ignored(
    settings, content, style, init
):
    first = next(gatys.iterate(content, style, settings(init=init), init=1 - content))
    np.testing.assert_array_equal(first.image, 1 - content)


def test_a_first_picture_that_is_a_file_must_be_passed(settings, content, style):
    with pytest.raises(ValueError, match="init is 'start.png'.*argument init"):
        gatys.stylize(content, style, settings(init="start.png"))


def test_adams_first_step_moves_each_pixel_by_the_rate_against_the_gradient(
    vgg19, settings, content, style
):
    content = 0.3 + 0.4 * content  # out of reach of the clipping
    exact = {"optimizer": "adam", "precision": "float32", "tv_weight": 100.0}
    config = settings(steps=1, learning_rate=0.01, **exact)
    first, second = gatys.iterate(content, style, config)

    vgg = keras.applications.VGG19(include_top=False, weights=str(vgg19))
    layers = [vgg.get_layer(name).output for name in config.style_layers]
    network = keras.Model(vgg.input, layers)

    def look(picture):
        return network(keras.applications.vgg19.preprocess_input(picture * 255))

    def gram(features):
        flat = tf.reshape(features, [-1, features.shape[-1]])
        return tf.transpose(flat) @ flat / flat.shape[0]

    grams = [gram(f) for f in look(tf.constant(images.fit_longest(style, 50)))]
    picture = tf.constant(content)
    with tf.GradientTape() as tape:
        tape.watch(picture)
        shallow, deep = look(picture)
        total = tf.reduce_mean((deep - look(content)[1]) ** 2)
        for features, target in zip((shallow, deep), grams):
            total += 1e-3 / 2 * tf.reduce_mean((gram(features) - target) ** 2)
        steps_right = tf.abs(picture[:, :, 1:] - picture[:, :, :-1])
        steps_down = tf.abs(picture[:, 1:] - picture[:, :-1])
        total += 100 * (tf.reduce_sum(steps_right) + tf.reduce_sum(steps_down)) / 1850
    gradient = tape.gradient(total, picture).numpy()

    assert first.losses["total"] == pytest.approx(float(total), rel=1e-4)
    clear = np.abs(gradient) > 1e-2 * np.abs(gradient).mean()
    assert clear.mean() > 0.98
    moved = second.image.numpy() - content
    np.testing.assert_allclose(moved[clear], -0.01 * np.sign(gradient[clear]), 0.01)


def test_the_tutorial_preset_is_the_tutorials_objective(vgg19, content, style):
    with flagsaver.flagsaver():
        preset = PRESETS / "tutorial.flags"
        flags.FLAGS(["_", f"--flagfile={preset}", "--content=a.png", "--style=b.png"])
        preset = cli_flags.make_job().gatys
    config = dataclasses.replace(
        preset, backbone=str(vgg19), style_size=64, tv_weight=30.0 * 37 * 50
    )
    extract = gatys.load_backbone(config)
    objective, targets = make_problem(config, content, style)
    picture = np.random.default_rng(7).random(content.shape, np.float32)
    terms = objective.measure(picture, targets)

    def look(image):
        return {name: f.numpy().astype(float) for name, f in extract(image).items()}

    def gram(features):
        return np.einsum("bhwc,bhwd->cd", features, features) / (
            features.shape[1] * features.shape[2]
        )

    here, photo = look(picture), look(content)
    painting = look(images.fit_longest(style, 64))
    expected = {
        "content": 1e4 * np.mean((here["block5_conv2"] - photo["block5_conv2"]) ** 2),
        "style": 1e-2
        / 5
        * sum(
            np.mean((gram(here[layer]) - gram(painting[layer])) ** 2)
            for layer in [f"block{block}_conv1" for block in range(1, 6)]
        ),
        "tv": 30 * sum(np.abs(np.diff(picture, axis=axis)).sum() for axis in (1, 2)),
    }
    expected["total"] = sum(expected.values())
    found = {name: float(term) for name, term in terms.items()}
    assert found == pytest.approx(expected, rel=1e-4)
    assert (preset.learning_rate, preset.beta1, preset.epsilon) == (0.02, 0.99, 0.1)


def test_weights_multiply_their_terms(settings, content, style):
    weights = {"content_weight": 2.0, "style_weight": 3.0, "tv_weight": 5.0}
    ones, weighted = (
        next(gatys.iterate(content, style, settings(init="noise", **chosen))).losses
        for chosen in (dict.fromkeys(weights, 1.0), weights)
    )
    assert weighted == pytest.approx(
        {
            "content": 2 * ones["content"],
            "style": 3 * ones["style"],
            "tv": 5 * ones["tv"],
            "total": 2 * ones["content"] + 3 * ones["style"] + 5 * ones["tv"],
        },
        rel=1e-5,
    )


@pytest.mark.parametrize(
    "style_size, longest", [(0, {25: 25, 50: 50}), (40, {25: 20, 50: 40})]
)
def test_the_style_is_scaled_along_with_the_content(
    settings, content, style, style_size, longest
):
    config = settings(style_size=style_size)
    extract = gatys.load_backbone(config)
    for size in ((18, 25), (37, 50)):
        _, (_, target) = make_problem(config, content, style, size)
        scaled = extract(images.fit_longest(style, longest[size[1]]))
        for gram, layer in zip(target.whole, config.style_layers):
            np.testing.assert_allclose(gram, losses.gram_matrix(scaled[layer]), 1e-5)


@pytest.mark.parametrize("style_size", [0, 40])
def test_a_style_scale_of_two_makes_the_style_twice_as_large(
    settings, content, style, style_size
):
    config = settings(style_size=style_size, style_scale=2.0)
    extract, encoded = gatys.load_backbone(config), gatys.encode(style, config)
    for size in ((18, 25), (37, 50)):
        longest = 2 * (style_size or 50) * size[1] / 50
        assert encoded.size_beside((37, 50), size) == [
            (round(45 / 61 * longest), longest)
        ]
    _, (_, target) = make_problem(config, content, style)
    scaled = extract(images.fit_longest(style, 2 * (style_size or 50)))
    for gram, layer in zip(target.whole, config.style_layers):
        np.testing.assert_allclose(gram, losses.gram_matrix(scaled[layer]), 1e-5)


@pytest.fixture
def other():
    """Another painting [1, 30, 70, 3], which is darker."""
    return np.random.default_rng(3).random((1, 30, 70, 3), np.float32) ** 3


@pytest.mark.parametrize(
    "weights, share", [((), 0.5), ((6.0, 2.0), 0.75), ((0.0, 3.0), 0)]
)
def test_of_several_styles_it_aims_at_their_weighted_mean(
    settings, content, style, other, weights, share
):
    config = settings(style_weights=weights)
    extract = gatys.load_backbone(config)
    _, (_, target) = make_problem(config, content, [style, other])
    first, second = (extract(images.fit_longest(s, 50)) for s in (style, other))
    for mixed, layer in zip(target.whole, config.style_layers):
        one, two = (losses.gram_matrix(seen[layer]) for seen in (first, second))
        np.testing.assert_allclose(mixed, share * one + (1 - share) * two, rtol=1e-5)


def test_the_mean_of_styles_is_least_far_from_them_all(settings, content, style, other):
    """So the loss is that of the weighted distances, but for a constant."""
    config = settings(style_weights=(3.0, 1.0), tv_weight=1.0)

    def loss_of(picture, styles):
        # Either style alone takes no weights.
        single = dataclasses.replace(config, style_weights=())
        taken = config if isinstance(styles, list) else single
        objective, targets = make_problem(taken, content, styles)
        return float(objective.measure(picture, targets)["style"])

    rng = np.random.default_rng(8)
    constants = []
    for _ in range(3):
        picture = rng.random(content.shape, np.float32)
        apart = 0.75 * loss_of(picture, style) + 0.25 * loss_of(picture, other)
        constants.append(apart - loss_of(picture, [style, other]))
    assert constants[0] > 0
    assert constants == pytest.approx([constants[0]] * 3, rel=1e-2)


def test_all_the_weight_on_one_style_gives_the_picture_of_that_style(
    settings, content, style, other
):
    expected = gatys.stylize(content, style, settings(steps=2))
    config = settings(steps=2, style_weights=(0.0, 2.0))
    found = gatys.stylize(content, [other, style], config)
    np.testing.assert_array_equal(found, expected)
    mixed = gatys.stylize(content, [other, style], settings(steps=2))
    assert np.abs(mixed - expected).mean() > 0.005


def test_there_is_one_weight_for_each_style(settings, content, style):
    config = settings(style_weights=(1.0, 2.0))
    with pytest.raises(ValueError, match="2 numbers for 1 styles"):
        gatys.stylize(content, style, config)


def test_scales_too_small_for_any_of_the_styles_are_left_out(vgg19, content, style):
    narrow = style[:, :, :26]  # 50x29 beside the content, 25x14 at half its size
    config = GatysConfig(backbone=str(vgg19), steps=2, scales=2)
    for styles in ([style, narrow], [narrow, style]):
        sizes = {step.size for step in gatys.iterate(content, styles, config)}
        assert sizes == {(37, 50)}


def test_the_steps_go_on_in_the_styles_colours_and_the_result_has_the_photos(
    settings, content, style
):
    config = settings(preserve_color="luminance", steps=3)
    *_, last = gatys.iterate(content, style, config)
    picture = gatys.finish(last, content, config)
    untouched = gatys.finish(last, content, settings())
    np.testing.assert_array_equal(untouched, last.best)
    chroma, own, kept = (
        p - p.mean(-1, keepdims=True) for p in (content, untouched, picture)
    )
    clear = (picture > 0).all(-1) & (picture < 1).all(-1)
    np.testing.assert_allclose(kept[clear], chroma[clear], atol=1e-5)
    assert np.abs(own - chroma)[clear].mean() > 0.01


@pytest.mark.parametrize("name", ["style_weight", "content_weight"])
def test_a_first_picture_without_a_finite_loss_is_an_error(
    settings, content, style, name
):
    config = settings(**{name: 3e38}, init="noise")  # nearly all of float32
    with pytest.raises(ValueError, match="loss of the first picture is not finite"):
        gatys.stylize(content, style, config)


def test_pictures_too_small_for_the_layers_are_an_error(vgg19, content, style):
    config = GatysConfig(backbone=str(vgg19), steps=1)
    for pair in [(content[:, :15], style), (content, style[:, :, :10])]:
        with pytest.raises(ValueError, match="at least 16 pixels"):
            gatys.stylize(*pair, config)


def test_scales_too_small_for_the_style_are_left_out(vgg19, content, style):
    narrow = style[:, :, :26]  # 50x29 beside the content, 25x14 at half its size
    config = GatysConfig(backbone=str(vgg19), steps=2, scales=2)
    sizes = {step.size for step in gatys.iterate(content, narrow, config)}
    assert sizes == {(37, 50)}


def test_a_time_budget_ends_it_however_many_steps_there_are(
    settings, content, style, monkeypatch
):
    # A second passes whenever somebody looks.
    clock = SimpleNamespace(monotonic=functools.partial(next, itertools.count()))
    for module in (engine, stop):
        monkeypatch.setattr(module, "time", clock)
    config = settings(steps=1, scales=2, time_budget=99.0)
    steps = list(gatys.iterate(content, style, config))
    assert {step.size for step in steps} == {(18, 25), (37, 50)}
    assert steps[-1].index > 5
    assert 0.5 < steps[-1].progress <= 1


def test_a_deterministic_run_is_repeated_bit_for_bit(content, style, monkeypatch):
    asked = []
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: asked.append(True)
    )
    config = GatysConfig(backbone="builtin", steps=4, init="noise", seed=3)
    gatys.stylize(content, style, config)
    assert not asked
    first, second = (
        gatys.stylize(content, style, dataclasses.replace(config, deterministic=True))
        for _ in range(2)
    )
    assert asked == [True, True]
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "backbone, asked, pooling",
    [
        ("builtin", "auto", "average"),
        ("vgg19", "auto", "max"),
        ("weights.h5", "auto", "max"),
        ("builtin", "max", "max"),
        ("vgg19", "average", "average"),
    ],
)
def test_pooling_is_what_suits_the_backbone_unless_told(backbone, asked, pooling):
    config, note = gatys.choose(GatysConfig(backbone=backbone, pooling=asked))
    assert (config.pooling, note) == (pooling, "")


@pytest.fixture
def prior(content):
    """A picture of the frame before that is trusted at the left only."""
    trust = np.zeros((1, 37, 50, 1), np.float32)
    trust[:, :, :25] = 1
    return gatys.Prior(1 - content, trust)


def test_a_prior_pulls_the_picture_towards_it_where_it_is_trusted(
    settings, content, style, prior
):
    found = {}
    for weight in (0.0, 1e6):
        config = settings(temporal_weight=weight, steps=8)
        *_, last = gatys.iterate(content, style, config, prior=prior)
        found[weight] = np.abs(gatys.finish(last, content, config) - prior.picture)
        assert (last.losses["temporal"] == 0) == (weight == 0)
    left, right = np.s_[:, :, :25], np.s_[:, :, 30:]
    assert found[1e6][left].mean() < 0.2 * found[0.0][left].mean()
    assert found[1e6][right].mean() > 0.8 * found[0.0][right].mean()


def test_a_prior_is_scaled_as_the_picture_is(settings, content, style, prior):
    config = settings(temporal_weight=1.0, scales=2, steps=2)
    for step in gatys.iterate(content, style, config, prior=prior):
        parts = prior.picture, prior.trust
        picture, trust = (images.resize(part, *step.size) for part in parts)
        expected = np.mean(trust * (step.image.numpy() - picture) ** 2)
        assert step.losses["temporal"] == pytest.approx(expected, rel=1e-4)


def test_frames_share_what_was_traced_for_the_first(settings, content, style, prior):
    config = settings(steps=1, temporal_weight=123.0)
    encoded, found = gatys.encode(style, config), []
    objective = gatys.load_objective(config, (37, 50), is_frame=True)
    photos, traces = [content, content[:, ::-1]], []
    for photo in photos:
        *_, last = gatys.iterate(photo, encoded, config, prior=prior)
        traces.append(objective.traces)
        found.append(gatys.finish(last, photo, config))
    # The photo, the style, the gradient and the last losses.
    assert traces == [4, 4]
    # And a frame has nothing of another.
    *_, last = gatys.iterate(photos[1], style, config, prior=prior)
    np.testing.assert_array_equal(gatys.finish(last, photos[1], config), found[1])


def test_a_frame_gives_styles_its_own_colours(settings, content, style):
    config = settings(steps=1, preserve_color="covariance")
    brighter, encoded = 1 - 0.5 * content, gatys.encode(style, config)
    list(gatys.iterate(content, encoded, config))
    *_, last = gatys.iterate(brighter, encoded, config)
    *_, alone = gatys.iterate(brighter, style, config)
    assert last.losses == alone.losses


def test_the_slow_path_takes_what_callers_have(settings, content, style):
    config = settings(steps=1, init="noise")
    photo, painting = images.to_uint8(content[0]), images.to_uint8(style[0])
    mask = np.arange(50) < 25 * np.ones((37, 1))
    floats = [picture / np.float32(255) for picture in (photo, painting)]
    expected = gatys.stylize(*floats, config, masks=[np.float32(mask)[None, ..., None]])
    found = gatys.stylize(tf.constant(photo), [painting], config, masks=mask)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"config": HubConfig()}, "config is a HubConfig; it must be a GatysConfig"),
        ({"content": np.ones((4, 5, 3)) * 255}, "content is ndarray float64"),
        ({"style": [np.ones((4, 5, 3)), None]}, r"style\[1\] is None"),
        ({"init": "hub"}, "init is 'hub'; it must be one RGB"),
        ({"masks": [np.ones(3)]}, r"masks\[0\] is ndarray float64 \[3\]"),
        ({"state": 5}, "state is int; it must be a State"),
        ({"prior": np.ones(3)}, "prior is ndarray; it must be a Prior"),
        ({"prior": gatys.Prior(None, None)}, "prior.picture is None"),
    ],
)
def test_arguments_of_the_slow_path_are_checked_at_once(
    content, style, changes, reason
):
    arguments = {"content": content, "style": style} | changes
    with pytest.raises(ValueError, match=f"^{reason}"):
        gatys.iterate(**arguments)


def test_extras_of_the_slow_path_are_given_by_name(content, style):
    for call in (gatys.stylize, gatys.iterate):
        with pytest.raises(TypeError):
            call(content, style, GatysConfig(), [content])


def test_a_state_of_another_size_is_refused(settings, content, style):
    step = next(gatys.iterate(content, style, settings(scales=1)))
    with pytest.raises(ValueError, match="^state has 50x37 pixels, which is not a s"):
        gatys.iterate(style, content, settings(scales=1), state=step.state())


def test_a_style_is_measured_once_a_size_and_nothing_traced_after_the_first_photo(
    settings, style, monkeypatch
):
    """However many photos of however many sizes there are."""
    config = settings(steps=1, scales=2, content_weight=3.0)
    encoded = gatys.encode(style, config)
    objective = gatys.load_objective(config, (9, 9))
    measured, statistics = [], objective.statistics
    monkeypatch.setattr(
        objective, "statistics", lambda *a: measured.append(a) or statistics(*a)
    )
    sizes, rng, traces = [(37, 50), (50, 37), (40, 40)], np.random.default_rng(0), []
    for index in range(12):
        photo = rng.random((1, *sizes[index % 3], 3), np.float32)
        gatys.stylize(photo, encoded, config)
        traces.append(objective.traces)
    assert len(set(traces)) == 1
    # Photos whose longest sides are equal ask for the same size of the style.
    assert len(measured) == 2


def test_calls_from_several_threads_give_what_calls_in_turn_give(settings, style):
    config = settings(steps=2, content_weight=5.0)
    rng = np.random.default_rng(1)
    photos = [rng.random((1, 20 + i % 3, 30, 3), np.float32) for i in range(6)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda p: gatys.stylize(p, style, config), photos))
    for photo, picture in zip(photos, found):
        np.testing.assert_allclose(
            picture, gatys.stylize(photo, style, config), atol=1e-4
        )


def test_it_ends_after_the_step_in_which_it_is_asked_to(settings, content, style):
    token, seen = stop.StopToken(), []
    for step in gatys.iterate(content, style, settings(steps=9), stop=token):
        seen.append(step.index)
        if step.index == 3:
            token.set()
    assert seen == [0, 1, 2, 3]


def test_a_style_is_not_used_with_other_settings_of_styles(content, style, shallow):
    encoded = gatys.encode(style, GatysConfig(style_scale=2, **shallow))
    with pytest.raises(ValueError, match="encoded with style_scale 2, and .* 1.0"):
        gatys.stylize(content, encoded, GatysConfig(steps=1, **shallow))
    # What does not touch it may differ.
    other = GatysConfig(style_scale=2, steps=2, style_weight=1e-2, **shallow)
    gatys.stylize(content, encoded, other)
