"""Draws random pictures, with more variety than any folder of paintings.

    python training/drawings.py drawings.png  # forty of them

Every drawing has a palette, a technique and a scale, all from one random generator, so
a seed identifies a picture.
"""

import colorsys
import math
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def draw(rng, side):
    """Draws one picture.

    Args:
        rng: a `numpy.random.Generator`.
        side: height and width in pixels.

    Returns:
        uint8 [side, side, 3].
    """
    picture = _technique(rng)(rng, side, _palette(rng))
    if rng.random() < 0.35:  # two techniques meet in one picture
        other = _technique(rng)(rng, side, _palette(rng))
        mask = _noise(rng, side, rng.uniform(1.5, 3)) > rng.normal() * 0.7
        picture = Image.composite(other, picture, Image.fromarray(mask))
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 2)))
    return _on_paper(rng, np.asarray(picture, np.float32))


def _technique(rng):
    kinds = (_strokes, _strokes, _hatching, _mosaic, _clouds, _pattern, _shapes, _grid)
    return kinds[rng.integers(len(kinds))]


def _palette(rng):
    """Takes three to eight colours that go together, as rows of 0..255."""
    count = rng.integers(3, 9)
    spread = rng.choice([0.03, 0.12, 0.5])
    hues = rng.random() + spread * rng.normal(size=count)
    if rng.random() < 0.4:  # complementary
        hues += 0.5 * (rng.random(count) < 0.35)
    saturations = np.clip(rng.random() + 0.25 * rng.normal(size=count), 0, 1)
    values = np.clip(rng.uniform(0.2, 0.9) + 0.35 * rng.normal(size=count), 0.02, 1)
    colours = map(colorsys.hsv_to_rgb, hues % 1, saturations, values)
    return np.float32(list(colours)) * 255


def _colour(rng, palette, spread=12):
    colour = palette[rng.integers(len(palette))] + rng.normal(size=3) * spread
    return tuple(np.clip(colour, 0, 255).astype(int).tolist())


def _noise(rng, side, power, stretch=(1.0, 1.0)):
    """Makes fractal noise of unit variance; a larger power is smoother."""
    rows = np.fft.fftfreq(side)[:, None] * stretch[0]
    columns = np.fft.rfftfreq(side)[None] * stretch[1]
    spectrum = (rows**2 + columns**2 + (1 / side) ** 2) ** (-power / 2)
    white = np.fft.rfft2(rng.standard_normal((side, side)))
    noise = np.fft.irfft2(white * spectrum, (side, side))
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def _clouds(rng, side, palette):
    """Washes: noise looked up in the palette, smoothly or in bands."""
    stretch = tuple(np.exp(rng.normal(size=2) * rng.choice([0, 0.9])))
    level = _noise(rng, side, rng.uniform(0.8, 3), stretch)
    level = (level * rng.uniform(0.5, 2.5)) % (len(palette) - 1)
    if rng.random() < 0.4:
        level = np.floor(level)
    stops = np.arange(len(palette))
    channels = [np.interp(level, stops, palette[:, c]) for c in range(3)]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def _strokes(rng, side, palette):
    """Brush strokes along a field of directions, coarse ones under fine ones."""
    under = _clouds(rng, side, palette)
    colours = np.asarray(under)
    pen = ImageDraw.Draw(under)
    field = _noise(rng, side, rng.uniform(2, 3.5)) * rng.uniform(0.2, 3)
    field += rng.uniform(0, 2 * math.pi)
    width = side * np.exp(rng.uniform(math.log(0.006), math.log(0.06)))
    length = width * rng.uniform(1, 9)
    jitter = rng.uniform(4, 45)
    for _layer in range(3):
        for y, x in rng.integers(0, side, (int(250 * rng.uniform(0.5, 2)), 2)):
            colour = colours[y, x] + rng.normal() * jitter + rng.normal(size=3) * 8
            points = [(x, y)]
            for _ in range(5):
                column, row = np.clip(np.int32(points[-1]), 0, side - 1)
                angle = field[row, column]
                points.append(
                    (
                        points[-1][0] + length / 5 * math.cos(angle),
                        points[-1][1] + length / 5 * math.sin(angle),
                    )
                )
            fill = tuple(np.clip(colour, 0, 255).astype(int).tolist())
            pen.line(points, fill, max(1, round(width * rng.uniform(0.5, 1.2))))
        width, length = width * 0.6, length * 0.7
    return under


def _hatching(rng, side, palette):
    """Lines of ink whose density follows a tone, in one to three directions."""
    paper, ink = palette[rng.permutation(len(palette))[:2]]
    tone = _noise(rng, side, 2.5) * 0.35 + 0.5
    y, x = np.mgrid[:side, :side]
    period = side * np.exp(rng.uniform(math.log(0.008), math.log(0.04)))
    wobble = _noise(rng, side, 2.2) * period * rng.uniform(0, 2)
    covered = np.zeros((side, side), np.float32)
    for _ in range(rng.integers(1, 4)):
        angle = rng.uniform(0, math.pi)
        phase = (x * math.cos(angle) + y * math.sin(angle) + wobble) / period
        line = np.abs(phase % 1 * 2 - 1)
        covered = np.maximum(covered, np.clip((tone - line) * period / 2 + 0.5, 0, 1))
    colour = paper + (ink - paper) * covered[..., None]
    return Image.fromarray(colour.astype(np.uint8))


