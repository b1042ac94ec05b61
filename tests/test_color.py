"""The photo's colours kept: what is matched holds exactly, whatever the pictures."""

from pathlib import Path

import numpy as np
import pytest

from tf_style import color, images
from tf_style.config import PRESERVED, GatysConfig, HubConfig
from tf_style.fast import hub
from tf_style.networks import features
from tf_style.networks.losses import gram_matrix
from tf_style.optimization import gatys

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CHOICES = PRESERVED[1:]

# The National Television System Committee's, of 1953.
YIQ = np.array(
    [
        [0.299, 0.587, 0.114],
        [0.595716, -0.274453, -0.321263],
        [0.211456, -0.522591, 0.311135],
    ]
)


def mild(seed, height, width):
    """Correlated colours that stay away from black and white, with a mean of theirs."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(3, 3)) * 0.03
    pixels = rng.uniform(-1, 1, (1, height, width, 3)) @ mixing
    return (pixels + rng.uniform(0.45, 0.55, 3)).astype(np.float32)


@pytest.fixture
def photo():
    return mild(1, 30, 41)


@pytest.fixture
def painting():
    return mild(2, 41, 30)  # as many pixels as the photo


def settings(preserve, strength=1.0):
    return HubConfig(preserve_color=preserve, color_strength=strength)


def colours(picture):
    return np.reshape(picture, (-1, 3)).astype(np.float64)


def yiq(picture):
    return colours(picture) @ YIQ.T


BOTH = pytest.mark.parametrize("give", [color.prepare, color.restore])


@BOTH
def test_covariance_gives_the_photos_mean_and_covariance(give, photo, painting):
    found, target = (
        colours(p) for p in (give(painting, photo, settings("covariance")), photo)
    )
    np.testing.assert_allclose(found.mean(0), target.mean(0), atol=1e-5)
    covariance = np.cov(target.T)
    # The ridge takes a thousandth of the mean variance off, or adds it.
    np.testing.assert_allclose(
        np.cov(found.T),
        covariance,
        rtol=0,
        atol=3 * color.RIDGE * np.trace(covariance) / 3,
    )
    assert (
        np.abs(np.cov(colours(painting).T) - covariance).max()
        > 0.1 * np.abs(covariance).max()
    )


@BOTH
def test_covariance_moves_colours_no_further_than_it_must(give, photo, painting):
    """The linear map is symmetric and positive, as that of least mean square is."""
    found = colours(give(painting, photo, settings("covariance")))
    own = colours(painting)
    matrix, *_ = np.linalg.lstsq(own - own.mean(0), found - found.mean(0), rcond=None)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-3)
    assert np.linalg.eigvalsh((matrix + matrix.T) / 2).min() > 0


@BOTH
def test_histogram_gives_the_photos_values_in_the_pictures_order(give, photo):
    rng = np.random.default_rng(3)
    # No value comes twice.
    painting = rng.permuted(np.linspace(0, 1, 3 * 41 * 30, dtype=np.float32))
    painting = painting.reshape(1, 41, 30, 3)
    found = colours(give(painting, photo, settings("histogram")))
    for own, new, target in zip(colours(painting).T, found.T, colours(photo).T):
        np.testing.assert_allclose(np.sort(new), np.sort(target), atol=1e-6)
        assert (np.diff(new[np.argsort(own)]) >= 0).all()


def test_histogram_of_another_size_has_the_photos_quantiles(photo):
    found = colours(color.restore(mild(3, 90, 77), photo, settings("histogram")))
    levels = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(
        np.quantile(found, levels, axis=0),
        np.quantile(colours(photo), levels, axis=0),
        atol=2e-3,
    )


def test_histogram_of_four_values_by_hand():
    photo = np.float32([0.1, 0.2, 0.4, 0.8]).reshape(1, 1, 4, 1)
    picture = np.float32([0.9, 0.3, 0.3, 0.5]).reshape(1, 1, 4, 1)
    found = color.restore(
        np.repeat(picture, 3, -1), np.repeat(photo, 3, -1), settings("histogram")
    )
    # The equal ones are first and second of four, and come in between.
    expected = [0.8, 0.15, 0.15, 0.4]
    np.testing.assert_allclose(found[0, 0], np.transpose([expected] * 3), atol=1e-6)


def test_luminance_keeps_the_photos_hue_and_the_pictures_brightness(photo):
    picture = mild(3, 30, 41)
    found = yiq(color.restore(picture, photo, settings("luminance")))
    np.testing.assert_allclose(found[:, 0], yiq(picture)[:, 0], atol=1e-5)
    np.testing.assert_allclose(found[:, 1:], yiq(photo)[:, 1:], atol=1e-5)


def test_luminance_gives_a_style_the_photos_brightness_and_contrast(photo, painting):
    style = yiq(color.prepare(painting, photo, settings("luminance")))
    own, target = yiq(painting), yiq(photo)
    assert style[:, 0].mean() == pytest.approx(target[:, 0].mean(), abs=1e-5)
    assert style[:, 0].std() == pytest.approx(target[:, 0].std(), rel=1e-4)
    np.testing.assert_allclose(style[:, 1:], own[:, 1:], atol=1e-5)
    # Light stays light.
    assert np.corrcoef(style[:, 0], own[:, 0])[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("pixel, expected", [((1, 0, 0), 0.299), ((1, 1, 1), 1)])
def test_luminance_is_y_of_yiq(pixel, expected):
    found = color.luminance(np.full((1, 2, 5, 3), pixel, np.float32))
    assert found.shape == (1, 2, 5, 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@BOTH
@pytest.mark.parametrize("preserve", CHOICES)
def test_a_strength_of_nothing_changes_nothing_and_half_goes_half_way(
    give, preserve, photo, painting
):
    picture = mild(4, 30, 41)
    none, half, full = (
        give(picture, photo, settings(preserve, s)) for s in (0, 0.5, 1)
    )
    np.testing.assert_array_equal(none, picture)
    np.testing.assert_allclose(half, (picture + full) / 2, atol=1e-6)
    assert np.abs(full - picture).mean() > 0.01


@BOTH
def test_colours_that_are_not_to_be_kept_are_left_alone(give, photo):
    picture = mild(4, 30, 41)
    assert give(picture, photo, HubConfig()) is picture


@BOTH
@pytest.mark.parametrize("preserve", CHOICES)
def test_a_pictures_own_colours_leave_it_as_it_is(give, preserve, content):
    found = give(content, content, settings(preserve))
    np.testing.assert_allclose(found, content, atol=1e-4)


@pytest.mark.parametrize("preserve", ["luminance", "covariance"])
def test_a_grey_photo_gives_a_grey_result(preserve, content):
    photo = np.repeat(mild(5, 37, 50)[..., :1], 3, -1)
    found = color.restore(content, photo, settings(preserve))
    # What little is left is the noise that the ridge lets through.
    assert np.ptp(found, axis=-1).mean() < 0.1 * photo.std()
    assert np.ptp(content, axis=-1).mean() > 10 * photo.std()


def odd_picture(kind):
    """A picture that leaves a colour statistic nothing, or hardly anything."""
    rng = np.random.default_rng(6)
    picture = rng.random((1, 9, 13, 3), np.float32)
    if kind == "grey":
        picture[:] = picture[..., :1]
    elif kind == "constant":
        picture[:] = 0.3, 0.6, 0.9
    elif kind == "a single pixel":
        picture = picture[:, :1, :1]
    elif kind == "nearly one colour":
        picture = 0.5 + 1e-4 * (picture - 0.5)
    elif kind == "two colours":
        picture = np.rint(picture[..., :1]) * np.float32([1, 0, 1])
    elif kind == "black":
        picture[:] = 0
    return picture


KINDS = (
    "random",
    "grey",
    "constant",
    "a single pixel",
    "nearly one colour",
    "two colours",
    "black",
)


@BOTH
@pytest.mark.parametrize("preserve", CHOICES)
@pytest.mark.parametrize("kind", KINDS)
def test_any_picture_takes_the_colours_of_any_photo(give, preserve, kind):
    picture = odd_picture(kind)
    for photo in map(odd_picture, KINDS):
        if give is color.restore:  # A result has the size of its photo.
            photo = images.resize(photo, *picture.shape[1:3])
        found = give(picture, photo, settings(preserve))
        assert (found.shape, found.dtype) == (picture.shape, np.float32)
        assert 0 <= found.min() <= found.max() <= 1  # no NaN either
        # Colours may be of every brightness; their mean is the photo's all the same.
        if preserve == "covariance" and 0 < found.min() <= found.max() < 1:
            np.testing.assert_allclose(
                colours(found).mean(0), colours(photo).mean(0), atol=1e-3
            )


def test_noise_of_a_nearly_grey_style_is_not_blown_up(photo):
    grey = np.repeat(mild(7, 37, 50)[..., :1], 3, -1)
    noise = np.random.default_rng(8).normal(0, 1e-5, grey.shape).astype(np.float32)
    given, noisy = (
        color.prepare(p, photo, settings("covariance")) for p in (grey, grey + noise)
    )
    # Without a ridge it would be as strong as the photo's colours are.
    assert np.abs(noisy - given).max() < 50 * np.abs(noise).max()
    assert 50 * np.abs(noise).max() < colours(photo).std(0).min() / 2


def grams(picture):
    """Gram matrices of a picture's luminance."""
    layers = GatysConfig.style_layers
    seen = features.load_backbone("builtin", layers)(
        np.repeat(color.luminance(picture), 3, -1)
    )
    return [gram_matrix(seen[layer])[0].numpy() for layer in layers]


