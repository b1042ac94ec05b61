"""Masks: where a style goes, on both paths, and what is left alone."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_style import images
from tf_style.config import GatysConfig, HubConfig
from tf_style.fast import hub
from tf_style.images import masks
from tf_style.optimization import gatys


def mask_of(*rows):
    return np.float32(rows)[None, ..., None]


def halves(height, width):
    """White on the left, and white on the right."""
    left = np.zeros((1, height, width, 1), np.float32)
    left[:, :, : width // 2] = 1
    return left, 1 - left


@pytest.fixture
def photo():
    return np.random.default_rng(1).random((1, 24, 32, 3), np.float32)


@pytest.fixture
def config(shallow):
    return GatysConfig(**shallow | {"scales": 1}, precision="float32", tv_weight=0.1)


@pytest.mark.parametrize(
    "found, shares, expected",
    [
        ([mask_of([1, 1], [1, 1])], [1], [1]),
        ([mask_of([1, 0], [0, 0])], [1], [1 / 2]),
        ([mask_of([0.5, 0.5], [0.5, 0.5])], [1], [0.5**0.5]),
        ([mask_of([0, 0], [0, 0])], [1], [0]),
        # Losses are means over regions and of squares: halves count as a whole.
        ([mask_of([1, 0]), mask_of([0, 1])], [0.5, 0.5], [1, 1]),
        (
            [mask_of([1, 0, 0, 0]), mask_of([0, 1, 1, 1])],
            [0.5, 0.5],
            [0.5**0.5, 1.5**0.5],
        ),
        ([mask_of([1, 0]), mask_of([0, 1])], [0.75, 0.25], [1.5**0.5, 0.5**0.5]),
        ([mask_of([1, 0]), mask_of([0, 1])], [1, 0], [2**0.5, 0]),
    ],
)
def test_factors_weigh_regions_by_their_areas_and_shares(found, shares, expected):
    assert masks.factors(found, shares) == pytest.approx(expected)


@pytest.mark.parametrize(
    "colours, alphas, expected",
    [
        ([255, 255], [255, 0], [1, 0]),  # white on clear
        ([0, 255], [255, 0], [1, 0]),  # black on clear
        ([0, 255], [255, 255], [0, 1]),  # white on black, not clear anywhere
        ([255, 0], [255, 255], [1, 0]),
        ([0, 255, 255], [255, 255, 0], [0, 1, 0]),
        ([255, 255], [51, 255], [0.2, 1]),
    ],
)
def test_clear_parts_of_a_mask_are_not_painted(tmp_path, colours, alphas, expected):
    pixels = np.uint8([[[grey] * 3 + [alpha] for grey, alpha in zip(colours, alphas)]])
    image = Image.fromarray(pixels)
    image.save(tmp_path / "mask.png")
    picture = images.load_picture(tmp_path / "mask.png")
    wanted = np.reshape(np.float32(expected), (1, 1, -1, 1))
    of_file = masks.of_picture(picture.pixels, picture.alpha)
    for mask in (of_file, masks.as_mask(image)):
        np.testing.assert_allclose(mask, wanted, atol=1e-6)


CORNER = mask_of([1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0])


@pytest.mark.parametrize(
    "halvings, scale, expected",
    [
        # Five of 16 positions.
        (0, 1.0, CORNER[0, ..., 0] * np.sqrt(16 / 5)),
        (0, 0.5, CORNER[0, ..., 0] * np.sqrt(8 / 5)),
        (1, 1.0, np.sqrt([[16 / 5, 0], [4 / 5, 0]])),
        (2, 1.0, [[1]]),
        (1, 0.0, [[0, 0], [0, 0]]),
    ],
)
def test_a_guide_is_the_root_of_the_pooled_mask_with_a_mean_square(
    halvings, scale, expected
):
    guide = masks.guide([CORNER], [scale], halvings).numpy()
    np.testing.assert_allclose(guide[0, ..., 0], expected, rtol=1e-6)
    assert np.mean(guide**2) == pytest.approx(scale)


def test_each_region_has_a_guide_of_its_own():
    both = masks.guide([CORNER, np.ones_like(CORNER)], [0.5, 2.0], 1)
    assert both.shape == (2, 2, 2, 1)
    np.testing.assert_array_equal(both[:1], masks.guide([CORNER], [0.5], 1))
    np.testing.assert_allclose(both[1], 2**0.5, rtol=1e-6)


def test_the_guide_of_nothing_is_zero():
    guide = masks.guide([np.zeros_like(CORNER)], [0.0], 1)
    np.testing.assert_array_equal(guide, np.zeros((1, 2, 2, 1)))


def test_pictures_are_mixed_by_masks_and_by_shares_where_those_meet():
    first, second = (np.full((1, 1, 4, 3), value, np.float32) for value in (0.2, 0.8))
    found = masks.mix(
        [first, second], [mask_of([1, 0, 1, 0.5]), mask_of([0, 1, 1, 1])], [0.75, 0.25]
    )
    meeting, half = (
        (0.2 * 0.75 * own + 0.8 * 0.25) / (0.75 * own + 0.25) for own in (1, 0.5)
    )
    np.testing.assert_allclose(found[0, 0, :, 0], [0.2, 0.8, meeting, half], atol=1e-5)


def test_where_no_mask_is_pictures_are_mixed_by_shares():
    first, second = (np.full((1, 1, 1, 3), value, np.float32) for value in (0.2, 0.8))
    found = masks.mix([first, second], [mask_of([0])] * 2, [0.75, 0.25])
    np.testing.assert_allclose(found, 0.75 * 0.2 + 0.25 * 0.8, atol=1e-6)


def test_the_photo_shows_as_far_as_masks_are_dark():
    photo, picture = np.zeros((1, 1, 4, 3)), np.ones((1, 1, 4, 3))
    one = masks.compose(photo, picture, [mask_of([0, 0.25, 0.75, 1])])
    np.testing.assert_allclose(one[0, 0, :, 0], [0, 0.25, 0.75, 1])
    both = masks.compose(
        photo, picture, [mask_of([0, 0.25, 0.75, 1]), mask_of([0, 0.5, 0.5, 0])]
    )
    np.testing.assert_allclose(both[0, 0, :, 0], [0, 0.75, 1, 1])
    assert masks.compose(photo, picture, []) is picture


def test_a_mask_read_from_a_file_is_the_mean_of_its_channels(photo):
    coloured = np.zeros((1, 24, 32, 3), np.float32)
    coloured[..., 0] = 0.75
    [mask] = masks.fit([coloured], photo, 1)
    assert (mask.shape, mask.dtype) == ((1, 24, 32, 1), np.float32)
    np.testing.assert_allclose(mask, 0.25, atol=1e-6)


@pytest.mark.parametrize("size", [(48, 64), (6, 8), (24, 32), (25, 33)])
def test_a_mask_of_another_size_is_scaled_to_the_photos(photo, size):
    left, _ = halves(*size)
    [mask] = masks.fit([left], photo, 1)
    assert mask.shape == (1, 24, 32, 1)
    assert 0 <= mask.min() <= mask.max() <= 1
    assert mask[:, :, :12].min() > 0.95 and mask[:, :, 20:].max() < 0.05


@pytest.mark.parametrize("size", [(32, 24), (24, 35), (10, 20), (240, 300)])
def test_a_mask_of_other_proportions_is_refused(photo, size):
    with pytest.raises(ValueError) as error:
        masks.fit([np.ones((1, *size, 1))], photo, 1)
    assert str(error.value) == (
        f"a mask of {size[1]}x{size[0]} pixels does not have the proportions of the "
        "content, 32x24"
    )


@pytest.mark.parametrize("size", [(36, 48), (12, 16), (18, 25), (375, 500)])
def test_a_pixel_more_or_less_is_no_other_proportion(size):
    photo = np.zeros((1, 37, 50, 3), np.float32)
    [mask] = masks.fit([np.ones((1, *size, 1))], photo, 1)
    assert mask.shape == (1, 37, 50, 1)


@pytest.mark.parametrize("count, styles", [(2, 1), (2, 3), (3, 2)])
def test_there_is_one_mask_or_one_for_each_style(photo, count, styles):
    with pytest.raises(ValueError, match=f"^{count} masks for {styles} styles; give"):
        masks.fit([np.ones((1, 24, 32, 1))] * count, photo, styles)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_none_or_one_or_as_many_masks_as_styles_are_taken(photo, count):
    given = [np.ones((1, 24, 32, 1))] * count
    assert len(masks.fit(given, photo, 3)) == count


def measure(config, photo, styles, regions, picture):
    """Returns terms, and gradient, of a picture."""
    objective, targets = make_problem(config, photo, styles, regions)
    losses, gradient = objective.differentiate(tf.constant(picture), targets)
    return {name: float(loss) for name, loss in losses.items()}, gradient.numpy()


def make_problem(config, photo, styles, regions):
    """Returns the objective of a photo's size, and what to hold a picture to."""
    size = photo.shape[1:3]
    objective, style = gatys.load_objective(config, size), gatys.encode(styles, config)
    regions = masks.fit(regions, photo, len(style.paintings))
    return objective, gatys.measure_targets(
        objective, photo, style, size, config, regions
    )


