"""Gatys, Ecker and Bethge (2016), "Image Style Transfer Using Convolutional Neural
Networks": find the picture whose deep activations are the photo's and whose channel
correlations are the painting's, by gradient descent on its pixels.

https://doi.org/10.1109/CVPR.2016.265

Where we differ from the paper: we start from the photo, work from coarse to fine and
hold pixels to [0, 1]; losses are means over positions and channels (see
`networks.losses`). `objective_terms` and `measure_targets` are the method; the loop
that lowers the loss is `engine.optimize`.

This module neither prints nor touches files.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import color, images
from tf_style.config import GatysConfig, checked
from tf_style.images import PictureLike, Pictures, Pixels, Size
from tf_style.images import masks as masking
from tf_style.images.masks import Masks
from tf_style.networks import features, losses
from tf_style.networks.backbone import Backbone, block_number
from tf_style.optimization import engine, memory, optimizers, pyramid
from tf_style.optimization.engine import State, Step
from tf_style.optimization.objective import Objective, Target
from tf_style.optimization.style import Style
from tf_style.optimization.tiles import TiledObjective
from tf_style.system import hardware
from tf_style.system.errors import InvalidInput
from tf_style.system.stop import StopToken


class Prior(NamedTuple):
    """What is known of a frame of a film from the one before."""

    picture: np.ndarray  # [1, H, W, 3], moved to where things are now
    trust: np.ndarray  # [1, H, W, 1] in [0, 1], 0 where they were not to be seen


def stylize(
    content: PictureLike,
    style: "Pictures | Style",
    config: GatysConfig | None = None,
    *,
    masks: Masks = None,
    init: PictureLike | None = None,
) -> Pixels:
    """Repaints `content` in the style of `style`.

    Args:
        content: photo, [1, H, W, 3] in [0, 1]; or what else `images.as_picture` takes,
            as all pictures here.
        style: painting, [1, H', W', 3] in [0, 1]; or a list of paintings, whose
            correlations are mixed by `config.style_weights`; or what `encode` made.
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


def finish(
    step: Step,
    content: PictureLike,
    config: GatysConfig | None = None,
    *,
    masks: Masks = None,
) -> Pixels:
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
    content: PictureLike,
    style: "Pictures | Style",
    config: GatysConfig | None = None,
    *,
    masks: Masks = None,
    init: PictureLike | None = None,
    state: State | None = None,
    stop: StopToken | None = None,
    prior: Prior | None = None,
) -> Iterator[Step]:
    """Optimises step by step; see `stylize` for the other arguments and errors.

    Args:
        state: of an earlier `Step`; goes on as if it had never stopped.
        stop: a `StopToken` by which to ask for the end after a step.
        prior: of a frame of a film, a `Prior` that the picture is held to as well.

    Yields:
        The picture before each update, and the last one: `config.steps` + 1 times; with
        a `config.time_budget`, as often as that allows.
    """
    config, _ = choose(config)
    content = images.as_picture(content, "content")
    if isinstance(style, Style):
        style.check_config(config)
    else:
        style = encode(style, config)
    masks = masking.fit(masks, content, len(style.paintings))
    if init is not None:
        init = images.as_picture(init, "init")
    for name, value, kind in (("state", state, State), ("prior", prior, Prior)):
        if not isinstance(value, (kind, type(None))):
            came = type(value).__name__
            raise InvalidInput(f"{name} is {came}; it must be a {kind.__name__}")
    if prior is not None:
        prior = Prior(
            images.as_picture(prior.picture, "prior.picture"),
            masking.as_mask(prior.trust, "prior.trust"),
        )
    # Its budget begins here.
    pace = StopToken(
        config.time_budget, watch=(lambda: stop.requested) if stop else None
    )
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()

    def problem_at(size):
        objective = load_objective(config, size, is_frame=prior is not None)
        targets = measure_targets(objective, content, style, size, config, masks, prior)
        return objective, targets

    scales = plan_scales(content, style, config)
    optimizer = _load_optimizer(
        config.optimizer, config.learning_rate, config.beta1, config.epsilon
    )
    if state is None:
        first = images.resize(_first_picture(content, config, init), *scales[0].size)
        state = State(0, first, optimizer.rate)
    elif state.image.shape[1:3] not in [scale.size for scale in scales]:
        height, width = state.image.shape[1:3]
        raise InvalidInput(
            f"state is of {width}x{height} pixels, which is no size of this run; go on "
            "with the content and the config that it is of"
        )
    return engine.optimize(state, scales, problem_at, optimizer, pace)


def objective_terms(
    config: GatysConfig, is_frame: bool = False
) -> list[tuple[float, losses.Loss]]:
    """Returns what is minimised, a list of (weight, loss): eq. 7 of the paper.

    L = alpha L_content + beta L_style, and gamma times the total variation; frames of
    films are also held to the one before, as in Ruder et al. (2016), eq. 7.
    """
    alpha, beta, gamma = config.content_weight, config.style_weight, config.tv_weight
    content_layers = tuple(map(features.layer_name, config.content_layers))
    style_layers = tuple(map(features.layer_name, config.style_layers))
    terms = [
        (alpha, losses.content(content_layers)),
        (beta, losses.style(style_layers, config.style_layer_weights)),
    ]
    if gamma:
        terms.append((gamma, losses.variation()))
    if is_frame:
        terms.append((config.temporal_weight, losses.temporal()))
    return terms


