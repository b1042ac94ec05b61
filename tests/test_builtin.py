"""The models that ship: they load, and they see what they were made to see."""

from pathlib import Path

import numpy as np
import pytest

from tf_style import images
from tf_style.config import GatysConfig
from tf_style.fast.builtin import decoder, encoder, steady, stylizer
from tf_style.networks import features, second_moments, small_vgg
from tf_style.networks.losses import gram_matrix
from tf_style.system import hardware
from tf_style.video import flow

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PHOTOS = ("harbor", "still_life")
STYLES = ("cubist", "mosaic", "swirls", "watercolor", "woodcut")


@pytest.fixture(scope="module")
def backbone():
    return features.load_backbone("builtin", small_vgg.LAYERS)


@pytest.fixture(scope="module")
def paintings():
    return [images.load_image(EXAMPLES / f"{name}.jpg", 256) for name in STYLES]


def test_layers_and_shapes_are_a_quarter_of_vgg19s(backbone, content):
    shapes = {name: f.shape.as_list() for name, f in backbone(content).items()}
    assert list(shapes) == [name for name in features.LAYERS if name <= "block5_conv1"]
    assert shapes["block1_conv2"] == [1, 37, 50, 16]
    assert shapes["block3_conv4"] == [1, 9, 12, 64]
    assert shapes["block5_conv1"] == [1, 2, 3, 128]


def test_the_default_settings_fit_it():
    config = GatysConfig(backbone="builtin")
    layers = (*config.content_layers, *config.style_layers)
    backbone = features.load_backbone("builtin", layers)
    assert backbone.source == str(small_vgg.WEIGHTS)


def test_a_layer_beyond_its_last_lists_what_it_has():
    with pytest.raises(ValueError, match="no layer 'block5_conv2'.*block5_conv1$"):
        features.load_backbone("builtin", ("block5_conv2",))


@pytest.mark.parametrize("layer", GatysConfig.style_layers)
def test_no_painting_is_closer_in_style_than_its_mirror_image(
    backbone, paintings, layer
):
    pictures = [p for painting in paintings for p in (painting, painting[:, :, ::-1])]
    grams = np.stack([gram_matrix(backbone(p)[layer])[0] for p in pictures])
    distances = ((grams[:, None] - grams[None]) ** 2).sum((2, 3))
    np.fill_diagonal(distances, np.inf)
    expected = [index ^ 1 for index in range(len(pictures))]
    assert distances.argmin(1).tolist() == expected


@pytest.mark.parametrize("layer", GatysConfig.style_layers)
def test_no_channel_of_a_style_layer_is_dead(backbone, paintings, layer):
    photos = [images.load_image(EXAMPLES / f"{n}.jpg", 256) for n in PHOTOS]
    peaks = [backbone(p)[layer].numpy().max((0, 1, 2)) for p in paintings + photos]
    assert (np.max(peaks, 0) > 0).all()


@pytest.fixture
def painter(builtin_stylizer):
    return builtin_stylizer


@pytest.fixture(scope="module")
def harbor():
    return images.load_image(EXAMPLES / "harbor.jpg", 160)


