"""The slow path: optimise the picture itself.

Gatys, Ecker and Bethge (2016), "Image Style Transfer Using Convolutional Neural
Networks": find the picture whose deep activations are the photo's and whose channel
correlations are the painting's, by gradient descent on its pixels.

Where we differ from the paper: we start from the photo, work from coarse to fine and
hold pixels to [0, 1]; losses are means over positions and channels (see `losses`).

This module neither prints nor touches files.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_style import features, hardware, images, lbfgs, losses

# How often in a row the rate is halved before a diverging run is given up. Adam moves a
# pixel by the rate at most, so after five halvings it is nearly standing still.
PATIENCE = 5


class Targets(NamedTuple):
    """What the picture should come to: the photo's content, the painting's style."""

    content: list[tf.Tensor]  # per content layer, [1, H', W', C]
    grams: list[tf.Tensor]  # per style layer, [1, C, C]


class Step(NamedTuple):
    """A picture on the way, and how good it is."""

    index: int  # updates made so far, over all scales
    size: tuple[int, int]  # height and width at this scale
    losses: dict[str, float]  # weighted "content", "style", "tv", and their "total"
    image: tf.Tensor  # [1, H, W, 3]; the picture that these losses were measured on
    best: tf.Tensor  # the picture of least total loss so far at this scale
    best_losses: dict[str, float]  # of that picture
    note: str  # what the user should know, mostly empty
    progress: float = 0.0  # share of the work done; large scales take longer


def stylize(content, style, config, init=None):
    """Repaints `content` in the style of `style`.

    Args:
        content: photo, [1, H, W, 3] in [0, 1].
        style: painting, [1, H', W', 3] in [0, 1].
        config: a `GatysConfig`.
        init: first picture, [1, H'', W'', 3], where `config.init` is "hub" or a path.

    Returns:
        The best picture found, float32 [1, H, W, 3] in [0, 1].

    Raises:
        ValueError: a picture is too small for the layers, a layer does not exist, or
            the loss is not finite from the start.
        OSError: the backbone's weights cannot be had.
    """
    for step in iterate(content, style, config, init):
        pass
    return finish(step, content)


def finish(step, content):
    """Returns the best picture up to `step`, at the size of `content`."""
    return images.resize(step.best.numpy(), *content.shape[1:3])


def iterate(content, style, config, init=None) -> Iterator[Step]:
    """Optimises step by step; see `stylize` for the arguments and errors.

    Yields `config.steps` + 1 times: the picture before each update, and the last one.
    """
    extract = load_backbone(config)
    sizes = _pyramid(content, style, extract, config)
    shares = np.array_split(range(config.steps), len(sizes))
    pixels = [h * w for (h, w), share in zip(sizes, shares) for _ in share]
    progress = np.cumsum([0, *pixels]) / sum(pixels)
    picture = _first_picture(content, config, init)
    for size, share in zip(sizes, shares, strict=True):
        targets = measure_targets(content, style, size, extract, config)
        picture = images.resize(picture, *size)
        steps = range(share[0], share[-1] + 1)
        last = size == sizes[-1]
        for step in _descend(picture, targets, extract, config, steps, last):
            yield step._replace(progress=float(progress[step.index]))
        picture = step.best.numpy()


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


def _descend(picture, targets, extract, config, steps, last):
    """Optimises at one size; yields before each step, and at the end if `last`."""
    image = tf.Variable(picture)
    rate = config.learning_rate
    best, best_terms, failures = None, {"total": np.inf}, 0
    measure, update = _compile(image, targets, extract, config, rate)
    size = tuple(picture.shape[1:3])
    for index in range(steps.start, steps.stop + last):
        note = ""
        before = image.read_value()
        terms = (update if index in steps else measure)()
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
            measure, update = _compile(image, targets, extract, config, rate)
            note = (
                f"the loss was not finite at step {index}; went back to the best "
                f"picture and halved the rate to {rate:g}"
            )
            if failures == PATIENCE:
                note = f"stopped: {note}, {PATIENCE} times without help"
        yield Step(index, size, terms, before, best, best_terms, note)
        if failures == PATIENCE:
            return


def _compile(image, targets, extract, config, rate):
    """Returns compiled functions: measure the losses; measure them, then update."""
    if config.optimizer == "lbfgs":
        optimizer = lbfgs.LBFGS(rate)
    else:
        optimizer = keras.optimizers.Adam(
            rate, beta_1=config.beta1, epsilon=config.epsilon
        )
    optimizer.build([image])  # else the first call traces the update twice

    @tf.function
    def measure():
        return measure_losses(image, targets, extract, config)

    @tf.function
    def update():
        with tf.GradientTape() as tape:
            terms = measure_losses(image, targets, extract, config)
        optimizer.apply([tape.gradient(terms["total"], image)], [image])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))
        return terms

    return measure, update


def choose(config):
    """Settles what `auto` means on this machine; as `hub.choose`."""
    if config.precision == "auto":
        config = dataclasses.replace(config, precision=hardware.fastest_dtype())
    if config.backbone != "auto":
        return config, ""
    backbone, note = features.choose()
    return dataclasses.replace(config, backbone=backbone), note


def load_backbone(config):
    """Loads the network that `config` asks for, with all the layers it needs."""
    config, _ = choose(config)
    layers = tuple(config.content_layers) + tuple(config.style_layers)
    return features.load_backbone(
        config.backbone, layers, config.pooling, config.precision
    )


def measure_targets(content, style, size, extract, config):
    """Measures what to aim at.

    Args:
        content: photo, [1, H, W, 3].
        style: painting, [1, H', W', 3]; scaled to `config.style_size`.
        size: height and width to work at; the style is scaled along with the content.
        extract: a `features.Backbone`.
        config: a `GatysConfig`.
    """
    style_size = _style_size(content, style, size, config)
    extract.check_size(*style_size, "the style, scaled with the picture to a size")
    content, style = images.resize(content, *size), images.resize(style, *style_size)
    return Targets(
        _pick(extract(content), config.content_layers), _grams(extract(style), config)
    )


def measure_losses(image, targets, extract, config):
    """Returns the weighted terms and their total, as scalars by name.

    Gatys et al. (2016), eq. 7, with total variation beside it.
    """
    activations = extract(image)
    contents = _pick(activations, config.content_layers)
    distances = [
        losses.content_loss(content, target)
        for content, target in zip(contents, targets.content, strict=True)
    ]
    terms = {
        "content": config.content_weight * tf.add_n(distances) / len(distances),
        "style": config.style_weight
        * losses.style_loss(
            _grams(activations, config), targets.grams, config.style_layer_weights
        ),
        "tv": config.tv_weight * losses.total_variation(image),
    }
    return terms | {"total": tf.add_n(list(terms.values()))}


def _pick(activations, layers):
    return [activations[features.layer_name(layer)] for layer in layers]


def _grams(activations, config):
    return [losses.gram_matrix(f) for f in _pick(activations, config.style_layers)]


def _first_picture(content, config, init):
    if config.init == "content":
        return content
    if config.init == "noise":
        noise = np.random.default_rng(config.seed).random(content.shape)
        return noise.astype(np.float32)
    if init is None:
        raise ValueError(
            f"init is {config.init!r}: pass that picture as the argument init"
        )
    return init


def _pyramid(content, style, extract, config):
    """Sizes to work at, each twice the one before, that the backbone can see."""
    sizes = [
        tuple(max(1, round(side / 2**halvings)) for side in content.shape[1:3])
        for halvings in reversed(range(config.scales))
    ]

    def shortest(size):
        return min(size + _style_size(content, style, size, config))

    sizes = list(dict.fromkeys(sizes))  # A pixel cannot be halved.
    sizes = [s for s in sizes if shortest(s) >= extract.least_size] or sizes[-1:]
    return sizes[-config.steps :]  # none goes without a step


def _style_size(content, style, size, config):
    """Height and width of the style beside a content of `size`."""
    factor = size[1] / content.shape[2]
    longest = (config.style_size or max(content.shape[1:3])) * factor
    return images.fit(style.shape[1:3], longest)