def measure_targets(
    objective: Objective | TiledObjective,
    content: Pixels,
    style: "Style",
    size: Size,
    config: GatysConfig,
    masks: Sequence[Pixels] = (),
    prior: Prior | None = None,
) -> list[Target]:
    """Measures what to hold a picture to.

    Args:
        objective: as from `load_objective`.
        content: photo, [1, H, W, 3], of any size.
        style: as from `encode`.
        size: height and width to work at.
        config: a `GatysConfig`.
        masks: as from `masks.fit`.
        prior: as of `iterate`.

    Returns:
        A `Target` for each of `objective_terms`.
    """
    photo = images.resize(content, *size)
    shares = config.share_among(len(style.paintings))
    masks = [images.resize(mask, *size) for mask in masks]

    def measure(loss):
        nothing = [()] * len(loss.layers)
        if loss.reference == "content":
            return Target(objective.activations(photo, loss.layers), nothing)
        if loss.reference == "style":
            found = style.measure(objective, loss, content, photo)
            return _style_target(found, shares, masks, loss.layers)
        if loss.reference == "prior":
            held = tuple(tf.constant(images.resize(part, *size)) for part in prior)
            return Target([held], nothing)
        return Target(nothing, nothing)

    return [measure(loss) for _, loss in objective.terms]


def _style_target(grams, shares, masks, layers):
    """Mixes the Gram matrices of several styles, or keeps those of regions apart.

    Args:
        grams: of each style, one [1, C, C] per layer.
        shares: of each style, all together 1.
        masks: at the size to work at, [1, H, W, 1]; of several, one a style.
        layers: names.
    """
    if len(masks) < 2:
        # The mean distance to several styles is least where that to their mean is.
        mixed = [
            tf.add_n([share * gram for share, gram in zip(shares, layer)])
            for layer in zip(*grams)
        ]
        grams, shares = [mixed], [1.0]
    if not masks:
        return Target([()] * len(layers), grams[0])
    scales = masking.factors(masks, shares)
    grams = [
        tf.concat([factor * gram for factor, gram in zip(scales, layer)], 0)
        for layer in zip(*grams)
    ]
    guides = [masking.guide(masks, scales, block_number(name) - 1) for name in layers]
    return Target(guides, grams)


def encode(style: Pictures, config: GatysConfig | None = None) -> Style:
    """Prepares a painting, or several, for any number of photos; as `hub.encode`.

    Args:
        style: [1, H, W, 3] in [0, 1], or a sequence of such.
        config: a `GatysConfig`; `stylize` must be given one with the same settings of
            styles.

    Returns:
        A `Style`.
    """
    config = checked(config, GatysConfig)
    paintings = images.as_pictures(style, "style")
    config.share_among(len(paintings))
    return Style(paintings, config)


def plan_scales(
    content: Pixels, style: Style, config: GatysConfig
) -> list[pyramid.Scale]:
    """Returns the `pyramid.Scale`s to work at."""
    least, size = load_backbone(config).least_size, content.shape[1:3]

    def is_seen(scaled):
        shapes = [scaled, *style.size_beside(size, scaled)]
        return min(map(min, shapes)) >= least

    return pyramid.plan(tuple(size), config, is_seen)


def choose(config: GatysConfig | None) -> tuple[GatysConfig, str]:
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


def load_backbone(config: GatysConfig) -> Backbone:
    """Loads the network that `config` asks for, with all the layers it needs."""
    config, _ = choose(config)
    layers = tuple(config.content_layers) + tuple(config.style_layers)
    return features.load_backbone(
        config.backbone, layers, config.pooling, config.precision
    )


def estimate_memory(content: Pixels, config: GatysConfig) -> float:
    """Estimates the bytes that optimising a picture like `content` takes."""
    extract, size = load_backbone(config), content.shape[1:3]
    side = config.tile or memory.choose_side(extract, size)
    return memory.estimate_memory(extract, size, side)


def load_objective(
    config: GatysConfig, size: Size, is_frame: bool = False
) -> Objective | TiledObjective:
    """Loads what `config` minimises; once per process for the same settings.

    Args:
        config: a `GatysConfig`.
        size: height and width of the picture; where the whole of it would not fit into
            memory, it is worked on in tiles.
        is_frame: whether it is of a film.

    Returns:
        An `Objective` or a `TiledObjective`.
    """
    extract = load_backbone(config)
    side = config.tile or memory.choose_side(extract, size)
    defining = {
        spec.name: getattr(config, spec.name)
        for spec in fields(config)
        if spec.name.endswith(("_layers", "_layer_weights", "_weight"))
    }
    return _load_objective(extract, side, GatysConfig(**defining), is_frame)


@functools.lru_cache(maxsize=8)
def _load_objective(extract, side, config, is_frame):
    terms = objective_terms(config, is_frame)
    if side:
        return TiledObjective(extract, terms, side)
    return Objective(extract, terms)


@functools.lru_cache(maxsize=4)
def _load_optimizer(kind, rate, beta1, epsilon):
    if kind == "lbfgs":
        return optimizers.LBFGS(rate)
    return optimizers.Adam(rate, beta1, epsilon)


def _first_picture(content, config, init):
    if init is not None:
        return init
    if config.init == "content":
        return content
    if config.init == "noise":
        noise = np.random.default_rng(config.seed).random(content.shape)
        return noise.astype(np.float32)
    raise InvalidInput(
        f"init is {config.init!r}: pass that picture as the argument init"
    )
