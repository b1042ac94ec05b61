"""Large pictures of the built-in stylizer: tiles paint what one pass does."""

import numpy as np
import pytest

from tf_style import images
from tf_style.fast.builtin import large, stylizer
from tf_style.system import hardware


@pytest.fixture(scope="module")
def model():
    """The stylizer in float32, where tiles and one pass differ by rounding alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "fastest_dtype", lambda: "float32")
        yield stylizer.Stylizer()


@pytest.fixture(scope="module")
def code(model):
    """The code of spots of all colours, no two places alike."""
    spots = np.random.default_rng(5).random((1, 12, 16, 3), np.float32)
    return model.encode(images.resize(spots, 120, 160))


@pytest.fixture
def photo():
    """A photo [1, 205, 411, 3] that is dark on the left and coarse on the right."""
    noise = np.random.default_rng(3).random((1, 24, 48, 3), np.float32)
    photo = images.resize(noise, 205, 411)
    return photo * np.linspace(0.2, 1, 411, dtype=np.float32)[:, None]


@pytest.mark.parametrize("strength", [pytest.param(1.0, marks=pytest.mark.slow), 0.5])
def test_tiles_paint_what_one_pass_does(model, code, photo, strength, monkeypatch):
    whole = model.paint(photo, [code], [1], strength)
    monkeypatch.setattr(stylizer, "MOST_PIXELS", 0)
    monkeypatch.setattr(large, "SIDE", 64)  # 28 tiles
    monkeypatch.setattr(large, "SAMPLE_SIDE", 512)  # the whole
    tiled = model.paint(photo, [code], [1], strength)
    assert tiled.shape == whole.shape
    np.testing.assert_allclose(tiled, whole, atol=5e-3)
    # A tile by itself would have other statistics.
    alone = model.paint(photo[:, :, :64], [code], [1], strength)
    assert np.abs(alone - whole[:, :, :64]).mean() > 0.02


def test_the_sample_lies_evenly_over_the_picture():
    sample = list(large.sample(3000, 4000))
    # Cells of 1000x750, tiles in their middle, at multiples of 8.
    assert [piece.rows.start for piece in sample[::4]] == [240, 992, 1744, 2496]
    assert [piece.columns.start for piece in sample[:4]] == [368, 1368, 2368, 3368]
    sides = {
        (p.rows.stop - p.rows.start, p.columns.stop - p.columns.start) for p in sample
    }
    assert len(sample) == 16 and sides == {(256, 256)}


def test_the_sample_of_a_small_picture_is_the_whole():
    [piece] = large.sample(200, 248)
    assert (piece.rows, piece.columns) == (slice(0, 200), slice(0, 248))