def _mosaic(rng, side, palette):
    """Voronoi cells with joints, as tiles, glass or cracked paint."""
    count = int(np.exp(rng.uniform(math.log(15), math.log(350))))
    y, x = np.mgrid[: side // 2, : side // 2].astype(np.float32)
    centres = rng.random((count, 2)) * side / 2
    first, second = np.full((2, *x.shape), 1e9, np.float32)
    cell = np.zeros(x.shape, int)
    for index, (cy, cx) in enumerate(centres):
        away = np.hypot(x - cx, y - cy)
        second = np.minimum(second, np.maximum(away, first))
        cell = np.where(away < first, index, cell)
        first = np.minimum(first, away)
    tints = palette[rng.integers(0, len(palette), count)]
    tints = tints + rng.normal(size=(count, 3)) * 15
    joint = rng.uniform(0, 0.12) * side / math.sqrt(count)
    edge = np.clip((second - first - joint) / 1.5, 0, 1)[..., None]
    colour = tints[cell] * edge + palette[0] * rng.choice([0.1, 1]) * (1 - edge)
    picture = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
    return picture.resize((side, side), Image.Resampling.BICUBIC)


def _pattern(rng, side, palette):
    """Stripes, checks, dots or rings, bent by noise."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    period = side * np.exp(rng.uniform(math.log(0.015), math.log(0.2)))
    bend = rng.uniform(0, 1.5) * period
    x, y = x + _noise(rng, side, 2.5) * bend, y + _noise(rng, side, 2.5) * bend
    angle = rng.uniform(0, math.pi)
    u = (x * math.cos(angle) + y * math.sin(angle)) / period
    v = (y * math.cos(angle) - x * math.sin(angle)) / period
    level = [
        lambda: np.sin(u * 2 * math.pi),
        lambda: np.sin(u * 2 * math.pi) * np.sin(v * 2 * math.pi),
        lambda: 0.35 - np.hypot(u % 1 - 0.5, v % 1 - 0.5),
        lambda: np.sin(np.hypot(u, v) * 2 * math.pi),
    ][rng.integers(4)]()
    if rng.random() < 0.6:
        level = np.clip(level * period, -1, 1)
    channels = [
        np.interp(level, np.linspace(-1, 1, len(palette)), palette[:, c])
        for c in range(3)
    ]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def _shapes(rng, side, palette):
    """Cut-outs: polygons, discs and arcs laid over each other, with or without ink."""
    picture = Image.new("RGB", (side, side), _colour(rng, palette))
    pen = ImageDraw.Draw(picture)
    outline = _colour(rng, palette * 0.2) if rng.random() < 0.5 else None
    thick = max(1, round(side * rng.uniform(0.003, 0.015)))
    for _ in range(int(np.exp(rng.uniform(math.log(8), math.log(120))))):
        x, y = rng.random(2) * side
        size = side * np.exp(rng.uniform(math.log(0.02), math.log(0.3)))
        fill = _colour(rng, palette)
        if rng.random() < 0.35:
            box = (x - size, y - size, x + size, y + size)
            pen.ellipse(box, fill, outline, thick)
        else:
            turns = np.sort(rng.random(rng.integers(3, 8))) * 2 * math.pi
            reach = size * rng.uniform(0.5, 1.4, len(turns))
            points = np.stack([x + reach * np.cos(turns), y + reach * np.sin(turns)], 1)
            pen.polygon(points.ravel().tolist(), fill, outline, thick)
    return picture


def _grid(rng, side, palette):
    """Rectangles between bars, split at random."""
    picture = Image.new("RGB", (side, side))
    pen = ImageDraw.Draw(picture)
    bar = round(side * rng.choice([0, rng.uniform(0.004, 0.03)]))
    joint = _colour(rng, palette * 0.3)
    boxes, least = [(0, 0, side, side)], side * rng.uniform(0.04, 0.25)
    while boxes:
        left, top, right, bottom = boxes.pop()
        wide = right - left > bottom - top
        room = max(right - left, bottom - top)
        if room < 2 * least or (room < 0.4 * side and rng.random() < 0.2):
            pen.rectangle((left, top, right, bottom), _colour(rng, palette), joint, bar)
            continue
        cut = (left if wide else top) + rng.uniform(0.3, 0.7) * room
        if wide:
            boxes += [(left, top, cut, bottom), (cut, top, right, bottom)]
        else:
            boxes += [(left, top, right, cut), (left, cut, right, bottom)]
    return picture


def _on_paper(rng, picture):
    """Adds the grain and relief of paper, canvas or paint."""
    side = picture.shape[0]
    grain = _noise(rng, side, rng.uniform(0, 1.5)) * rng.choice([0, 2, 10])
    height = picture.mean(-1) + 3 * grain
    slope = np.gradient(height)[0] + np.gradient(height)[1]
    lit = np.clip(1 + slope * rng.choice([0, 0.003, 0.008]), 0.6, 1.5)
    return np.clip((picture + grain[..., None]) * lit[..., None], 0, 255).astype("u1")


def main():
    """Draws a sheet of forty pictures."""
    sheet = Image.new("RGB", (8 * 160, 5 * 160))
    for index in range(40):
        picture = Image.fromarray(draw(np.random.default_rng([1, index]), 384))
        place = (index % 8 * 160, index // 8 * 160)
        sheet.paste(picture.resize((160, 160), Image.Resampling.LANCZOS), place)
    sheet.save(sys.argv[1])


if __name__ == "__main__":
    main()