@pytest.fixture
def picture():
    return np.random.default_rng(2).random((1, 24, 32, 3), np.float32)


def test_a_white_mask_is_as_good_as_none(config, photo, style, picture):
    white = np.ones((1, 24, 32, 1), np.float32)
    (terms, gradient), (expected, exact) = (
        measure(config, photo, style, regions, picture) for regions in ([white], [])
    )
    assert terms == pytest.approx(expected, rel=1e-5)
    assert expected["style"] > 0 and expected["content"] > 0
    np.testing.assert_allclose(gradient, exact, atol=1e-5 * np.abs(exact).max())


def test_a_grey_mask_halves_the_loss_of_style_and_of_nothing_else(
    config, photo, style, picture
):
    grey = np.full((1, 24, 32, 1), 0.5, np.float32)
    terms, expected = (
        measure(config, photo, style, regions, picture)[0] for regions in ([grey], [])
    )
    assert terms["style"] == pytest.approx(expected["style"] / 2, rel=1e-4)
    assert terms["content"] == pytest.approx(expected["content"])
    assert terms["tv"] == pytest.approx(expected["tv"])


def gram(features):
    flat = np.reshape(features, (-1, features.shape[-1])).astype(np.float64)
    return flat.T @ flat / len(flat)


def by_hand(config, photo, style, picture, place):
    """The style loss of what is seen in a rectangle, of Gram matrices in NumPy."""
    extract = gatys.load_backbone(config)
    rows, columns = place
    painting = extract(images.fit_longest(style, max(photo.shape[1:3])))
    terms = []
    for layer, stride in zip(config.style_layers, (1, 2)):
        inside = extract(picture)[layer].numpy()[
            :,
            rows.start // stride : rows.stop // stride,
            columns.start // stride : columns.stop // stride,
        ]
        terms.append(np.mean((gram(inside) - gram(painting[layer])) ** 2))
    return config.style_weight * np.mean(terms)


