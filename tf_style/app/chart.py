"""The losses of a slow method as a small SVG, drawn anew every second."""

import html
import itertools
import math
from typing import NamedTuple

from tf_style.config import LOSS_COLORS

# Of the drawing, in CSS pixels.
WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 26, 26
# Powers of ten shown below the greatest loss: a run that starts from the photo itself
# has next to no content loss at first.
DECADES = 4
# More points could not be told apart.
MAX_POINTS = 150


class Point(NamedTuple):
    """One step."""

    index: int
    size: tuple[int, int]  # height and width that it worked at
    losses: dict[str, float]


def draw(points, steps):
    """Draws losses over steps, on a logarithmic scale.

    Args:
        points: a list of `Point`.
        steps: how many there will be.

    Returns:
        SVG; empty as long as there is nothing to draw.
    """
    # Not every method has all of them.
    colours = {
        name: colour
        for name, colour in LOSS_COLORS.items()
        if points and name in points[0].losses
    }
    values = [point.losses[name] for point in points for name in colours]
    values = [value for value in values if 0 < value < math.inf]
    if len(points) < 2 or not values:
        return ""
    high = math.ceil(math.log10(max(values)))
    low = max(math.floor(math.log10(min(values))), high - DECADES)

    def x(index):
        return LEFT + (WIDTH - LEFT - RIGHT) * index / steps

    def y(value):
        share = (math.log10(max(value, 10.0**low)) - low) / max(high - low, 1)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    shapes = [_text(LEFT, 14, "Loss"), _text(LEFT, HEIGHT - 8, "step 0")]
    shapes += [_text(WIDTH - RIGHT, HEIGHT - 8, f"{steps}", "end")]
    for power in range(low, high + 1):
        shapes += [_line(LEFT, y(10.0**power), WIDTH - RIGHT, y(10.0**power))]
        shapes += [_text(LEFT - 6, y(10.0**power) + 4, _power(power), "end")]
    for before, point in itertools.pairwise(points):
        if point.size != before.size:
            place = x(point.index)
            shapes += [_line(place, TOP, place, HEIGHT - BOTTOM, "4 3")]
            shapes += [_text(place + 4, TOP + 10, f"{max(point.size)} px")]
    for number, (name, colour) in enumerate(colours.items()):
        shapes += _curve(points, name, colour, x, y)
        shapes += [_text(LEFT + 50 + 50 * number, 14, name, colour=colour)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="losses by step">{"".join(shapes)}</svg>'
    )


def _curve(points, name, colour, x, y):
    """Yields a polyline per size, as losses of different sizes do not compare."""
    every = math.ceil(len(points) / MAX_POINTS)
    shown = [*points[::every], *points[-1:]]
    for size in dict.fromkeys(point.size for point in shown):
        places = " ".join(
            f"{x(point.index):.1f},{y(point.losses[name]):.1f}"
            for point in shown
            if point.size == size and math.isfinite(point.losses[name])
        )
        yield (
            f'<polyline points="{places}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>'
        )


def _power(exponent):
    """Returns a power of ten as people write it."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _line(x1, y1, x2, y2, dashes=""):
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="currentColor" stroke-opacity="0.2" stroke-dasharray="{dashes}"/>'
    )


def _text(x, y, text, anchor="start", colour="currentColor"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
        f'font-size="11">{html.escape(text)}</text>'
    )
