"""The loop of the slow methods, on an objective that knows nothing of networks."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tf_style import images
from tf_style.optimization import engine, optimizers, pyramid
from tf_style.system import stop

SIZE = 12, 20
OPTIMIZERS = {
    "lbfgs": optimizers.LBFGS(0.1),
    "adam": optimizers.Adam(0.1, 0.9, 1e-8),
}


class Quadratic:
    """How far a picture is from another, as some pixels see it more than others.

    Args:
        spoiled: tells of a measurement, counted from 1, whether to make it infinite.
    """

    def __init__(self, spoiled=lambda number: False):
        self._spoiled = spoiled
        self._count = itertools.count(1)

    def measure(self, image, target):
        return self.differentiate(image, target)[0]

    def differentiate(self, image, target):
        weights = np.geomspace(1, 9, target.size).reshape(target.shape)
        away = weights * (image - target)
        loss = np.inf if self._spoiled(next(self._count)) else np.sum(away**2) / 2
        return {"away": loss, "total": loss}, tf.constant(weights * away, tf.float32)


@pytest.fixture
def target():
    return np.random.default_rng(1).random((1, *SIZE, 3), np.float32)


@pytest.fixture
def descend(target):
    """Runs from grey towards `target`; returns a generator of steps."""

    def descend(
        steps=8, scales=2, optimizer="lbfgs", objective=None, token=None, state=None
    ):
        budget = token.budget if isinstance(token, Token) else 0
        settings = SimpleNamespace(steps=steps, scales=scales, time_budget=budget)
        planned = pyramid.plan(SIZE, settings, lambda size: True)
        optimizer, objective = OPTIMIZERS[optimizer], objective or Quadratic()
        grey = np.full((1, *planned[0].size, 3), 0.5, np.float32)
        return engine.optimize(
            state or engine.State(0, grey, optimizer.rate),
            planned,
            lambda size: (objective, lambda _: images.resize(target, *size)),
            optimizer,
            token or stop.StopToken(),
        )

    return descend


def totals(steps):
    return [step.losses["total"] for step in steps]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_comes_to_the_target(descend, target, optimizer):
    *_, last = descend(steps=120, optimizer=optimizer)
    np.testing.assert_allclose(last.best, target, atol=0.02)


@pytest.mark.parametrize(
    "steps, scales, sizes",
    [
        (3, 1, [(12, 20)]),
        (4, 3, [(3, 5), (6, 10), (12, 20)]),
        (1, 3, [(12, 20)]),  # no scale goes without an update
    ],
)
def test_updates_are_counted_over_scales_that_double(descend, steps, scales, sizes):
    found = list(descend(steps, scales))
    assert [step.index for step in found] == list(range(steps + 1))
    assert list(dict.fromkeys(step.size for step in found)) == sizes
    assert all(step.image.shape == (1, *step.size, 3) for step in found)
    assert found[0].progress >= 0 and found[-1].progress == 1
    assert totals([found[0]]) == [found[0].best_losses["total"]]


def test_best_is_the_picture_of_least_loss_so_far_at_its_scale(descend):
    steps = list(descend(steps=16, optimizer="adam"))
    assert any(np.diff(totals(steps)) > 0)  # else best would just be the last
    for count, step in enumerate(steps, start=1):
        here = [other for other in steps[:count] if other.size == step.size]
        best = min(here, key=lambda other: other.losses["total"])
        assert step.best_losses == best.losses
        np.testing.assert_array_equal(step.best, best.image)


def test_each_scale_starts_from_the_best_picture_of_the_one_before(descend):
    coarse, fine = [], []
    for step in descend(steps=17, optimizer="adam"):
        (fine if step.size == SIZE else coarse).append(step)
    expected = images.resize(coarse[-1].best.numpy(), *SIZE)
    np.testing.assert_array_equal(fine[0].image, expected)


def test_after_an_infinite_loss_it_goes_back_and_halves_the_rate(descend):
    objective = Quadratic(lambda number: number == 3)
    steps = list(descend(4, 1, "adam", objective))
    assert [step.index for step in steps] == [0, 1, 2, 3, 4]
    assert [bool(step.note) for step in steps] == [False, False, True, False, False]
    assert "not finite at step 2" in steps[2].note
    assert "halved the rate to 0.05" in steps[2].note
    np.testing.assert_array_equal(steps[3].image, steps[1].image)
    moved = np.abs(steps[4].image - steps[3].image)
    # As Adam's first step does: it starts afresh.
    assert np.median(moved) == pytest.approx(0.05, rel=0.01)
    assert steps[4].best_losses["total"] < steps[1].losses["total"]


def test_a_scale_begins_with_the_full_rate_again(descend):
    objective = Quadratic(lambda number: number == 2)
    rates, notes = [], []
    for step in descend(4, 2, "adam", objective):
        rates.append(step.state().rate)
        notes.append(bool(step.note))
    assert rates == [0.1, 0.05, 0.1, 0.1, 0.1]
    assert notes == [False, True, False, False, False]


def test_a_note_gives_the_steps_own_number_at_every_scale(descend):
    # The last but one, at the larger of two scales.
    steps = list(descend(7, 2, objective=Quadratic(lambda number: number == 7)))
    [noted] = [step for step in steps if step.note]
    assert (noted.index, noted.size) == (6, SIZE)
    assert "at step 6;" in noted.note


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_does_not_recover_stops_with_its_best_picture(descend, optimizer):
    objective = Quadratic(lambda number: number > 3)
    steps = list(descend(50, 1, optimizer, objective))
    assert len(steps) == 3 + engine.PATIENCE
    notes = [step.note for step in steps if step.note]
    rate = OPTIMIZERS[optimizer].rate
    for halvings, note in enumerate(notes, start=1):
        assert f"halved the rate to {rate / 2**halvings:g}" in note
    assert [note.startswith("stopped: ") for note in notes] == [False] * 4 + [True]
    best = min(steps[:3], key=lambda step: step.losses["total"])
    np.testing.assert_array_equal(steps[-1].best, best.image)


def test_failures_count_only_until_it_gets_better(descend):
    # Between them it measures the best again, and then a better one.
    objective = Quadratic(lambda number: number % 3 == 0)
    steps = list(descend(20, 1, "adam", objective))
    assert sum(bool(step.note) for step in steps) > engine.PATIENCE
    assert steps[-1].index == 20


def test_a_first_picture_without_a_finite_loss_is_an_error(descend):
    with pytest.raises(ValueError, match="loss of the first picture is not finite"):
        next(descend(objective=Quadratic(lambda number: True)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_from_the_state_of_any_step_it_goes_on_to_the_same_bits(descend, optimizer):
    steps, states = [], []
    for step in descend(12, 2, optimizer):
        steps.append(step)
        states.append(step.state())
    for count, state in enumerate(states, start=1):
        rest = list(descend(12, 2, optimizer, state=state))
        expected = steps[min(count, 12) :]
        assert [step.index for step in rest] == [step.index for step in expected]
        assert totals(rest) == totals(expected)
        np.testing.assert_array_equal(rest[-1].best, steps[-1].best)
        assert rest[-1].best_losses == steps[-1].best_losses


def test_a_state_takes_no_memory_of_its_own(descend):
    step = next(descend(8, 1))
    state, best = step.state(), np.asarray(step.best)
    assert np.shares_memory(state.best, best)
    np.testing.assert_array_equal(state.best, best)


def test_a_state_with_another_number_of_pairs_goes_on_without_them(descend):
    states = [step.state() for step in descend(40, 1)]
    shorter = states[5]._replace(optimizer_state=states[5].optimizer_state[1:])
    rest = list(descend(40, 1, state=shorter))
    assert rest[0].index == states[5].index
    assert rest[-1].best_losses["total"] < 0.1 * states[5].best_losses["total"]


def test_a_state_after_a_failure_remembers_it(descend):
    def spoiled(first):
        return Quadratic(lambda number: number + first > 3)

    states = [step.state() for step in descend(50, 1, objective=spoiled(0))]
    rest = list(descend(50, 1, objective=spoiled(9), state=states[4]))
    assert states[4].failures == 2
    assert len(rest) == engine.PATIENCE - 2


@pytest.mark.parametrize("asked", [0, 3, 5, 9])
def test_it_ends_after_the_step_in_which_it_is_asked_to(descend, asked):
    token, seen = stop.StopToken(), []
    for step in descend(9, 2, token=token):
        seen.append(step.index)
        if step.index == asked:
            token.set()
    assert seen == list(range(asked + 1))


class Clock:
    """The time that the loop sees, in seconds, which only the objective moves."""

    now = 100.0

    def monotonic(self):
        return self.now


class Token(stop.StopToken):
    """A stop token that knows its budget."""

    def __init__(self, budget):
        super().__init__(budget)
        self.budget = budget


class Slow(Quadratic):
    """Takes a second for each 60 pixels, and some more when it is first asked."""

    def __init__(self, clock, first=0.0):
        super().__init__()
        self._clock, self._extra = clock, first

    def differentiate(self, image, target):
        self._clock.now += image.shape[1] * image.shape[2] / 60 + self._extra
        self._extra = 0.0
        return super().differentiate(image, target)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (engine, stop):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize(
    "budget, first", [(7.0, 0.0), (20.0, 0.0), (20.0, 3.0), (61.0, 0.0), (61.0, 3.0)]
)
def test_a_time_budget_is_kept_and_used_at_both_scales(descend, clock, budget, first):
    # The steps that were asked for do not count then.
    steps = list(descend(1, objective=Slow(clock, first), token=Token(budget)))
    seconds = clock.now - 100
    assert seconds <= budget
    sizes = list(dict.fromkeys(step.size for step in steps))
    # The large scale begins with two steps' work of 4 seconds each, and compiles.
    enough = budget >= 9 + 2 * first
    assert sizes == [(6, 10), SIZE][: 1 + enough]
    # Less than a step of the last scale is left over.
    assert budget - seconds < (4 if enough else 1)
    progress = [step.progress for step in steps]
    assert progress == sorted(progress)
    assert 0 < progress[0] < progress[-1] <= 1


def test_what_is_reserved_of_a_budget_is_left_over(descend, clock):
    token = Token(61.0)
    token.reserve(20.0)
    list(descend(1, objective=Slow(clock), token=token))
    assert 61 - 20 - 4 < clock.now - 100 <= 61 - 20


def test_each_scale_has_a_share_of_the_time_as_large_as_its_pixels(descend, clock):
    steps = list(descend(objective=Slow(clock), token=Token(500.0)))
    coarse = sum(step.size != SIZE for step in steps)
    assert coarse == pytest.approx(500 / 5, abs=2)
    assert len(steps) - coarse == pytest.approx(500 * 4 / 5 / 4, abs=2)


def test_a_budget_for_nothing_still_makes_one_step(descend, clock):
    steps = list(descend(objective=Slow(clock), token=Token(0.001)))
    assert [step.size for step in steps] == [(6, 10)]