@pytest.mark.parametrize(
    "engine, config, longest",
    [
        (
            gatys,
            GatysConfig(
                backbone="builtin",
                precision="float32",
                steps=20,
                preserve_color="covariance",
            ),
            96,
        ),
        (hub, HubConfig(model="builtin", preserve_color="covariance"), 460),
    ],
    ids=["gatys", "hub"],
)
def test_painted_in_a_style_it_has_the_photos_colours(engine, config, longest):
    photo = images.load_image(EXAMPLES / "harbor.jpg", 96)
    painting = images.load_image(EXAMPLES / "swirls.jpg")
    picture = engine.stylize(photo, painting, config)
    assert 0 <= picture.min() <= picture.max() <= 1
    found, target = colours(picture), colours(photo)
    np.testing.assert_allclose(found.mean(0), target.mean(0), atol=2e-3)
    covariance = np.cov(target.T)
    np.testing.assert_allclose(
        np.cov(found.T), covariance, rtol=0, atol=0.01 * np.abs(covariance).max()
    )
    # And yet it is a painting.
    style = color.prepare(images.fit_longest(painting, longest), photo, config)
    reached, left = (
        sum(
            np.linalg.norm(here - there) / np.linalg.norm(there)
            for here, there in zip(grams(p), grams(style))
        )
        for p in (picture, photo)
    )
    assert reached < 0.7 * left


@pytest.mark.parametrize("preserve", ["luminance", "histogram"])
def test_the_fast_path_keeps_what_is_wanted_of_the_colours(preserve, content, style):
    content, style = 0.3 + 0.4 * content, 0.3 + 0.4 * style
    config = HubConfig(model="builtin", preserve_color=preserve)
    picture = hub.stylize(content, style, config)
    assert np.abs(picture - content).mean() > 0.02
    if preserve == "histogram":
        # Equal values of few bits stay equal.
        np.testing.assert_allclose(
            np.sort(colours(picture), 0), np.sort(colours(content), 0), atol=1 / 255
        )
    else:
        clear = (colours(picture).min(1) > 0) & (colours(picture).max(1) < 1)
        assert clear.mean() > 0.9
        np.testing.assert_allclose(
            yiq(picture)[clear, 1:], yiq(content)[clear, 1:], atol=1e-5
        )
