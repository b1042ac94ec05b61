"""Sizes from coarse to fine, and how many steps each has."""

import sys
from types import SimpleNamespace

import pytest

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
