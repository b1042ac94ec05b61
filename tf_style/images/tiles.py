"""Cutting arrays of positions into tiles that see their neighbours."""

from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf


class Tile(NamedTuple):
    """A part of a whole, [B, H, W, C]."""

    rows: slice  # positions that are its own
    columns: slice
    seen_rows: slice  # with the neighbours that those depend on
    seen_columns: slice
    share: float  # of all positions

    def own(self, whole):
        """Cuts out its own positions."""
        return whole[:, self.rows, self.columns]

    def seen(self, whole):
        """Cuts out all that it sees."""
        return whole[:, self.seen_rows, self.seen_columns]

    def shrunk(self, factor):
        """Returns the same part of a whole that is so many times smaller."""
        *places, share = self
        shrunk = [slice(s.start // factor, s.stop // factor) for s in places]
        return Tile(*shrunk, share)

    @property
    def inside(self):
        """Where its own positions begin in what it sees, and how many there are."""
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

    They see `halo` positions to each side or one more, so that pooling pairs the same
    positions as in the whole.
    """
    halo += halo % 2

    def cuts(length):
        # A last position of its own would have nothing left after pooling.
        for start in range(0, max(length - 1, 1), side):
            stop = length if length - start <= side + 1 else start + side
            seen = slice(max(start - halo, 0), min(stop + halo, length))
            yield slice(start, stop), seen

    for rows, seen_rows in cuts(height):
        for columns, seen_columns in cuts(width):
            own = (rows.stop - rows.start) * (columns.stop - columns.start)
            share = own / (height * width)
            yield Tile(rows, columns, seen_rows, seen_columns, share)
