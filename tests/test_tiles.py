"""Tiles cover the whole, and see their neighbours."""

import numpy as np
import pytest

from tf_style.images import tiles


@pytest.mark.parametrize(
    "height, width, side, halo",
    [(64, 64, 32, 2), (65, 33, 32, 2), (66, 97, 32, 3), (1, 100, 32, 4), (7, 5, 32, 4)],
)
def test_tiles_share_all_positions_and_see_their_neighbours(height, width, side, halo):
    count = np.zeros((1, height, width, 1))
    found = list(tiles.tiles(height, width, side, halo))
    for tile in found:
        tile.own(count)[:] += 1
        for own, seen, length in (
            (tile.rows, tile.seen_rows, height),
            (tile.columns, tile.seen_columns, width),
        ):
            assert own.start % 2 == seen.start % 2 == 0  # as pooling pairs them
            assert own.stop - own.start <= side + 1
            assert seen.start == 0 or own.start - seen.start >= halo
            assert seen.stop == length or seen.stop - own.stop >= halo
    np.testing.assert_array_equal(count, 1)
    assert sum(tile.share for tile in found) == pytest.approx(1)
    assert (len(found) == 1) == (max(height, width) <= side + 1)


def test_pooled_tiles_share_all_pooled_positions():
    count = np.zeros((1, 32, 33, 1))
    for tile in tiles.tiles(65, 66, 32, 2):
        tile.shrunk(2).own(count)[:] += 1
    np.testing.assert_array_equal(count, 1)