RECTANGLE = slice(8, 16), slice(4, 20)


def test_in_a_rectangle_the_gram_matrices_are_those_of_what_is_inside(
    config, photo, style, picture
):
    mask = np.zeros((1, 24, 32, 1), np.float32)
    mask[0][RECTANGLE] = 1
    terms, _ = measure(config, photo, style, [mask], picture)
    area = 8 * 16 / (24 * 32)
    expected = by_hand(config, photo, style, picture, RECTANGLE)
    assert terms["style"] == pytest.approx(area * expected, rel=1e-4)


def test_nothing_is_painted_beyond_what_the_region_sees(config, photo, style, picture):
    mask = np.zeros((1, 24, 32, 1), np.float32)
    mask[0][RECTANGLE] = 1
    only_style = dataclasses.replace(config, content_weight=0.0, tv_weight=0.0)
    _, gradient = measure(only_style, photo, style, [mask], picture)
    touched = np.abs(gradient).max((0, 3)) > 0
    assert touched[RECTANGLE].mean() > 0.99
    # Two convolutions of 3x3, a pooling and a convolution more see 5 pixels further.
    touched[3:21, :25] = False
    assert not touched.any()


@pytest.mark.parametrize(
    "weights, shares", [((), (0.5, 0.5)), ((3.0, 1.0), (0.75, 0.25))]
)
def test_two_halves_have_a_style_each(config, photo, style, picture, weights, shares):
    config = dataclasses.replace(config, style_weights=weights)
    other = np.random.default_rng(5).random((1, 30, 30, 3), np.float32) ** 2
    terms, _ = measure(config, photo, [style, other], halves(24, 32), picture)
    places = (slice(0, 24), slice(0, 16)), (slice(0, 24), slice(16, 32))
    expected = sum(
        share * by_hand(config, photo, painting, picture, place)
        for share, painting, place in zip(shares, (style, other), places)
    )
    assert terms["style"] == pytest.approx(expected, rel=1e-4)


