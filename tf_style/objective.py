"""What the slow path minimises: content, style and total variation of one picture.

Gatys et al. (2016), eq. 7, with total variation beside it.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_style import features, images, losses


class Targets(NamedTuple):
    """What the picture should come to: the photo's content, the painting's style."""

    content: list[tf.Tensor]  # per content layer, [1, H', W', C]
    grams: list[tf.Tensor]  # per style layer, [1, C, C]


def scale_style(content, style, size, config):
    """Returns height and width of `style` beside a content that is scaled to `size`."""
    factor = size[1] / content.shape[2]
    longest = (config.style_size or max(content.shape[1:3])) * factor
    return images.fit(style.shape[1:3], longest)


def scale(content, style, size, extract, config):
    """Scales the photo to `size` and the painting along with it."""
    style_size = scale_style(content, style, size, config)
    extract.check_size(*style_size, "the style, scaled with the picture to a size")
    return images.resize(content, *size), images.resize(style, *style_size)


class Whole:
    """The objective of pictures whose activations fit into memory.

    Args:
        extract: a `features.Backbone`.
        config: a `GatysConfig`.
    """

    def __init__(self, extract, config):
        self._extract = extract
        self._config = config

    def measure_targets(self, content, style, size):
        """Measures what to aim at.

        Args:
            content: photo, [1, H, W, 3].
            style: painting, [1, H', W', 3]; scaled to `config.style_size`.
            size: height and width to work at; the style is scaled along with the photo.

        Raises:
            ValueError: a picture is too small for the layers.
        """
        content, style = scale(content, style, size, self._extract, self._config)
        contents = pick(self._extract(content), self._config.content_layers)
        return Targets(contents, self._grams(self._extract(style)))

    @tf.function
    def measure_losses(self, image, targets):
        """Returns the weighted terms and their total, as scalars by name."""
        activations = self._extract(image)
        contents = pick(activations, self._config.content_layers)
        distances = [
            losses.content_loss(content, target)
            for content, target in zip(contents, targets.content, strict=True)
        ]
        variation = losses.total_variation(image)
        grams = self._grams(activations)
        return weigh(distances, grams, variation, targets, self._config)

    @tf.function
    def differentiate(self, image, targets):
        """Returns the terms, and the gradient of their total by the pixels."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            terms = self.measure_losses(image, targets)
        return terms, tape.gradient(terms["total"], image)

    def _grams(self, activations):
        layers = pick(activations, self._config.style_layers)
        return [losses.gram_matrix(layer) for layer in layers]


def weigh(distances, grams, variation, targets, config):
    """Weighs what was measured of a picture.

    Args:
        distances: content losses, one per content layer.
        grams: Gram matrices, one [1, C, C] per style layer.
        variation: total variation.
        targets: the `Targets`.
        config: a `GatysConfig`.

    Returns:
        "content", "style", "tv" and their "total", as scalars.
    """
    terms = {
        "content": config.content_weight * tf.add_n(distances) / len(distances),
        "style": config.style_weight
        * losses.style_loss(grams, targets.grams, config.style_layer_weights),
        "tv": config.tv_weight * variation,
    }
    return terms | {"total": tf.add_n(list(terms.values()))}


def pick(activations, layers):
    """Returns activations in the order of `layers`, in any of their spellings."""
    return [activations[features.layer_name(layer)] for layer in layers]
