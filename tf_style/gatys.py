"""The slow path: optimise the picture itself.

Gatys, Ecker and Bethge (2016), "Image Style Transfer Using Convolutional Neural
Networks": find the picture whose deep activations are the photo's and whose channel
correlations are the painting's, by gradient descent on its pixels.

Where we differ from the paper: we start from the photo, work from coarse to fine and
hold pixels to [0, 1]; losses are means over positions and channels (see `losses`).

This module neither prints nor touches files.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import tf_style.masks as masking
from tf_style import (
    color,
    features,
    hardware,
    images,
    lbfgs,
    memory,
    objective,
    schedule,
    tiles,
)
from tf_style.config import GatysConfig, checked

# How often in a row the rate is halved before a diverging run is given up. Adam moves a
# pixel by the rate at most, so after five halvings it is nearly standing still.
PATIENCE = 5


class State(NamedTuple):
    """All that the optimisation needs to go on where it was; nothing else is random."""

    index: int  # updates made so far, over all scales
    image: np.ndarray  # [1, H, W, 3]; the picture to measure next
    rate: float
    best: np.ndarray | None = None  # at this scale
    best_losses: dict[str, float] = {"total": np.inf}
    failures: int = 0  # in a row, as `PATIENCE` counts them
    known: list[np.ndarray] = []  # by the optimizer; empty: nothing yet


class Prior(NamedTuple):
    """What is known of a frame of a film from the one before."""

    picture: np.ndarray  # [1, H, W, 3], moved to where things are now
    trust: np.ndarray  # [1, H, W, 1] in [0, 1], 0 where they were not to be seen


class Step(NamedTuple):
    """A picture on the way, and how good it is."""

    index: int  # updates made before it, over all scales
    size: tuple[int, int]  # height and width at this scale
    losses: dict[str, float]  # weighted "content", "style", "tv", "temporal", "total"
    image: tf.Tensor  # [1, H, W, 3]; the picture that these losses were measured on
    best: tf.Tensor  # the picture of least total loss so far at this scale
    best_losses: dict[str, float]  # of that picture
    note: str  # what the user should know, mostly empty
    # Returns the `State` after this step; to be asked before the next one.
    state: Callable[[], State]
    progress: float = 0.0  # share of the work done; large scales take longer


def stylize(content, style, config=None, *, masks=None, init=None):
    """Repaints `content` in the style of `style`.

    Args:
        content: photo, [1, H, W, 3] in [0, 1]; or what else `images.as_picture` takes,
            as all pictures here.
        style: painting, [1, H', W', 3] in [0, 1]; or a list of paintings, whose
            correlations are mixed by `config.style_weights`.
        config: a `GatysConfig`; None: the defaults.
        masks: where to paint, everywhere if None: one mask, or a list of one for each
            style; [1, H, W, 1] of the content's proportions, from 0, the photo, to 1,
            or what else `masks.as_mask` takes.
        init: first picture, [1, H'', W'', 3], whatever `config.init` says; needed where
            that is "hub" or a path.

    Returns:
        The best picture found, float32 [1, H, W, 3] in [0, 1].

    Raises:
        ValueError: an argument is not what it should be, a picture is too small for the
            layers, a layer does not exist, the loss is not finite from the start, or
            masks or weights do not fit.
        OSError: the backbone's weights cannot be had.
    """
    for step in iterate(content, style, config, masks=masks, init=init):
        pass
    return finish(step, content, config, masks=masks)


def finish(step, content, config=None, *, masks=None):
    """Returns the best picture up to `step`, at the size of `content`.

    Its colours are brought to the photo's as far as `config` wants them kept, and it is
    put into the photo where masks say. For the arguments and errors see `stylize`.
    """
    config = checked(config, GatysConfig)
    content, masks = images.as_picture(content, "content"), masking.as_masks(masks)
    picture = images.resize(step.best.numpy(), *content.shape[1:3])
    picture = color.restore(picture, content, config)
    return masking.compose(content, picture, masking.fit(masks, content, len(masks)))


def iterate(
    content,
    style,
    config=None,
    *,
    masks=None,
    init=None,
    state=None,
    prior=None,
    objectives=None,
) -> Iterator[Step]:
    """Optimises step by step; see `stylize` for the arguments and errors.

    Yields `config.steps` + 1 times: the picture before each update, and the last one;
    with a `config.time_budget`, as often as that allows. From a `state`, it goes on as
    if it had never stopped. With a `Prior`, the picture is also held to that. Frames of
    one film, in the same styles and `masks`, share a dict of `objectives`, which is
    empty at first: styles are then measured, and losses compiled, once.
    """
    config = checked(config, GatysConfig)
    content = images.as_picture(content, "content")
    styles = images.as_pictures(style, "style")
    masks = masking.fit(masks, content, len(styles))
    if init is not None:
        init = images.as_picture(init, "init")
    for name, value, kind in (("state", state, State), ("prior", prior, Prior)):
        if not isinstance(value, (kind, type(None))):
            came = type(value).__name__
            raise ValueError(f"{name} is {came}; it must be a {kind.__name__}")
    if prior is not None:
        prior = Prior(
            images.as_picture(prior.picture, "prior.picture"),
            masking.as_mask(prior.trust, "prior.trust"),
        )
    objectives = {} if objectives is None else objectives
    return _iterate(content, styles, config, masks, init, state, prior, objectives)


def _iterate(content, styles, config, masks, init, state, prior, objectives):
    clock = schedule.Clock(config.time_budget)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    extract = load_backbone(config)
    scales = schedule.plan(content, styles, extract, config)
    if state is None:
        picture = _first_picture(content, config, init)
        picture = images.resize(picture, *scales[0].size)
        state = State(0, picture, config.learning_rate)
    sizes = [scale.size for scale in scales]
    if state.image.shape[1:3] not in sizes:
        height, width = state.image.shape[1:3]
        raise ValueError(
            f"state is of {width}x{height} pixels, which is no size of this run; go on "
            "with the content and the config that it is of"
        )
    for scale in scales[sizes.index(state.image.shape[1:3]) :]:
        if state.image.shape[1:3] != scale.size:
            picture = images.resize(state.best, *scale.size)
            state = State(state.index, picture, config.learning_rate)
        goal, before = objectives.get(scale.size, (None, None))
        goal = goal or load_objective(config, scale.size, extract, masks)
        if config.preserve_color != "none":  # Styles take the colours of each photo.
            before = None
        targets = goal.measure_targets(content, styles, scale.size, before)
        held = [tf.constant(images.resize(part, *scale.size)) for part in prior or ()]
        targets = targets._replace(prior=held)
        objectives[scale.size] = goal, targets
        state, seconds = yield from _descend(state, targets, goal, config, scale, clock)
        if clock.left() < seconds:
            return


def until_interrupted(steps):
    """Yields the steps of `iterate` until they end, or Ctrl-C comes.

    Returns:
        The last step, all notes, and whether Ctrl-C came: the value of `yield from`.

    Raises:
        KeyboardInterrupt: it came before the first step.
    """
    step, notes = None, []
    try:
        for step in steps:
            notes += [step.note] if step.note else []
            yield step
    except KeyboardInterrupt:
        if step is None:
            raise
        return step, notes, True
    return step, notes, False


def _descend(state, targets, goal, config, scale, clock):
    """Optimises at one size, and yields before each update, and at the end if last.

    Returns:
        The state at the end, and the seconds that the next scale takes to begin.
    """
    image = tf.Variable(state.image)
    index, _, rate, best, best_terms, failures, known = state
    best = best if best is None else tf.constant(best)
    optimizer, update = _compile(image, config, rate, known)
    start, took, slowest, next_scale = index, 0.0, 0.0, 0.0

    def current():
        made = min(index + 1, scale.stop)
        arrays = [variable.numpy() for variable in optimizer.variables]
        kept = np.asarray(best)
        return State(made, image.numpy(), rate, kept, best_terms, failures, arrays)

    while index < scale.stop + scale.last:
        if index > start and clock.left(scale.after) < took:
            # Who has no time for the next scale spends it here.
            if clock.left() < took or clock.left() >= next_scale:
                break
        began, note = time.monotonic(), ""
        before = image.read_value()
        if index < scale.stop:
            terms, gradient = goal.differentiate(before, targets)
            update(gradient)
        else:
            terms = goal.measure_losses(before, targets)
        # One wait for the device per step: the loss decides what is kept.
        terms = {name: float(term) for name, term in terms.items()}
        if terms["total"] < best_terms["total"]:
            best, best_terms, failures = before, terms, 0
        elif not np.isfinite(terms["total"]):
            if best is None:
                raise ValueError(
                    f"the loss of the first picture is not finite ({terms}); "
                    "use smaller weights, or check the backbone's weights"
                )
            failures += 1
            rate /= 2
            image.assign(best)
            optimizer, update = _compile(image, config, rate)
            note = (
                f"the loss was not finite at step {index}; went back to the best "
                f"picture and halved the rate to {rate:g}"
            )
            if failures == PATIENCE:
                note = f"stopped: {note}, {PATIENCE} times without help"
        took = time.monotonic() - began
        slowest = max(slowest, took)
        # It compiles too, and measures its targets.
        next_scale = slowest - took + 2 * took * scale.growth
        done = clock.passed() if config.time_budget else scale.progress(index)
        yield Step(
            index, scale.size, terms, before, best, best_terms, note, current, done
        )
        if failures == PATIENCE:
            break
        index += 1
    return State(index, image.numpy(), rate, np.asarray(best), best_terms), next_scale


def _compile(image, config, rate, known=()):
    """Returns an optimizer, and a function that moves `image` against a gradient."""
    if config.optimizer == "lbfgs":
        optimizer = lbfgs.LBFGS(rate)
    else:
        optimizer = keras.optimizers.Adam(
            rate, beta_1=config.beta1, epsilon=config.epsilon
        )
    optimizer.build([image])  # else the first call traces the update twice
    for variable, value in zip(optimizer.variables, known):
        variable.assign(value)

    @tf.function
    def update(gradient):
        optimizer.apply([gradient], [image])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))

    return optimizer, update


def choose(config):
    """Settles what `auto` means on this machine; as `hub.choose`."""
    config = checked(config, GatysConfig)
    if config.precision == "auto":
        config = dataclasses.replace(config, precision=hardware.fastest_dtype())
    note = ""
    if config.backbone == "auto":
        backbone, note = features.choose()
        config = dataclasses.replace(config, backbone=backbone)
    if config.pooling == "auto":
        pooling = "average" if config.backbone == "builtin" else "max"
        config = dataclasses.replace(config, pooling=pooling)
    return config, note


def load_backbone(config):
    """Loads the network that `config` asks for, with all the layers it needs."""
    config, _ = choose(config)
    layers = tuple(config.content_layers) + tuple(config.style_layers)
    return features.load_backbone(
        config.backbone, layers, config.pooling, config.precision
    )


def estimate_memory(extract, content, config):
    """Estimates the bytes that optimising a picture like `content` takes."""
    size = content.shape[1:3]
    return memory.estimate_memory(extract, size, _piece_side(config, extract, size))


def load_objective(config, size, extract=None, masks=()):
    """Loads what `config` minimises.

    Args:
        config: a `GatysConfig`.
        size: height and width of the picture; where the whole of it would not fit into
            memory, it is worked on in pieces.
        extract: the backbone, if it is loaded.
        masks: as from `masks.fit`.

    Returns:
        An `objective.Whole` or a `tiles.Tiled`.
    """
    extract = extract or load_backbone(config)
    if side := _piece_side(config, extract, size):
        return tiles.Tiled(extract, config, side, masks)
    return objective.Whole(extract, config, masks)


def _piece_side(config, extract, size):
    """Returns the side of the pieces to work on, or 0 for the whole."""
    return config.tile or memory.choose_side(extract, size)


def _first_picture(content, config, init):
    if init is not None:
        return init
    if config.init == "content":
        return content
    if config.init == "noise":
        noise = np.random.default_rng(config.seed).random(content.shape)
        return noise.astype(np.float32)
    raise ValueError(f"init is {config.init!r}: pass that picture as the argument init")