def test_a_mask_for_several_styles_has_their_mixture(config, photo, style, picture):
    other = np.random.default_rng(5).random((1, 30, 30, 3), np.float32) ** 2
    mask = np.zeros((1, 24, 32, 1), np.float32)
    mask[0][RECTANGLE] = 1
    blended, *alone = (
        make_problem(config, photo, styles, [mask])[1][1].whole
        for styles in ([style, other], style, other)
    )
    for mixed, first, second in zip(blended, *alone):
        np.testing.assert_allclose(mixed, (first + second) / 2, rtol=1e-5)


def engines(stub_model):
    slow = GatysConfig(
        backbone="builtin",
        content_layers=("block1_conv2",),
        style_layers=("block1_conv1", "block2_conv1"),
        scales=2,
        steps=4,
        # The colours of the whole picture are moved, and yet not what is masked.
        preserve_color="covariance",
    )
    yield gatys, slow
    yield hub, HubConfig(model="builtin", preserve_color="covariance")
    yield hub, HubConfig(model=str(stub_model))


ENGINES = pytest.mark.parametrize("number", range(3), ids=["gatys", "builtin", "stub"])


@ENGINES
def test_where_the_mask_is_black_the_photo_stays_bit_for_bit(
    stub_model, content, style, number
):
    engine, config = list(engines(stub_model))[number]
    left, _ = halves(37, 50)
    picture = engine.stylize(content, style, config, masks=[left])
    np.testing.assert_array_equal(picture[:, :, 25:], content[:, :, 25:])
    assert np.abs(picture - content)[:, :, :25].mean() > 0.01
    assert 0 <= picture.min() <= picture.max() <= 1


@ENGINES
def test_a_black_mask_gives_back_the_photo(stub_model, content, style, number):
    engine, config = list(engines(stub_model))[number]
    black = np.zeros((1, 37, 50, 1), np.float32)
    picture = engine.stylize(content, style, config, masks=[black])
    np.testing.assert_array_equal(picture, content)


@ENGINES
def test_masks_that_do_not_fit_are_refused_by_both_paths(
    stub_model, content, style, number
):
    engine, config = list(engines(stub_model))[number]
    with pytest.raises(ValueError, match="does not have the proportions"):
        engine.stylize(content, style, config, masks=[np.ones((1, 50, 37, 1))])
    with pytest.raises(ValueError, match="2 masks for 1 styles"):
        engine.stylize(content, style, config, masks=[content, content])


RED, BLUE = (
    np.full((1, 64, 64, 3), colour, np.float32)
    for colour in ((0.9, 0.1, 0.1), (0.1, 0.1, 0.9))
)


