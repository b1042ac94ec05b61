"""Cuts arrays of positions into overlapping tiles."""

from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf


class Tile(NamedTuple):
    """A part of a whole, [B, H, W, C]."""

    rows: slice  # its own positions
    columns: slice
    seen_rows: slice  # including the neighbours that they depend on
    seen_columns: slice
    share: float  # size of the whole

    def own(self, whole):
        """Cuts out its own positions."""
        return whole[:, self.rows, self.columns]

    def seen(self, whole):
        """Cuts out the tile with its neighbours."""
        return whole[:, self.seen_rows, self.seen_columns]

    def shrunk(self, factor):
        """Returns the same tile of a whole that is a number of times smaller."""
        *places, share = self
        shrunk = [slice(s.start // factor, s.stop // factor) for s in places]
        return Tile(*shrunk, share)

    @property
    def inside(self):
        """Offset and size of its own positions within the cut-out."""
        return tf.constant(
            [
                self.rows.start - self.seen_rows.start,
                self.columns.start - self.seen_columns.start,
                self.rows.stop - self.rows.start,
                self.columns.stop - self.columns.start,
            ]
        )


def tiles(height: int, width: int, side: int, halo: int) -> Iterator[Tile]:
    """Cuts [B, height, width, C] into tiles of `side` positions, an even number.

    They overlap by `halo` positions on each side, or one more so that pooling pairs the
    same positions as in the whole.
    """
    halo += halo % 2

    def cuts(length):
        # A single last position would disappear in pooling.
        for start in range(0, max(length - 1, 1), side):
            stop = length if length - start <= side + 1 else start + side
            seen = slice(max(start - halo, 0), min(stop + halo, length))
            yield slice(start, stop), seen

    for rows, seen_rows in cuts(height):
        for columns, seen_columns in cuts(width):
            own = (rows.stop - rows.start) * (columns.stop - columns.start)
            share = own / (height * width)
            yield Tile(rows, columns, seen_rows, seen_columns, share)
