"""What the slow path minimises: content, style and total variation of one picture.

Gatys et al. (2016), eq. 7, with total variation beside it.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_style import color, features, images, losses, masks
from tf_style.backbone import block_number


class Targets(NamedTuple):
    """What the picture should come to: the photo's content, the paintings' style."""

    content: list[tf.Tensor]  # per content layer, [1, H', W', C]
    grams: list[tf.Tensor]  # per style layer, [R, C, C]: one for each of R regions
    # Per style layer, as from `masks.guide`, [R, H', W', 1]; empty without masks, where
    # the picture is one region.
    guides: list[tf.Tensor]
    # Of a frame of a film: where the one before would have it, [1, H, W, 3], and how
    # far that is trusted, [1, H, W, 1]; else empty.
    prior: list[tf.Tensor] = []


def scale_style(content, style, size, config):
    """Returns height and width of `style` beside a content that is scaled to `size`."""
    factor = config.style_scale * size[1] / content.shape[2]
    longest = (config.style_size or max(content.shape[1:3])) * factor
    return images.fit(style.shape[1:3], longest)


def scale(photo, styles, size, extract, config):
    """Scales the photo to `size` and the paintings along with it.

    Paintings are given the photo's colours, as far as `config` wants those kept.
    """
    content, scaled = images.resize(photo, *size), []
    for style in images.several(styles):
        style_size = scale_style(photo, style, size, config)
        extract.check_size(*style_size, "the style, scaled with the picture to a size")
        style = images.resize(style, *style_size)
        scaled.append(color.prepare(style, content, config))
    return content, scaled


def aim(contents, grams, regions, config):
    """Makes `Targets` of what was measured.

    Args:
        contents: of the photo.
        grams: of each style, one [1, C, C] per style layer.
        regions: masks at the size to work at, [1, H, W, 1]; of several, one a style.
        config: a `GatysConfig`.
    """
    shares = config.share_among(len(grams))
    if len(regions) < 2:
        # The mean distance to several styles is least where that to their mean is.
        mixed = [
            tf.add_n([share * gram for share, gram in zip(shares, layer)])
            for layer in zip(*grams)
        ]
        grams, shares = [mixed], [1.0]
    if not regions:
        return Targets(contents, grams[0], [])
    scales = masks.factors(regions, shares)
    grams = [
        tf.concat([factor * gram for factor, gram in zip(scales, layer)], 0)
        for layer in zip(*grams)
    ]
    halvings = [block_number(features.layer_name(n)) - 1 for n in config.style_layers]
    return Targets(contents, grams, [masks.guide(regions, scales, n) for n in halvings])


def measure_gram(activations, guide=None):
    """Returns the Gram matrices [R, C, C] of a guide's regions, or of the whole."""
    if guide is not None:
        activations *= tf.cast(guide, activations.dtype)
    return losses.gram_matrix(activations)


class Whole:
    """The objective of pictures whose activations fit into memory.

    Args:
        extract: a `features.Backbone`.
        config: a `GatysConfig`.
        regions: where to paint: nothing for everywhere, one mask, or one for each
            style; [1, H, W, 1] in [0, 1].
    """

    def __init__(self, extract, config, regions=()):
        self._extract = extract
        self._config = config
        self._regions = regions

    def measure_targets(self, content, styles, size, before=None):
        """Measures what to aim at.

        Args:
            content: photo, [1, H, W, 3].
            styles: painting, [1, H', W', 3], or a sequence of them; each is scaled to
                `config.style_size`, along with the photo.
            size: height and width to work at.
            before: the `Targets` of another photo, with the same styles and size, whose
                Gram matrices to go on with.

        Raises:
            ValueError: a picture is too small for the layers.
        """
        styles = styles if before is None else []
        content, styles = scale(content, styles, size, self._extract, self._config)
        contents = pick(self._extract(content), self._config.content_layers)
        if before is not None:
            return before._replace(content=contents)
        grams = [self._grams(self._extract(style)) for style in styles]
        regions = [images.resize(mask, *size) for mask in self._regions]
        return aim(contents, grams, regions, self._config)

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
        drift = losses.temporal_loss(image, *targets.prior) if targets.prior else None
        grams = self._grams(activations, targets.guides)
        return weigh(distances, grams, variation, drift, targets, self._config)

    @tf.function
    def differentiate(self, image, targets):
        """Returns the terms, and the gradient of their total by the pixels."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            terms = self.measure_losses(image, targets)
        return terms, tape.gradient(terms["total"], image)

    def _grams(self, activations, guides=()):
        layers = pick(activations, self._config.style_layers)
        guides = guides or [None] * len(layers)
        return [measure_gram(*pair) for pair in zip(layers, guides, strict=True)]


def weigh(distances, grams, variation, drift, targets, config):
    """Weighs what was measured of a picture.

    Args:
        distances: content losses, one per content layer.
        grams: Gram matrices, one [R, C, C] per style layer.
        variation: total variation.
        drift: the temporal loss of a frame of a film, else None.
        targets: the `Targets`.
        config: a `GatysConfig`.

    Returns:
        "content", "style", "tv", of a frame "temporal", and their "total", as scalars.
    """
    terms = {
        "content": config.content_weight * tf.add_n(distances) / len(distances),
        "style": config.style_weight
        * losses.style_loss(grams, targets.grams, config.style_layer_weights),
        "tv": config.tv_weight * variation,
    }
    if drift is not None:
        terms["temporal"] = config.temporal_weight * drift
    return terms | {"total": tf.add_n(list(terms.values()))}


def pick(activations, layers):
    """Returns activations in the order of `layers`, in any of their spellings."""
    return [activations[features.layer_name(layer)] for layer in layers]
