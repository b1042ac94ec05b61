"""Cutting what a block of the backbone sees into pieces that see their neighbours."""

from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf


class Piece(NamedTuple):
    """A part of what a block sees, [B, H, W, C]."""

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
        return Piece(*shrunk, share)

    def passed_on(self, whole):
        """Cuts out what becomes of its own positions after pooling."""
        return self.shrunk(2).own(whole)

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


def pieces(height, width, side, reach) -> Iterator[Piece]:
    """Cuts [B, height, width, C] into pieces of `side` positions, an even number.

    They see `reach` positions to each side or one more, so that pooling pairs the same
    positions as in the whole.
    """
    reach += reach % 2

    def cuts(length):
        # A last position of its own would have nothing left after pooling.
        for start in range(0, max(length - 1, 1), side):
            stop = length if length - start <= side + 1 else start + side
            seen = slice(max(start - reach, 0), min(stop + reach, length))
            yield slice(start, stop), seen

    for rows, seen_rows in cuts(height):
        for columns, seen_columns in cuts(width):
            own = (rows.stop - rows.start) * (columns.stop - columns.start)
            share = own / (height * width)
            yield Piece(rows, columns, seen_rows, seen_columns, share)
