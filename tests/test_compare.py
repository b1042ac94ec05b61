"""All methods on one pair: measured alike, drawn, plotted and written down."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image, ImageColor

from tf_style import compare, images
from tf_style.compare import Comparison, Moment, Result
from tf_style.config import LOSS_COLORS, GatysConfig, HubConfig, NeighborsConfig
from tf_style.fast import hub
from tf_style.methods import METHODS
from tf_style.networks import patches
from tf_style.optimization import gatys, neighbors
from tf_style.system.stop import StopToken

FAR = {"fidelity": 0.5, "coverage": 0.4, "structure": 0.25}


@pytest.fixture(scope="module")
def configs(vgg19, stub_model):
    slow = GatysConfig(
        backbone=str(vgg19),
        content_layers=("block1_conv2",),
        style_layers=("block1_conv1", "block1_conv2"),
        tv_weight=1.0,
        scales=2,
        steps=5,
        precision="float32",
    )
    painted = NeighborsConfig(
        backbone="builtin",
        layers=("block1_conv2",),
        init="content",
        scales=1,
        steps=2,
        precision="float32",
    )
    return slow, HubConfig(model=str(stub_model)), painted


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(9)
    return tuple(rng.random((1, *size, 3), np.float32) for size in ((37, 50), (45, 61)))


@pytest.fixture(scope="module")
def comparison(configs, pair):
    return compare.compare(*pair, *configs)


@pytest.fixture
def made_up():
    """A comparison with numbers that are easy to follow."""

    def losses(style):
        return {"content": 1.0, "style": style, "tv": 0.0, "total": 1.0 + style}

    half, full = (18, 25), (37, 50)
    history = [
        Moment(1.0, half, losses(0.5)),
        Moment(2.0, half, losses(0.1)),
        Moment(3.5, full, losses(0.9)),
        Moment(5.0, full, losses(0.4)),
        Moment(6.0, full, losses(0.6)),
        Moment(7.0, full, losses(0.3)),
    ]
    fast, slow = (np.full((1, *full, 3), grey, np.float32) for grey in (0.2, 0.6))
    return Comparison(
        {
            "hub": Result(fast, losses(0.4), 0.25, 300.5, FAR),
            "neighbors": Result(1 - fast, losses(0.5), 2.5, None, FAR),
            "gatys": Result(slow, losses(0.3), 7.5, None, FAR),
        },
        history,
        5.0,
        6,
        ["went back"],
        False,
    )


def at_full_size(comparison):
    return [moment for moment in comparison.history if moment.size == (37, 50)]


def test_results_are_the_methods_own_pictures(comparison, configs, pair):
    slow, fast, painted = configs
    assert list(comparison.results) == list(METHODS)
    for method, expected in (
        ("hub", hub.stylize(*pair, fast)),
        ("neighbors", neighbors.stylize(*pair, painted)),
        ("gatys", gatys.stylize(*pair, slow)),
    ):
        found = comparison.results[method].picture
        np.testing.assert_array_equal(found, expected)


def test_results_are_measured_alike_at_full_size(comparison, configs, pair):
    config, *_ = configs
    photo, painting = pair
    objective = gatys.load_objective(config, (37, 50))
    style = gatys.encode(painting, config)
    targets = gatys.measure_targets(objective, photo, style, (37, 50), config)
    for result in comparison.results.values():
        losses = objective.measure(result.picture, targets)
        assert list(result.losses) == ["content", "style", "tv", "total"]
        assert result.losses == {name: float(loss) for name, loss in losses.items()}
        distances = patches.measure(photo, [painting], result.picture)
        assert result.distances == distances._asdict()


def test_the_history_is_the_slow_paths_steps_on_the_clock(comparison):
    assert len(comparison.history) == 6
    sizes = [moment.size for moment in comparison.history]
    assert list(dict.fromkeys(sizes)) == [(18, 25), (37, 50)]
    seconds = [moment.seconds for moment in comparison.history]
    assert seconds == sorted(seconds)
    assert 0 < seconds[0] and seconds[-1] <= comparison.results["gatys"].seconds
    least = min(moment.losses["total"] for moment in at_full_size(comparison))
    found = comparison.results["gatys"].losses["total"]
    assert found == pytest.approx(least, rel=1e-4)
    assert not comparison.interrupted


def test_the_slow_path_can_start_from_the_fast_picture(configs, pair):
    slow, *others = configs
    slow = dataclasses.replace(slow, init="hub", scales=1, steps=1)
    result = compare.compare(*pair, slow, *others)
    expected = result.results["hub"].losses
    assert result.history[0].losses == pytest.approx(expected, rel=1e-4)


def test_results_are_of_the_same_styles_and_masks(configs, pair):
    """And are measured where they were painted."""
    content, style = pair
    slow, fast, painted = (
        dataclasses.replace(c, style_weights=(3.0, 1.0), preserve_color="covariance")
        for c in configs
    )
    slow = dataclasses.replace(slow, scales=1, steps=2)
    left = np.zeros((1, 37, 50, 1), np.float32)
    left[:, :, :25] = 1
    styles, regions = [style, style[:, ::-1] ** 3], [left, 1 - left]
    # In any order.
    result = compare.compare(content, styles, fast, painted, slow, masks=regions)
    for method, module, config in (
        ("hub", hub, fast),
        ("neighbors", neighbors, painted),
        ("gatys", gatys, slow),
    ):
        expected = module.stylize(content, styles, config, masks=regions)
        np.testing.assert_array_equal(result.results[method].picture, expected)
    objective = gatys.load_objective(slow, (37, 50))
    encoded = gatys.encode(styles, slow)
    targets = gatys.measure_targets(
        objective, content, encoded, (37, 50), slow, regions
    )
    for found in result.results.values():
        losses = objective.measure(found.picture, targets)
        assert found.losses == {name: float(loss) for name, loss in losses.items()}


def test_memory_is_measured_where_linux_tells_it(comparison):
    for result in comparison.results.values():
        memory = result.peak_memory_mib
        assert memory is None or 100 < memory < 1e6  # TensorFlow alone takes hundreds


def test_an_interrupted_comparison_ends_with_the_best_picture_so_far(configs, pair):
    stop = StopToken()
    steps = compare.iterate(*pair, *configs, stop=stop)
    seen = [next(steps) for _ in range(4)]
    stop.set()
    with pytest.raises(StopIteration) as end:
        next(steps)
    comparison = end.value.value
    assert comparison.interrupted
    assert len(comparison.history) == 4
    best = gatys.finish(seen[-1], pair[0], configs[0])
    np.testing.assert_array_equal(comparison.results["gatys"].picture, best)


def test_who_stops_while_others_paint_has_a_step_of_each_slow_method(configs, pair):
    stop = StopToken()
    stop.set()
    steps = compare.iterate(*pair, *configs, stop=stop)
    assert next(steps).index == 0
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert [*end.value.value.results] == [*METHODS]
    assert end.value.value.interrupted


def test_an_interrupt_before_the_first_step_leaves_nothing_to_compare(
    configs, pair, monkeypatch
):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(gatys, "iterate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare.compare(*pair, *configs)


@pytest.mark.parametrize(
    "level, expected",
    [(0.95, 3.5), (0.9, 3.5), (0.5, 5.0), (0.35, 7.0), (0.3, 7.0), (0.1, None)],
)
def test_caught_up_is_the_first_time_at_full_size_that_style_is_as_low(
    made_up, level, expected
):
    assert compare._caught_up(made_up.history, (37, 50), level) == expected


def test_caught_up_of_a_real_run_follows_from_its_history(comparison):
    level = comparison.results["hub"].losses["style"]
    full = at_full_size(comparison)
    times = [moment.seconds for moment in full if moment.losses["style"] <= level]
    assert comparison.caught_up_s == (times[0] if times else None)


# Columns of 160 pixels and gaps of 12; seven lines of 22 pixels above the pictures.
TOP = 12 + 7 * 22


def test_the_panel_shows_all_pictures_side_by_side(made_up, pair):
    content, style = pair
    panel = compare.draw_panel(content, style, made_up)
    assert panel.shape == (1, TOP + 37 + 12, 12 + 5 * (160 + 12), 3)
    shown = [
        content,
        images.fit_longest(style, 50),
        *(result.picture for result in made_up.results.values()),
    ]
    for column, picture in enumerate(shown):
        left = 12 + column * (160 + 12)
        height, width = picture.shape[1:3]
        found = panel[:, TOP : TOP + height, left : left + width]
        np.testing.assert_allclose(found, picture, atol=0.5 / 255 + 1e-6)
        captions = panel[:, 12:TOP, left : left + 160]
        assert captions.min() < 0.5 < captions.max()


def test_the_panel_shows_every_style_that_was_blended(made_up, pair):
    content, style = pair
    panel = compare.draw_panel(content, [style, style[:, ::-1]], made_up)
    assert panel.shape == (1, TOP + 37 + 12, 12 + 6 * (160 + 12), 3)
    second = images.fit_longest(style[:, ::-1], 50)
    left = 12 + 2 * (160 + 12)
    found = panel[:, TOP : TOP + second.shape[1], left : left + 50]
    np.testing.assert_allclose(found, second, atol=0.5 / 255 + 1e-6)


def test_the_plot_is_a_png_of_all_losses(made_up, tmp_path):
    path = tmp_path / "plot"
    compare.save_plot(path, made_up)
    with Image.open(path) as plot:
        assert plot.format == "PNG"
        assert plot.size == (840, 540)
        colours = {colour for _, colour in plot.convert("RGB").getcolors(1 << 20)}
    assert {ImageColor.getrgb(color) for color in LOSS_COLORS.values()} <= colours


def test_the_numbers_survive_json(made_up):
    numbers = json.loads(json.dumps(compare.to_json(made_up)))
    assert [*numbers["results"]] == [*METHODS]
    assert numbers["results"]["hub"] == {
        "losses": {"content": 1.0, "style": 0.4, "tv": 0.0, "total": 1.4},
        "seconds": 0.25,
        "peak_memory_mib": 300.5,
        "distances": FAR,
    }
    assert numbers["results"]["gatys"]["peak_memory_mib"] is None
    assert numbers["caught_up_s"] == 5.0
    assert numbers["steps"] == 6
    assert numbers["interrupted"] is False
    assert len(numbers["history"]) == 6
    assert numbers["history"][3] == {
        "seconds": 5.0,
        "size": [37, 50],
        "losses": {"content": 1.0, "style": 0.4, "tv": 0.0, "total": 1.4},
    }


def test_the_numbers_in_words_are_a_line_for_each_method_and_a_note(made_up):
    *lines, note = compare.to_lines(made_up)
    assert lines[0] == (
        "hub: 0.2 s, 0.3 GiB, style 0.4, content 1, "
        "fidelity 0.500, coverage 0.400, structure 0.250"
    )
    assert [line.partition(":")[0] for line in lines] == [*METHODS]
    assert "judges itself" in note


def test_slow_methods_share_what_is_left_of_a_time_budget(configs, pair, monkeypatch):
    slow, fast, painted = configs
    given = []
    for module in (neighbors, gatys):

        def iterate(content, style, config, *, _iterate=module.iterate, **more):
            given.append(config.time_budget)
            config = dataclasses.replace(config, time_budget=0, steps=1)
            return _iterate(content, style, config, **more)

        monkeypatch.setattr(module, "iterate", iterate)
    timed = [dataclasses.replace(c, time_budget=1000) for c in (slow, painted)]
    compare.compare(*pair, fast, *timed)
    assert 400 < given[0] < 500 and 800 < given[1] < 1000
    given.clear()
    compare.compare(*pair, fast, timed[0], painted)
    assert given[0] == 0 and 800 < given[1] < 1000


def test_a_step_whose_loss_was_not_finite_is_still_json(made_up):
    bad = made_up.history[0].losses | {"total": float("nan")}
    history = [*made_up.history, Moment(8.0, (37, 50), bad)]
    numbers = compare.to_json(made_up._replace(history=history))
    json.dumps(numbers, allow_nan=False)  # NaN is none of JSON's values


def test_arguments_are_checked_at_once(configs, pair):
    content, style = pair
    slow, fast, _ = configs
    for changes, reason in (
        ((content, style, 9), "^a config is int; it must be a HubConfig or Neigh"),
        ((content, style, slow, fast, slow), "^there are two configs of gatys"),
        ((content, None, slow, fast), "^style is None; it must be one RGB picture"),
    ):
        with pytest.raises(ValueError, match=reason):
            compare.iterate(*changes)
    with pytest.raises(TypeError):
        compare.compare(content, style, slow, fast, mask=[content])


def test_a_given_first_picture_is_taken_before_the_fast_one(configs, pair):
    content, style = pair
    slow, *others = configs
    slow = dataclasses.replace(slow, init="hub", scales=1, steps=1)
    steps = compare.iterate(content, style, slow, *others, init=1 - content)
    np.testing.assert_array_equal(next(steps).image, 1 - content)


def test_a_measure_is_of_pictures_of_the_contents_size(configs, pair):
    measure = compare.measurer(*pair, configs[0])
    exact = measure(images.to_uint8(pair[0]) / np.float32(255))
    assert measure(images.to_uint8(pair[0][0])) == exact
    with pytest.raises(ValueError, match="^picture has 61x45 pixels, not 50x37$"):
        measure(pair[1])