SIZES = [(1, 1), (1, 9), (7, 5), (16, 16), (37, 50), (64, 250)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colour", ["random", "grey", "constant", "black"])
def test_any_photo_comes_back_at_its_size(painter, style, size, colour):
    photo = np.random.default_rng(3).random((1, *size, 3), np.float32)
    if colour == "grey":
        photo[:] = photo.mean(-1, keepdims=True)
    elif colour != "random":
        photo[:] = 0.7 if colour == "constant" else 0
    picture = painter.paint(photo, [painter.encode(style)], [1.0], 1.0)
    assert picture.shape == photo.shape
    assert picture.dtype == np.float32
    assert 0 <= picture.min() <= picture.max() <= 1  # no NaN either


def test_what_was_painted_before_changes_no_bit(painter, harbor, style):
    """Graphs that were traced for other sizes rounded otherwise."""
    fresh = stylizer.Stylizer()
    for height, side in ((64, 40), (96, 56)):
        code = painter.encode(style[:, :side, :side])
        painter.paint(harbor[:, :height], [code], [1.0], 0.7)
    ours, theirs = (
        model.paint(harbor, [model.encode(style)], [1.0], 0.7)
        for model in (painter, fresh)
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_style_gives_its_colour(painter, harbor, value):
    style = np.full((1, 64, 64, 3), value, np.float32)
    picture = painter.paint(harbor, [painter.encode(style)], [1.0], 1.0)
    assert abs(picture.mean() - value) < 0.15


def test_strength_leads_from_the_photo_to_the_style(painter, harbor, paintings):
    code = painter.encode(paintings[0])
    strengths = (0, 0.01, 0.25, 0.5, 0.75, 1)
    steps = [painter.paint(harbor, [code], [1.0], s) for s in strengths]
    np.testing.assert_array_equal(steps[0], harbor)
    away = [float(np.sqrt(np.mean((step - harbor) ** 2))) for step in steps]
    assert away == sorted(away)
    wanted = paintings[0].mean((0, 1, 2))
    missing = [np.abs(step.mean((0, 1, 2)) - wanted).max() for step in steps]
    assert missing == sorted(missing, reverse=True)
    assert away[1] < 0.05 * away[-1]


def test_a_style_blended_with_itself_or_with_no_weight_is_that_style(
    painter, harbor, paintings
):
    one, other = (painter.encode(painting) for painting in paintings[:2])
    expected = painter.paint(harbor, [one], [1.0], 1.0)
    for codes, weights in (([one, one], [0.4, 0.6]), ([one, other], [1.0, 0.0])):
        found = painter.paint(harbor, codes, weights, 1.0)
        # Rounding may turn one of two places that are alike into the other, and with
        # it what the places beside it choose from.
        assert levels_apart(found, expected) < 3
    mixed = painter.paint(harbor, [one, other], [0.5, 0.5], 1.0)
    assert levels_apart(mixed, expected) > 8


def test_the_picture_takes_the_styles_colours(painter, harbor, paintings):
    for painting in paintings:
        picture = painter.paint(harbor, [painter.encode(painting)], [1.0], 1.0)
        wanted, had, found = (
            np.concatenate([p.mean((0, 1, 2)), p.std((0, 1, 2))])
            for p in (painting, harbor, picture)
        )
        assert np.abs(found - wanted).max() < 0.12
        assert np.abs(found - wanted).sum() < np.abs(had - wanted).sum()


def test_pictures_are_not_dithered(painter, harbor, paintings):
    for painting in paintings:
        picture = painter.paint(harbor, [painter.encode(painting)], [1.0], 1.0)
        rows = (2 * picture[:, 1:-1] - picture[:, :-2] - picture[:, 2:]) / 4
        both = (2 * rows[:, :, 1:-1] - rows[:, :, :-2] - rows[:, :, 2:]) / 4
        # A chessboard of 0.45 and 0.55 would have 25e-4.
        assert np.mean(both**2) < 12e-4


def test_a_photo_of_one_colour_gets_the_mean_of_the_painting(painter, paintings):
    for level, painting in zip((0.0, 0.2, 0.5, 0.8, 1.0), paintings):
        plain = np.full((1, 48, 64, 3), level, np.float32)
        picture = painter.paint(plain, [painter.encode(painting)], [1.0], 1.0)
        assert picture.std((1, 2)).max() < 0.02
        assert np.abs(picture.mean((1, 2)) - painting.mean((1, 2))).max() < 0.03


def test_there_is_no_border(painter, paintings):
    noise = np.random.default_rng(4).random((1, 160, 160, 1)).astype(np.float32)
    even = np.repeat(noise, 3, -1)
    for painting in paintings:
        picture = painter.paint(even, [painter.encode(painting)], [1.0], 1.0)
        slopes = np.abs(np.diff(picture, axis=1)).mean((0, 2, 3))
        rim = np.mean([slopes[:4], slopes[-4:]])
        assert 0.6 < rim / slopes[20:-20].mean() < 1.6


@pytest.mark.parametrize("known", [0.0, 1.0])
def test_modulation_normalises_each_channel_of_each_picture(known):
    layer = decoder.Modulate(autocast=False)
    x = random_features(8, (2, 6, 7), 5)
    known = np.full((2, 4), known, np.float32)
    normal = np.array(layer(x, known))  # a new layer modulates nothing yet
    whole = np.where(normal < 0, normal * 5, normal)  # undoes the leaky unit
    np.testing.assert_allclose(whole.mean((1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(whole.std((1, 2)), 1, atol=1e-3)
    kernel = np.random.default_rng(9).normal(size=(4, 10))
    bias = np.r_[np.zeros(5), np.arange(5.0)]
    layer.set_weights([kernel, bias])
    both = np.array(layer(x, known))
    for one in range(2):  # a single picture takes another way
        alone = layer(x[one : one + 1], known[one : one + 1])
        np.testing.assert_allclose(both[one : one + 1], alone, atol=1e-4)
    affine = known @ kernel + bias
    wanted = whole * (1 + affine[:, None, None, :5]) + affine[:, None, None, 5:]
    np.testing.assert_allclose(
        both, np.where(wanted < 0, wanted / 5, wanted), atol=0.01
    )


def test_bfloat16_makes_the_same_picture(painter, harbor, paintings, monkeypatch):
    dtype = "float32" if hardware.fastest_dtype() == "bfloat16" else "bfloat16"
    monkeypatch.setattr(hardware, "fastest_dtype", lambda: dtype)
    other = stylizer.Stylizer()
    monkeypatch.undo()
    first, second = (
        p.paint(harbor, [p.encode(paintings[0])], [1.0], 1.0) for p in (painter, other)
    )
    assert 0 < np.abs(first - second).mean() < 0.02


def test_a_code_is_the_mean_over_a_picture_of_pixels_and_of_their_products():
    pixels = np.random.default_rng(4).random((2, 3, 5, 3), np.float32)
    found = second_moments.second(pixels)
    flat = np.concatenate([pixels.reshape(2, 15, 3), np.ones((2, 15, 1))], -1)
    np.testing.assert_allclose(found, np.einsum("bni,bnj->bij", flat, flat) / 15, 1e-5)


def random_features(seed, shape, channels):
    """Correlated features with a mean."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(channels, channels))
    values = rng.normal(size=(*shape, channels)) @ mixing + rng.normal(size=channels)
    return values.astype(np.float32)


def test_transport_reaches_mean_and_covariance():
    values, style = random_features(5, (1, 20, 30), 4), random_features(6, (1, 9, 9), 4)
    moved = second_moments.transport(values, second_moments.second(style), 1e-6)
    found, wanted = (np.reshape(f, [-1, 4]) for f in (moved, style))
    np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=1e-3)
    np.testing.assert_allclose(
        np.cov(found.T, bias=True), np.cov(wanted.T, bias=True), atol=2e-2
    )


@pytest.mark.parametrize("ridge", [1e-4, 1e-2])
def test_transport_to_a_pictures_own_moments_leaves_it(ridge):
    values = random_features(7, (2, 8, 8), 3)
    moved = second_moments.transport(values, second_moments.second(values), ridge)
    np.testing.assert_allclose(moved, values, atol=1e-3)


def test_transport_of_one_channel_is_a_shift_and_a_scale():
    values = np.float32([1, 2, 3, 4]).reshape(1, 2, 2, 1)
    target = second_moments.second(values * 3 - 1)
    moved = second_moments.transport(values, target, 1e-7)
    np.testing.assert_allclose(moved, values * 3 - 1, atol=1e-3)


def test_all_that_ships_is_small():
    size = sum(path.stat().st_size for path in (small_vgg.WEIGHTS, stylizer.WEIGHTS))
    assert size < 6e6


def test_edges_are_the_slopes_down_and_to_the_right_of_brightness():
    rows, columns = np.mgrid[:16, :24] / 100
    photo = np.repeat(np.float32(rows - 2 * columns)[None, ..., None], 3, -1)
    for level, stride in zip(encoder.edges(photo), (2, 4)):
        assert level.shape == (1, 16 // stride, 24 // stride, 2)
        # From the one above to the one below, and from left to right.
        down, right = np.moveaxis(level.numpy()[0, 1:-1, 1:-1], -1, 0) / encoder.EDGES
        np.testing.assert_allclose(down, 2 * stride / 100, rtol=1e-3)
        np.testing.assert_allclose(right, -4 * stride / 100, rtol=1e-3)


def test_the_moments_of_a_film_forget_a_tenth_a_frame(painter, harbor, style):
    memory, found = {}, []
    for share in (0.5, 1.0, 1.0):
        frame = [share * harbor]
        painter.paint(frame[0], [painter.encode(style)], [1.0], 1.0, memory=memory)
        # The moments of colours come first; the means of these stand in the last row.
        found.append(memory["statistics"][0, 12:15])
    mean = harbor.mean((0, 1, 2))
    expected = [share * mean for share in (0.5, 0.55, 0.595)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def levels_apart(one, other):
    """Returns the mean difference in levels of 255."""
    return 255 * np.abs(one - other).mean()


def test_frames_that_stay_the_same_are_painted_as_a_picture(painter, harbor, paintings):
    code, memory = [painter.encode(paintings[0])], {}
    alone = painter.paint(harbor, code, [1.0], 1.0)
    for _ in range(3):
        found = painter.paint(np.repeat(harbor, 2, 0), code, [1.0], 1.0, memory)
        for picture in found:
            # Rounding may turn one of two places that are alike into the other.
            assert levels_apart(picture[None], alone) < 2.5


def test_frames_at_once_are_painted_as_one_after_the_other(painter, harbor, paintings):
    code = [painter.encode(paintings[0])]
    frames = np.concatenate([harbor * share for share in (1, 0.8, 0.7, 0.65, 0.5)])
    several, one = {}, {}
    together = [
        painter.paint(part, code, [1.0], 1.0, several)
        for part in (frames[:2], frames[2:])
    ]
    apart = [painter.paint(f[None], code, [1.0], 1.0, one) for f in frames]
    together, apart = np.concatenate(together), np.concatenate(apart)
    # Rounding may turn one of two places that are alike into the other.
    assert levels_apart(together, apart) < 2.5
    # It does matter.
    afresh = painter.paint(frames[-1:], code, [1.0], 1.0, {})
    assert levels_apart(apart[-1:], afresh) > 4


def test_something_bright_that_comes_in_changes_the_rest_less(
    painter, harbor, paintings
):
    code, half = [painter.encode(paintings[0])], harbor.shape[2] // 2
    bright, rest = harbor.copy(), np.s_[:, :, : half - 24]
    bright[:, :, half:] = 1
    memory, found, alone = {}, [], []
    for frame in (harbor, bright):
        found.append(painter.paint(frame, code, [1.0], 1.0, memory))
        alone.append(painter.paint(frame, code, [1.0], 1.0))
    jump = levels_apart(alone[0][rest], alone[1][rest])
    assert jump > 4
    assert levels_apart(found[0][rest], found[1][rest]) < 0.75 * jump
    # In time its colours get there, while places keep what they found.
    for _ in range(40):
        last = painter.paint(bright, code, [1.0], 1.0, memory)
    assert levels_apart(last.mean((1, 2)), alone[1].mean((1, 2))) < 3


def motion_of(height, width, pixels, trust=1.0):
    """The camera swings down and to the right by so many pixels."""
    before = np.moveaxis(np.mgrid[:height, :width][::-1], 0, -1) + pixels
    return flow.Motion(np.float32(before), np.full([height, width, 1], trust))


def test_places_that_were_found_move_along_with_the_picture(painter, paintings):
    code, memory = [painter.encode(paintings[0])], {}
    photo = images.load_image(EXAMPLES / "harbor.jpg", 256)[:, :176]
    motion, found = motion_of(160, 240, 16), []
    for frame, known in (photo[:, :160, :240], None), (photo[:, 16:, 16:], motion):
        painter.paint(frame, code, [1.0], 1.0, memory, [known])
        found.append(memory["places"])
    assert (found[1][:, :-2, :-2] == found[0][:, 2:, 2:]).mean() > 0.8


def test_where_motion_is_not_trusted_places_look_anew(painter, harbor, paintings):
    code, memory = [painter.encode(paintings[0])], {}
    painter.paint(harbor, code, [1.0], 1.0, memory)
    anew = {"statistics": memory["statistics"]}
    motion, moved = motion_of(*harbor.shape[1:3], 0, trust=0), np.roll(harbor, 3, 2)
    painter.paint(moved, code, [1.0], 1.0, memory, [motion])
    painter.paint(moved, code, [1.0], 1.0, anew)
    np.testing.assert_array_equal(memory["places"], anew["places"])


def test_slow_motion_adds_up():
    places = np.arange(48, dtype=np.int32).reshape(1, 6, 8)
    found, offsets = places, np.zeros([6, 8, 2], np.float32)
    for _ in range(8):
        found, offsets = steady.carry(found, offsets, motion_of(45, 64, 1))
    np.testing.assert_array_equal(found[:, :-1, :-1], places[:, 1:, 1:])


def test_a_memory_is_of_no_use_where_the_photo_stays(painter, harbor, paintings):
    memory = {}
    code = [painter.encode(paintings[0])]
    np.testing.assert_array_equal(
        painter.paint(harbor, code, [1.0], 0.0, memory), harbor
    )
