"""Sizes from coarse to fine, how many steps each has, and what comes between."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tf_style import images
from tf_style.optimization import pyramid


def plan(size, steps=10, scales=0, time_budget=0.0, is_seen=lambda size: True):
    settings = SimpleNamespace(steps=steps, scales=scales, time_budget=time_budget)
    return pyramid.plan(size, settings, is_seen)


@pytest.mark.parametrize(
    "longest, sizes",
    [(200, [200]), (256, [256]), (300, [150, 300]), (1000, [250, 500, 1000])],
)
def test_the_first_of_as_many_scales_as_are_needed_has_256_pixels_or_less(
    longest, sizes
):
    for size in ((16, longest), (longest, 16)):
        assert [max(scale.size) for scale in plan(size)] == sizes


@pytest.mark.parametrize(
    "steps, scales, expected",
    [
        (3, 1, [((40, 64), 0, 3)]),
        (4, 3, [((10, 16), 0, 2), ((20, 32), 2, 3), ((40, 64), 3, 4)]),
        (2, 3, [((20, 32), 0, 1), ((40, 64), 1, 2)]),  # none goes without an update
        (1, 3, [((40, 64), 0, 1)]),
    ],
)
def test_scales_double_and_share_the_steps(steps, scales, expected):
    found = plan((40, 64), steps, scales)
    assert [(scale.size, scale.start, scale.stop) for scale in found] == expected
    assert [scale.last for scale in found] == [False] * (len(found) - 1) + [True]


def test_what_is_not_seen_is_left_out_but_for_the_last():
    def seen_from(least):
        found = plan((40, 64), scales=3, is_seen=lambda size: min(size) >= least)
        return [scale.size for scale in found]

    assert seen_from(15) == [(20, 32), (40, 64)]
    assert seen_from(99) == [(40, 64)]  # the network itself will say why not


def test_sizes_that_are_equal_stand_once():
    assert [scale.size for scale in plan((1, 2), scales=5)] == [(1, 1), (1, 2)]


def test_progress_counts_pixels():
    coarse, fine = plan((40, 64), steps=10, scales=2)
    # Five steps at a quarter of the pixels, and five at all.
    assert (coarse.before, coarse.after) == (0, pytest.approx(0.2))
    assert (fine.before, fine.after) == (pytest.approx(0.2), 1)
    assert [coarse.progress(i) for i in (0, 5)] == pytest.approx([0, 0.2])
    assert [fine.progress(i) for i in (5, 10)] == pytest.approx([0.2, 1])
    assert (coarse.growth, fine.growth) == (4, 1)


def test_of_a_time_budget_each_scale_has_the_time_for_as_many_steps():
    coarse, fine = plan((40, 64), steps=1, scales=2, time_budget=9.0)
    assert coarse.stop == fine.stop == sys.maxsize
    assert coarse.after == pytest.approx(1 / 5)


@pytest.fixture
def fine():
    """A picture of 64x48 pixels with fine detail."""
    return np.random.default_rng(0).uniform(0.2, 0.8, (1, 64, 48, 3)).astype(np.float32)


def test_a_result_takes_the_detail_that_a_larger_size_shows(fine):
    small = images.resize(fine, 32, 24)
    np.testing.assert_allclose(pyramid.enlarge(small, 64, 48, fine), fine, atol=1e-6)
    darker = pyramid.enlarge(small - 0.1, 64, 48, fine)
    np.testing.assert_allclose(darker, fine - 0.1, atol=1e-6)


def test_a_result_that_is_not_enlarged_is_only_resized(fine):
    for size in ((64, 48), (32, 24)):
        found = pyramid.enlarge(fine, *size, np.zeros_like(fine), repaint=None)
        np.testing.assert_array_equal(found, images.resize(fine, *size))


def test_a_large_result_keeps_its_colours_and_takes_detail_from_being_repainted(
    fine, monkeypatch
):
    monkeypatch.setattr(pyramid, "FAST_SIDE", 32)
    small, seen = images.resize(fine, 32, 24), []

    def repaint(picture):
        seen.append(picture)
        return 0.5 * np.ones_like(picture) + pattern

    rows, columns = np.indices((64, 48))
    pattern = 0.1 * (-1.0) ** (rows + columns)[None, ..., None]
    found = pyramid.enlarge(small, 64, 48, np.zeros_like(fine), repaint)
    np.testing.assert_array_equal(seen, [images.resize(small, 64, 48)])
    blurred = images.resize(images.resize(small, 64, 48), 8, 6)
    np.testing.assert_allclose(
        found, images.resize(blurred, 64, 48) + pattern, atol=0.01
    )


def test_a_result_gets_the_detail_of_the_photo_before_it_is_repainted(
    fine, monkeypatch
):
    monkeypatch.setattr(pyramid, "FAST_SIDE", 64)
    small, seen = images.resize(fine, 16, 12), []
    pyramid.enlarge(
        small, 128, 96, fine, lambda picture: seen.append(picture) or picture
    )
    np.testing.assert_allclose(seen, [images.resize(fine, 128, 96)], atol=1e-6)
