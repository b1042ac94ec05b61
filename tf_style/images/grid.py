"""Captioned grids of pictures: contact sheets and comparison panels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tf_style import images
from tf_style.images import Pixels

BACKGROUND = "white"
INK = "black"
GAP = 12
FONT_SIZE = 16
LINE_HEIGHT = 22
# Narrower cells have no room for a readable caption.
MIN_CELL_WIDTH = 160


class Cell(NamedTuple):
    """One cell of a grid."""

    picture: np.ndarray | None  # [1, H, W, 3] in [0, 1]; None leaves it empty
    caption: str = ""  # above the picture; lines are cut to its width


def draw(rows: Sequence[Sequence[Cell]]) -> Pixels:
    """Draws rows of cells, all rows equally long, as one picture [1, H, W, 3].

    Pictures keep their size. A column is as wide as its widest picture, a row as high
    as its tallest.
    """
    widths = [max(_width(cell) for cell in column) for column in zip(*rows)]
    lines = [max(_lines(cell) for cell in row) for row in rows]
    heights = [max(_height(cell) for cell in row) for row in rows]
    lefts = np.cumsum([GAP] + [width + GAP for width in widths]).tolist()
    tops = np.cumsum(
        [GAP] + [h + n * LINE_HEIGHT + GAP for h, n in zip(heights, lines)]
    ).tolist()
    canvas = Image.new("RGB", (lefts[-1], tops[-1]), BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(FONT_SIZE)
    for row, top, count in zip(rows, tops, lines):
        for cell, left, width in zip(row, lefts, widths):
            for index, line in enumerate(cell.caption.splitlines()):
                place = (left, top + index * LINE_HEIGHT)
                pen.text(place, _cut(line, font, width), INK, font)
            if cell.picture is not None:
                picture = Image.fromarray(images.to_uint8(cell.picture[0]))
                canvas.paste(picture, (left, top + count * LINE_HEIGHT))
    return images.to_float(np.asarray(canvas))


def thumbnail(picture: Pixels, side: int) -> Pixels:
    """Shrinks a picture so that its longest side is at most `side` pixels."""
    if max(picture.shape[1:3]) <= side:
        return picture
    return images.fit_longest(picture, side)


def _width(cell):
    return max(MIN_CELL_WIDTH, 0 if cell.picture is None else cell.picture.shape[2])


def _height(cell):
    return 0 if cell.picture is None else cell.picture.shape[1]


def _lines(cell):
    return len(cell.caption.splitlines())


def _cut(text, font, width):
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
