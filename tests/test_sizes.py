"""One look at all sizes: the same settings give the same picture, only finer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tf_style import images
from tf_style.config import GatysConfig
from tf_style.networks import features, losses
from tf_style.optimization import gatys

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")


@pytest.fixture(scope="module")
def paint():
    """Paints the harbour in swirls at a size, and brings it to 256 pixels."""
    content = images.load_image(EXAMPLES / "harbor.jpg")
    style = images.load_image(EXAMPLES / "swirls.jpg")
    config = GatysConfig(backbone="builtin", steps=30)

    def paint(longest, **changes):
        photo = images.resize(content, *images.fit(content.shape[1:3], longest))
        picture = gatys.stylize(photo, style, dataclasses.replace(config, **changes))
        return images.resize(picture, *images.fit(content.shape[1:3], 256))

    return paint


def distance(one, other):
    """Mean over layers of the relative distance of Gram matrices."""
    extract = features.load_backbone("builtin", LAYERS)
    pairs = [
        [losses.gram_matrix(picture[layer]).numpy() for layer in LAYERS]
        for picture in (extract(one), extract(other))
    ]
    return np.mean([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(*pairs)])


@pytest.mark.slow
def test_pictures_of_256_and_512_pixels_look_alike(paint):
    small, middle = map(paint, (256, 512))
    assert distance(small, middle) < 0.2  # Measured: 0.12.
    # Strokes of a quarter of the size, on the other hand: 0.68.
    assert distance(paint(512, style_size=128), small) > 0.5


@pytest.mark.slow
def test_pictures_of_512_and_1024_pixels_look_alike(paint):
    small, middle, large = map(paint, (256, 512, 1024))
    # Measured: 0.05 and 0.14.
    assert distance(middle, large) < 0.15
    assert distance(small, large) < 0.25
    # Strokes of a quarter of the size, on the other hand: 0.63.
    assert distance(paint(1024, style_size=256), middle) > 0.5
