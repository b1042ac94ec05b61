"""Contact sheets: sizes worked out by hand, pictures and captions in their places."""

import numpy as np
import pytest

from tf_style.images import grid

GAP, LINE = 12, 22  # pixels between cells, and of a line of a caption


def _plain(height, width, value=0.2):
    return np.full((1, height, width, 3), value, np.float32)


def _has_ink(region):
    assert region.size
    return bool((region < 1).any())


@pytest.mark.parametrize(
    "rows, size",
    [
        ([[grid.Cell(_plain(30, 200))]], (12 + 30 + 12, 12 + 200 + 12)),
        # Narrow cells are 160 wide.
        ([[grid.Cell(_plain(30, 50))]], (12 + 30 + 12, 12 + 160 + 12)),
        ([[grid.Cell(None)]], (12 + 12, 12 + 160 + 12)),
        ([[grid.Cell(_plain(30, 200), "one")]], (12 + 22 + 30 + 12, 224)),
        ([[grid.Cell(None, "one\ntwo")]], (12 + 2 * 22 + 12, 184)),
        (
            [
                [
                    grid.Cell(_plain(30, 200), "one"),
                    grid.Cell(_plain(40, 50), "a\nb"),
                ],
                [grid.Cell(_plain(10, 20)), grid.Cell(None)],
            ],
            (12 + (2 * 22 + 40) + 12 + 10 + 12, 12 + 200 + 12 + 160 + 12),
        ),
    ],
)
def test_sheet_is_as_large_as_its_cells_and_gaps(rows, size):
    drawn = grid.draw(rows)
    assert (drawn.shape, drawn.dtype) == ((1, *size, 3), np.float32)


def test_pictures_land_in_their_places_unchanged():
    rng = np.random.default_rng(0)
    first, second, third = (
        rng.integers(0, 256, (1, height, width, 3)).astype(np.float32) / 255
        for height, width in ((30, 200), (40, 50), (10, 170))
    )
    drawn = grid.draw(
        [
            [grid.Cell(first), grid.Cell(second, "two\nlines")],
            [grid.Cell(None), grid.Cell(third)],
        ]
    )
    expected = np.ones_like(drawn)
    top, left = GAP + 2 * LINE, GAP + 200 + GAP
    expected[:, top : top + 30, GAP : GAP + 200] = first
    expected[:, top : top + 40, left : left + 50] = second
    below = top + 40 + GAP
    expected[:, below : below + 10, left : left + 170] = third
    # The caption has a place of its own.
    assert _has_ink(drawn[:, GAP:top, left:])
    drawn[:, GAP:top, left : left + 170] = 1
    np.testing.assert_allclose(drawn, expected, atol=1e-6)


def test_each_line_of_a_caption_has_its_own_height():
    drawn = grid.draw([[grid.Cell(_plain(20, 200), "first\n \nthird")]])
    lines = [drawn[:, GAP + n * LINE : GAP + (n + 1) * LINE] for n in range(3)]
    assert [_has_ink(line) for line in lines] == [True, False, True]


@pytest.mark.parametrize("letter", ["m", "i", "漢"])
def test_long_caption_is_cut_to_its_column(letter):
    drawn = grid.draw(
        [[grid.Cell(_plain(20, 200), letter * 300), grid.Cell(_plain(20, 200))]]
    )
    captions = drawn[:, GAP : GAP + LINE]
    # Most of the column is used, and nothing beyond it.
    assert _has_ink(captions[:, :, GAP + 160 : GAP + 200])
    assert not _has_ink(captions[:, :, GAP + 200 :])


def test_cut_caption_shows_its_beginning_and_that_it_was_cut():
    def caption(text, width):
        return grid.draw([[grid.Cell(_plain(5, width), text)]])[:, GAP : GAP + LINE]

    end = GAP + 160
    cut, cut_later = caption("m" * 60, 160), caption("m" * 70, 160)
    np.testing.assert_array_equal(cut, cut_later)
    uncut = [caption("m" * count + "…", 1000) for count in range(1, 60)]
    assert any(
        np.array_equal(cut[:, :, :end], line[:, :, :end])
        and not _has_ink(line[:, :, end:])
        for line in uncut
    )


def test_caption_that_fits_is_not_cut():
    short, wide = (
        grid.draw([[grid.Cell(_plain(5, width), "starry night")]])
        for width in (160, 400)
    )
    np.testing.assert_array_equal(short[:, :34, :172], wide[:, :34, :172])


@pytest.mark.parametrize(
    "size, side, expected",
    [
        ((40, 80), 20, (10, 20)),
        ((80, 40), 20, (20, 10)),
        ((300, 2), 30, (30, 1)),
        ((40, 80), 79, (40, 79)),
    ],
)
def test_thumbnail_shrinks_in_proportion(size, side, expected):
    assert grid.thumbnail(_plain(*size), side).shape == (1, *expected, 3)


@pytest.mark.parametrize("side", [80, 81, 1000])
def test_thumbnail_never_enlarges(side):
    picture = _plain(40, 80)
    assert grid.thumbnail(picture, side) is picture
