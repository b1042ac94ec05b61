"""The loop of the slow methods: from coarse to fine, downhill step by step.

It knows pictures, objectives and optimizers, and nothing of what an objective measures.
It neither prints nor touches files.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import images
from tf_style.images import Pixels
from tf_style.system.errors import InvalidInput

# How often in a row the rate is halved before a diverging run is given up. Adam moves a
# pixel by the rate at most, so after five halvings it is nearly standing still.
PATIENCE = 5


class State(NamedTuple):
    """Everything that the optimisation needs to continue; nothing else is random."""

    index: int  # updates made so far, over all scales
    image: np.ndarray | tf.Tensor  # [1, H, W, 3]; the picture to measure next
    rate: float
    best: np.ndarray | None = None  # at this scale
    best_losses: dict[str, float] = {"total": np.inf}
    failures: int = 0  # in a row, as `PATIENCE` counts them
    # What the optimizer remembers, flat; empty: nothing yet.
    optimizer_state: list[np.ndarray] = []
    # Picture that targets were found for, where they are found again.
    found_for: np.ndarray | None = None


class Step(NamedTuple):
    """An intermediate picture, and how good it is."""

    index: int  # updates made before it, over all scales
    size: tuple[int, int]  # height and width at this scale
    losses: dict[str, float]  # weighted, and their "total"
    image: tf.Tensor  # [1, H, W, 3]; the picture that these losses were measured on
    best: tf.Tensor  # the picture of least total loss so far at this scale
    best_losses: dict[str, float]  # of that picture
    note: str  # what the user should know, mostly empty
    # Returns the `State` after this step; to be asked before the next one.
    state: Callable[[], State]
    enlarge: Callable[[Pixels, int, int], Pixels]  # see `optimize`
    progress: float = 0.0  # share of the work done; large scales take longer
    found: Sequence = ()  # see `method.Prior`

    def best_at(self, height: int, width: int) -> Pixels:
        """Returns the best picture at a size, enlarged like between scales."""
        return self.enlarge(np.asarray(self.best), height, width)


def optimize(
    state: State,
    scales: Sequence[Any],
    problem_at: Callable[[tuple[int, int]], Any],
    optimizer: Any,
    stop: Any,
    find_every: int = 0,
    enlarge: Callable[[Pixels, int, int], Pixels] = images.resize,
) -> Iterator[Step]:
    """Optimises a picture at one size after the other.

    Args:
        state: the `State` to begin with, of which the picture has one of the sizes.
        scales: a list of `pyramid.Scale`.
        problem_at: returns the objective at a size, and a function from the picture so
            far, [1, H, W, 3], to its targets; the picture is None if targets are found
            once.
        optimizer: an `optimizers.Adam` or `LBFGS`.
        stop: a `system.stop.StopToken`, checked after each step.
        find_every: steps after which targets are found again; 0: once at each size.
        enlarge: returns a picture, [1, H, W, 3], with the next height and width.

    Yields:
        A `Step` before each update and one at the end: one more than the number of
        steps, or as many as a time budget allows.

    Raises:
        ValueError: the loss of the first picture is not finite.
    """
    done = [scale.size for scale in scales].index(state.image.shape[1:3])
    for scale in scales[done:]:
        if state.image.shape[1:3] != scale.size:
            # As a tensor, so that it is not kept twice.
            image = tf.constant(enlarge(np.asarray(state.best), *scale.size))
            state = State(state.index, image, optimizer.rate)
        objective, find_targets = problem_at(scale.size)
        pace = _Pace(scale, stop)
        state = yield from _descend(
            state, objective, find_targets, optimizer, pace, find_every, enlarge
        )
        if stop.requested or not pace.leaves_time_for_another_scale():
            return


def without_steps(image: Pixels, enlarge: Callable[[Pixels, int, int], Pixels]) -> Step:
    """Returns the `Step` of a picture that there is no time to improve or measure."""
    picture, size = tf.constant(image), tuple(image.shape[1:3])
    note = "the time budget left no time for a step; this is the picture to start from"
    state = State(0, image, 1.0)
    return Step(0, size, {}, picture, picture, {}, note, lambda: state, enlarge, 1.0)


def _descend(state, objective, find_targets, optimizer, pace, find_every, enlarge):
    """Optimises at one size; returns the state at the end."""
    scale, guard, index = pace.scale, _Guard(state), state.index
    image, targets = tf.constant(state.image), None
    memory = _restored(optimizer.start(image), state.optimizer_state)
    while index < scale.stop + scale.last and not pace.is_over():
        began, measured = time.monotonic(), image
        is_due = guard.found_for is None or index % max(1, find_every) == 0
        if find_every and is_due and index < scale.stop:
            guard.begin(image)
            memory, targets = optimizer.start(image), None
        if targets is None:
            targets = find_targets(guard.found_for)
        if index < scale.stop:
            losses, gradient = objective.differentiate(image, targets)
            image, memory = optimizer.step(image, gradient, memory, guard.rate)
        else:
            losses = objective.measure(image, targets)
        # One wait for the device per step, because the loss decides what is kept.
        losses = {name: float(loss) for name, loss in losses.items()}
        if note := guard.judge(index, measured, losses):
            image, memory = guard.best, optimizer.start(guard.best)
        pace.count(time.monotonic() - began)
        made = min(index + 1, scale.stop)
        yield Step(
            index,
            scale.size,
            losses,
            measured,
            guard.best,
            guard.best_losses,
            note,
            lambda: guard.state(made, image, memory),
            enlarge,
            pace.progress(index),
        )
        if guard.gave_up or pace.stop.requested:
            break
        index += 1
    return guard.state(index, image, ())


class _Guard:
    """Keeps the best picture of a scale, and returns to it if the loss is not finite.

    It then halves the rate.
    """

    def __init__(self, state):
        self.best = None if state.best is None else tf.constant(state.best)
        self.best_losses = state.best_losses
        self.found_for = state.found_for
        self._rate, self._failures = state.rate, state.failures

    @property
    def rate(self):
        return tf.constant(self._rate, tf.float32)

    @property
    def gave_up(self):
        return self._failures == PATIENCE

    def begin(self, image):
        """Records the picture that targets are found for.

        Losses to different targets cannot be compared.
        """
        self.found_for, self.best_losses = image, {"total": np.inf}

    def judge(self, index, image, losses):
        """Records a step; returns a note if it went wrong, else an empty text."""
        if losses["total"] < self.best_losses["total"]:
            self.best, self.best_losses, self._failures = image, losses, 0
        elif not np.isfinite(losses["total"]):
            if self.best is None:
                raise InvalidInput(
                    f"the loss of the first picture is not finite ({losses}); "
                    "use smaller weights, or check the backbone's weights"
                )
            self._failures += 1
            self._rate /= 2
            note = (
                f"the loss was not finite at step {index}; went back to the best "
                f"picture and halved the rate to {self._rate:g}"
            )
            if self.gave_up:
                note = f"stopped: {note}, {PATIENCE} times in a row"
            return note
        return ""

    def state(self, index, image, memory):
        """Returns the `State` from which to make update `index`."""
        # `asarray` does not copy, as `numpy` does: huge pictures leave no room for it.
        return State(
            index,
            np.asarray(image),
            self._rate,
            np.asarray(self.best),
            self.best_losses,
            self._failures,
            [*map(np.asarray, tf.nest.flatten(memory))],
            None if self.found_for is None else np.asarray(self.found_for),
        )


class _Pace:
    """Tracks the progress of a scale, and its share of a time budget."""

    def __init__(self, scale, stop):
        self.scale, self.stop = scale, stop
        self._last = self._slowest = 0.0  # seconds of a step; the first one compiles
        self._next_scale = 0.0  # seconds to start the next scale

    def count(self, seconds):
        """Records the duration of a step."""
        self._last, self._slowest = seconds, max(self._slowest, seconds)
        # It also measures targets, and may compile.
        self._next_scale = self._slowest + seconds * (2 * self.scale.growth - 1)

    def is_over(self):
        """Tells whether the next step would take more than the scale's share of time.

        If there is no time for the next scale, it is spent here.
        """
        if self.stop.seconds_left(self.scale.after) >= self._last or not self._last:
            return False
        left = self.stop.seconds_left()
        return left < self._last or left >= self._next_scale

    def leaves_time_for_another_scale(self):
        """Tells whether the next scale can begin within the budget."""
        return self.stop.seconds_left() >= self._next_scale

    def progress(self, index):
        """Returns the share of the work that is done."""
        if self.scale.stop == sys.maxsize:
            return self.stop.spent
        return self.scale.progress(index)


def _restored(fresh, arrays):
    """Returns the optimizer's memory from the result of `_Guard.state`.

    That of an older version may have another length, and is dropped.
    """
    if len(arrays) != len(tf.nest.flatten(fresh)):
        return fresh
    return tf.nest.pack_sequence_as(fresh, [*map(tf.constant, arrays)])
