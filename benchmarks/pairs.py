"""Loads pairs of photos and paintings, and networks that measure the results.

A folder of pairs contains `content` and `style`. A folder of networks, DATA, contains
`metrics.py` with `score(content, style, picture)`, a style and a content distance; and
`patches.py` with `distance(style, picture)`, rows of fidelity and coverage, and
`structure(content, picture)`; all by networks that the package does not ship.
"""

import importlib
import sys

import numpy as np
import tensorflow as tf

from tf_style import images

LONGEST_SIDE = 512
# So that no model pads, and all are measured on the same pixels.
MULTIPLE_OF = 16


def paths(folder):
    """Yields paths: every content with two styles."""
    contents, styles = (sorted((folder / k).iterdir()) for k in ("content", "style"))
    for shift in (0, 7):
        for index in range(min(len(contents), len(styles))):
            yield contents[index], styles[(index + shift) % len(styles)]


def read(content, style):
    """Reads a pair; returns it, and the style at the photo's size to measure it at."""
    content, style = images.load_image(content), images.load_image(style)
    height, width = images.fit(content.shape[1:3], LONGEST_SIDE)
    content = images.resize(content, height, width)
    content = content[:, : height // MULTIPLE_OF * MULTIPLE_OF]
    content = content[:, :, : width // MULTIPLE_OF * MULTIPLE_OF]
    longest = max(content.shape[1:3])
    target = images.resize(style, *images.fit(style.shape[1:3], longest))
    return content, style, target


class Networks:
    """The networks of a folder."""

    def __init__(self, data):
        sys.path.insert(0, str(data.resolve()))
        self._metrics = importlib.import_module("metrics")
        self._patches = importlib.import_module("patches")

    def patches(self, content, style, picture):
        """Returns fidelity, coverage and structure, of [1, H, W, 3] each."""
        content, style, picture = map(tf.constant, (content, style, picture))
        fidelity, coverage = self._patches.distance(style, picture).mean(0)
        return fidelity, coverage, self._patches.structure(content, picture)

    def score(self, content, style, picture):
        """Returns the style and the content distance."""
        return self._metrics.score(*map(tf.constant, (content, style, picture)))


def print_table(heads, rows):
    """Prints the means of rows of numbers, {name: one row a pair}, as Markdown."""
    print(f"| | {' | '.join(heads)} |\n|{' --- |' * (len(heads) + 1)}")
    for name, found in rows.items():
        print(f"| {name} | {' | '.join(f'{x:.4f}' for x in np.mean(found, 0))} |")
