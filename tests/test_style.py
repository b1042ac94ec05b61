"""A painting is measured once for each size that photos ask for."""

import numpy as np
import pytest

from tf_style.config import GatysConfig
from tf_style.networks import features
from tf_style.optimization.style import SIZES_KEPT, Style


@pytest.fixture
def measure_at(style):
    """Measures a style beside photos of a width; returns its size, and counts."""
    encoded = Style([style], GatysConfig(style_size=64))
    extract = features.load_backbone("builtin", ("block1_conv1",))
    measured = []

    def look(painting):
        measured.append(painting.shape[2])
        return painting.shape[2]

    def measure_at(width):
        photo = np.zeros((1, 48, width, 3), np.float32)
        content = np.zeros((1, 96, 128, 3), np.float32)
        [found] = encoded.measure(look, ("size",), extract, content, photo)
        return found, len(measured)

    return measure_at


def test_the_style_grows_with_the_photo_and_is_measured_once_a_size(measure_at):
    assert [measure_at(width) for width in (64, 128, 64, 128)] == [
        (32, 1),
        (64, 2),
        (32, 2),
        (64, 2),
    ]


def test_the_sizes_asked_for_last_are_kept(measure_at):
    widths = range(64, 64 + 2 * SIZES_KEPT + 2, 2)  # one more than is kept
    assert [measure_at(width)[1] for width in widths] == [*range(1, SIZES_KEPT + 2)]
    assert measure_at(widths[-1])[1] == SIZES_KEPT + 1
    assert measure_at(widths[1])[1] == SIZES_KEPT + 1
    assert measure_at(widths[0])[1] == SIZES_KEPT + 2
