"""Gatys, Ecker and Bethge (2016), "Image Style Transfer Using Convolutional Neural
Networks": gradient descent on the pixels finds the picture with the photo's deep
activations and the painting's channel correlations.

https://doi.org/10.1109/CVPR.2016.265

Departures from the paper:

* We start from the photo, work from coarse to fine and clip pixels to [0, 1].
* Losses are means over positions and channels (see `networks.losses`).

`objective_terms` and `measure_targets` are the method. The rest is `method.Method`; the
loop that lowers the loss is `engine.optimize`.

This module neither prints nor touches files.
"""

from collections.abc import Sequence

import tensorflow as tf

from tf_style import images
from tf_style.config import GatysConfig
from tf_style.images import Pixels, Size
from tf_style.images import masks as masking
from tf_style.networks import features, losses
from tf_style.networks.backbone import block_number
from tf_style.optimization.engine import State, Step
from tf_style.optimization.method import Method, Prior, hold_to_prior
from tf_style.optimization.objective import Objective, Target
from tf_style.optimization.style import Style
from tf_style.optimization.tiles import TiledObjective

__all__ = [
    "Prior",
    "State",
    "Step",
    "Style",
    "choose",
    "encode",
    "estimate_memory",
    "finish",
    "first_picture",
    "iterate",
    "load_backbone",
    "load_objective",
    "measure_targets",
    "objective_terms",
    "plan_scales",
    "stylize",
]


def objective_terms(
    config: GatysConfig, is_frame: bool = False
) -> list[tuple[float, losses.Loss]]:
    """Returns the terms of the objective, (weight, loss) each: eq. 7 of the paper.

    L = alpha L_content + beta L_style + gamma times the total variation. Frames of
    films are also tied to the one before, as in Ruder et al. (2016), eq. 7.
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
    picture: Pixels | None = None,
) -> list[Target]:
    """Measures the targets of a picture; see `method.MeasureTargets`."""
    photo = images.resize(content, *size)
    shares = config.share_among(len(style.paintings))
    masks = [images.resize(mask, *size) for mask in masks]

    def measure(loss):
        empty = Target.empty(loss)
        if loss.reference == "content":
            return empty._replace(local=objective.activations(photo, loss.layers))
        if loss.reference == "style":
            grams = style.measure(
                lambda painting: objective.statistics(painting, loss),
                (objective, loss),
                objective.extract,
                content,
                photo,
            )
            return _style_target(grams, shares, masks, loss.layers)
        if loss.reference == "prior":
            return hold_to_prior(prior, size)
        return empty

    return [measure(loss) for _, loss in objective.terms]


def _style_target(grams, shares, masks, layers):
    """Mixes the Gram matrices of several styles, or keeps those of regions apart.

    Args:
        grams: Gram matrices of each style, one [1, C, C] per layer.
        shares: share of each style; they add up to 1.
        masks: masks at the working size, [1, H, W, 1]; if there are several, one per
            style.
        layers: names.
    """
    if len(masks) < 2:
        # The mean distance to several styles is smallest where the distance to their
        # mean is.
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


_METHOD = Method(GatysConfig, objective_terms, measure_targets)

stylize, iterate, finish = _METHOD.stylize, _METHOD.iterate, _METHOD.finish
encode, choose, plan_scales = _METHOD.encode, _METHOD.choose, _METHOD.plan_scales
load_backbone, load_objective = _METHOD.load_backbone, _METHOD.load_objective
estimate_memory, first_picture = _METHOD.estimate_memory, _METHOD.first_picture
