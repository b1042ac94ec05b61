"""The neighbour branch: who finds what, and what is copied from there."""

import numpy as np
import pytest
import tensorflow as tf

from tf_style import images
from tf_style.fast.builtin import encoder, neighbours, network
from tf_style.networks.second_moments import CHANNELS


@pytest.fixture(scope="module")
def networks():
    return network.Network("float32")


def spots(seed, height, width):
    """A picture of which no two places are alike."""
    shape = (1, -(-height // 8), -(-width // 8), 3)
    noise = np.random.default_rng(seed).random(shape, np.float32)
    return tf.constant(images.resize(noise, height, width))


def measured(networks, picture):
    return encoder.measure(networks.encoder, picture)


def test_a_painting_finds_itself_place_by_place(networks):
    picture = spots(1, 64, 96)
    (found,) = networks.find(measured(networks, picture), [networks.look(picture)])
    assert found.places.numpy().ravel().tolist() == list(range(8 * 12))
    np.testing.assert_allclose(found.likeness, 1, atol=neighbours.DISTANCE / 2)


def test_what_was_moved_by_places_is_found_where_it_was(networks):
    painting = spots(2, 64, 128)
    (found,) = networks.find(
        measured(networks, painting[:, :, 32:96]), [networks.look(painting)]
    )
    inside = found.places[0, 2:-2, 2:-2].numpy()  # The rim sees something else.
    rows, columns = np.mgrid[2:6, 2:6]
    assert inside.tolist() == (rows * 16 + columns + 4).tolist()


def test_pieces_find_what_is_found_at_once(networks, monkeypatch):
    own = measured(networks, spots(3, 64, 64))
    painting = networks.look(spots(4, 48, 64))
    (whole,) = networks.find(own, [painting])
    monkeypatch.setattr(network, "PRODUCTS", 5 * 48)  # 13 pieces
    (pieces,) = networks.find(own, [painting])
    np.testing.assert_array_equal(pieces.places, whole.places)
    np.testing.assert_allclose(pieces.likeness, whole.likeness, atol=1e-5)


def test_a_part_of_a_photo_finds_what_the_whole_does(networks):
    own = measured(networks, spots(3, 96, 96))
    painting = networks.look(spots(4, 48, 64))
    (whole,) = networks.find(own, [painting])
    cut = [x[:, 4 * s : 11 * s, 3 * s : 10 * s] for x, s in zip(own, (8, 4, 2, 1))]
    (part,) = networks.find(cut, [painting], part=(4, 3, 12, 12))
    # But at its rim, where patches are cut, and beside that.
    np.testing.assert_array_equal(part.places[:, 2:-2, 2:-2], whole.places[:, 6:9, 5:8])


def test_places_between_take_the_best_of_what_those_beside_them_found(networks):
    own = measured(networks, spots(3, 72, 96))
    painting = networks.look(spots(4, 48, 64))
    (found,) = networks.find(own, [painting])
    _, *offered = neighbours.offers(found.places, painting.beside)
    rated = [networks.rate(own, [painting], places)[..., 0] for places in offered]
    between = np.indices((9, 12)).sum(0) % 2 == 1
    between[[0, -1]] = between[:, [0, -1]] = False  # Some have no place beside them.
    expected = np.take_along_axis(np.array(offered), np.argmax(rated, 0)[None], 0)[0]
    np.testing.assert_array_equal(
        found.places.numpy()[:, between], expected[:, between]
    )
    np.testing.assert_allclose(
        found.likeness[0, ..., 0][between], np.max(rated, 0)[0][between], atol=1e-5
    )


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_each_painting_gets_its_share_of_the_places(networks, share):
    own = measured(networks, spots(5, 128, 128))
    paintings = [networks.look(spots(seed, 64, 64)) for seed in (6, 7)]
    found = networks.find(own, paintings)
    chosen = network.choose(found, paintings, [share, 1 - share])
    assert abs(np.mean(chosen.places < 64) - share) < 0.06
    # Each place has what one of the two found for it.
    first = chosen.places == found[0].places
    second = chosen.places == found[1].places + 64
    assert np.all(first | second)


def test_what_was_found_is_rated_as_when_it_was_found(networks):
    own = measured(networks, spots(5, 64, 64))
    paintings = [networks.look(spots(seed, 48, 64)) for seed in (6, 7)]
    chosen = network.choose(networks.find(own, paintings), paintings, [0.5, 0.5])
    rated = networks.rate(own, paintings, chosen.places)
    np.testing.assert_allclose(rated, chosen.likeness, atol=1e-5)
    none = networks.rate(own, paintings, tf.fill(chosen.places.shape, -1))
    assert np.all(none.numpy() == -1)


def test_places_beside_a_place_end_at_the_rim():
    beside = np.array(neighbours.beside(3, 4))
    # Itself, above, below, to the left, to the right.
    assert beside[0].tolist() == [0, 0, 4, 0, 1]
    assert beside[6].tolist() == [6, 2, 10, 5, 7]
    assert beside[11].tolist() == [11, 7, 11, 10, 11]


@pytest.fixture
def copy():
    """The layer with its gates open, to which places beside a place say as much."""
    copy = neighbours.Copy()
    copy.build()
    copy.set_weights([np.full_like(w, 50) for w in copy.get_weights()])
    return copy


def draw_values(height, width):
    """Colours and activations of so many places."""
    return [
        np.random.default_rng(c).random((1, height * side, width * side, c), np.float32)
        for c, side in zip(CHANNELS, neighbours.SIDES)
    ]


def test_with_open_gates_a_painting_is_copied_whole(copy):
    """Places beside a place agree with it where all is copied from one piece."""
    values = draw_values(4, 6)
    places = np.arange(24, dtype=np.int32).reshape(1, 4, 6)
    nothing = [np.zeros_like(value) for value in values]
    cut, beside = neighbours.cut(values), neighbours.beside(4, 6)
    for copied, value in zip(
        copy(nothing, cut, beside, places, np.ones((1, 4, 6, 1), "f")), values
    ):
        np.testing.assert_allclose(copied, value, atol=1e-5)
    for closed, value in zip(
        copy(
            values,
            cut,
            beside,
            places[:, ::-1],
            np.ones((1, 4, 6, 1), "f"),
            0 * nothing[3][..., :1],
        ),
        values,
    ):
        np.testing.assert_allclose(closed, value, atol=1e-5)


def test_what_would_be_repeated_is_copied_as_its_mean(copy):
    """Otherwise even areas get a lattice of 8 pixels."""
    values = draw_values(2, 2)
    nothing = [np.zeros_like(value) for value in draw_values(3, 3)]
    places = np.full((1, 3, 3), 2, np.int32)
    like = np.ones((1, 3, 3, 1), np.float32)
    cut, beside = neighbours.cut(values), neighbours.beside(2, 2)
    copied, *_ = copy(nothing, cut, beside, places, like)
    tiles = np.array(copied).reshape(1, 3, 8, 3, 8, 3)
    assert tiles.std((2, 4)).max() < 1e-5