def test_of_the_fast_path_each_region_is_the_picture_of_its_style(stub_model, content):
    left, right = halves(37, 50)
    right[:, :, 40:] = 0
    config = HubConfig(model=str(stub_model))
    found = hub.stylize(content, [RED, BLUE], config, masks=[left, right])
    reddish, bluish = (hub.stylize(content, s, config) for s in (RED, BLUE))
    np.testing.assert_allclose(found[:, :, :25], reddish[:, :, :25], atol=1e-5)
    np.testing.assert_allclose(found[:, :, 25:40], bluish[:, :, 25:40], atol=1e-5)
    np.testing.assert_array_equal(found[:, :, 40:], content[:, :, 40:])


def test_of_the_fast_path_a_white_mask_is_as_good_as_none(content, style):
    config = HubConfig(model="builtin")
    white = np.ones((1, 37, 50, 1), np.float32)
    np.testing.assert_allclose(
        hub.stylize(content, style, config, masks=[white]),
        hub.stylize(content, style, config),
        atol=1e-6,
    )


def test_of_the_slow_path_each_half_takes_the_colour_of_its_style():
    photo = np.random.default_rng(3).uniform(0.4, 0.6, (1, 32, 48, 3))
    config = GatysConfig(
        backbone="builtin",
        content_layers=("block1_conv2",),
        style_layers=("block1_conv1",),
        style_weight=1.0,
        scales=1,
        steps=15,
    )
    found = gatys.stylize(
        photo.astype(np.float32), [RED, BLUE], config, masks=halves(32, 48)
    )
    left, right = (
        found[0, :, half].mean((0, 1)) for half in (slice(20), slice(28, 48))
    )
    assert left[0] > left[2] + 0.3
    assert right[2] > right[0] + 0.3


HALF = np.arange(12.0).reshape(3, 4) > 5


@pytest.mark.parametrize(
    "value",
    [
        HALF,
        HALF[..., None],
        HALF[None, ..., None].astype(np.float32),
        np.uint8(255 * HALF),
        np.uint16(65535 * HALF),
        np.repeat(HALF[..., None].astype(np.float64), 3, -1),
        np.uint8(255 * np.repeat(HALF[None, ..., None], 3, -1)),
        tf.cast(HALF, tf.float32),
        Image.fromarray(np.uint8(255 * HALF)),
        Image.fromarray(HALF),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'mode', '')}",
)
def test_masks_are_taken_as_callers_have_them(value):
    mask = masks.as_mask(value)
    assert (type(mask), mask.dtype) == (np.ndarray, np.float32)
    np.testing.assert_array_equal(mask, HALF[None, ..., None])


@pytest.mark.parametrize(
    "value, came, advice",
    [
        ("a.png", "'a.png'", "; read files with images.load_image"),
        (None, "None", ""),
        (HALF.astype(int), "ndarray int64 [3, 4] from 0 to 1", "; bring it to [0, 1]"),
        (255.0 * HALF, "ndarray float64 [3, 4] from 0 to 255", "; in [0, 255]? divide"),
        (
            np.ones((2, 3, 4, 1)),
            "ndarray float64 [2, 3, 4, 1] from 1",
            "; give them as",
        ),
        (np.ones((3, 4, 2)), "ndarray float64 [3, 4, 2] from 1 to 1", ""),
        (np.full((3, 4), np.nan), "ndarray float64 [3, 4] that is not finite", ""),
    ],
)
def test_what_is_no_mask_is_told(value, came, advice):
    with pytest.raises(ValueError) as caught:
        masks.fit([value], np.zeros((1, 3, 4, 3)), 1)
    text = str(caught.value)
    assert text.startswith(f"masks[0] is {came}") and advice in text
    assert "; it must be a mask, [H, W], [H, W, 1] or [1, H, W, 1], of floats" in text


def test_one_mask_need_not_be_in_a_list():
    photo = np.zeros((1, 3, 4, 3), np.float32)
    [mask] = masks.fit(HALF, photo, 2)
    np.testing.assert_array_equal(mask, HALF[None, ..., None])
    assert masks.fit(None, photo, 2) == []
