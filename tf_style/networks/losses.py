"""Losses: content, style, nearest neighbours, total variation, films.

Pure functions of activations or pixels come first. All are means over positions, so a
weight keeps its meaning when the picture's size changes. `content`, `style` and others
turn them into `Loss`es, the terms of an objective.

Sources: Gatys et al. (2016), "Image Style Transfer Using Convolutional Neural
Networks", https://doi.org/10.1109/CVPR.2016.265, and the TensorFlow tutorial "Neural
style transfer", https://www.tensorflow.org/tutorials/generative/style_transfer.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

# The layer that is the picture itself.
PIXELS = "pixels"


@tf.custom_gradient
def gram_matrix(features: tf.Tensor) -> Any:
    """Correlates channels over all positions.

    Gatys et al. (2016), eq. 3, sum over positions; we divide by their number, H * W,
    as the tutorial does, so that pictures of different sizes compare.

    Args:
        features: activations, [B, H, W, C], of any float type.

    Returns:
        Channel correlations, float32 [B, C, C].
    """
    positions = tf.cast(tf.reduce_prod(tf.shape(features)[1:3]), tf.float32)

    def gradient(upstream):
        # TensorFlow's own would take both factors apart, and keep them in float32.
        both = (upstream + tf.linalg.matrix_transpose(upstream)) / positions
        kernels = tf.unstack(tf.cast(both, features.dtype)[:, None, None])
        pictures = tf.split(features, len(kernels))
        turned = [
            tf.nn.conv2d(picture, kernel, 1, "VALID")
            for picture, kernel in zip(pictures, kernels)
        ]
        return tf.concat(turned, 0)

    products = [_product(picture) for picture in tf.unstack(features)]
    return tf.stack(products) / positions, gradient


def _product(picture):
    # Of batched products, and of those in few bits, TensorFlow keeps some 300 KB for
    # each size; of these, and of convolutions, a fraction.
    flat = tf.reshape(picture, [-1, picture.shape[-1]])
    # A sum over so many positions has no room in fewer bits.
    flat = tf.cast(flat, tf.float32)
    return tf.matmul(flat, flat, transpose_a=True)


def content_loss(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of activations, [B, H, W, C] each, as a float32 scalar.

    Gatys et al. (2016), eq. 1, is half the sum: H * W * C / 2 times ours.
    """
    difference = tf.cast(features, tf.float32) - tf.cast(target, tf.float32)
    return tf.reduce_mean(tf.square(difference))


def style_loss(
    grams: Sequence[tf.Tensor],
    targets: Sequence[tf.Tensor],
    weights: Sequence[float] | None = None,
) -> tf.Tensor:
    """Weighted mean over layers of the mean squared difference of Gram matrices.

    With N channels, and Gram matrices divided by positions as above, a layer's term in
    Gatys et al. (2016), eq. 4, is a quarter of ours. Equal weights are the tutorial's.

    Args:
        grams: Gram matrices of the picture, one [B, C, C] per layer.
        targets: those of the style, in the same order.
        weights: one number per layer, scaled to sum to one; None weighs all equally.

    Returns:
        A scalar.
    """
    weights = weights or [1.0] * len(grams)
    terms = [
        weight * tf.reduce_mean(tf.math.squared_difference(gram, target))
        for gram, target, weight in zip(grams, targets, weights, strict=True)
    ]
    return tf.add_n(terms) / sum(weights)


def total_variation(image: tf.Tensor) -> tf.Tensor:
    """Mean over pixels of the absolute differences to the right and lower neighbours.

    The tutorial takes the sum, which grows with the picture while its other terms do
    not: its weight of 30 is 30 * H * W here.

    Args:
        image: [B, H, W, C].

    Returns:
        A scalar, summed over channels.
    """
    return _variation(with_neighbours(image))


def with_neighbours(image: tf.Tensor) -> tf.Tensor:
    """Repeats the last row and column of [B, H, W, C]."""
    image = tf.convert_to_tensor(image)
    image = tf.concat([image, image[:, -1:]], 1)
    return tf.concat([image, image[:, :, -1:]], 2)


def _variation(image):
    """As `total_variation`, of [B, H + 1, W + 1, C]."""
    batch, height, width, _ = tf.unstack(tf.shape(image) - [0, 1, 1, 0])

    # Gradients of tf.slice take a seventh of the time of those of image[...].
    def shifted(down, right):
        return tf.slice(image, [0, down, right, 0], [-1, height, width, -1])

    here = shifted(0, 0)
    steps = [shifted(1, 0) - here, shifted(0, 1) - here]
    total = tf.add_n([tf.reduce_sum(tf.abs(step)) for step in steps])
    return total / tf.cast(batch * height * width, image.dtype)


def temporal_loss(image: tf.Tensor, prior: tf.Tensor, trust: tf.Tensor) -> tf.Tensor:
    """Mean squared distance of a frame to the previous one, moved, where it is trusted.

    Ruder et al. (2016), "Artistic style transfer for videos", eq. 7,
    https://arxiv.org/abs/1604.08610.

    Args:
        image: [1, H, W, 3].
        prior: the previous picture, moved to where things are now, likewise.
        trust: [1, H, W, 1] in [0, 1].
    """
    return tf.reduce_mean(trust * tf.square(image - prior))


def cosine_distance(
    features: tf.Tensor, target: tf.Tensor, centre: tf.Tensor
) -> tf.Tensor:
    """Mean cosine distance of centred activations to directions, a float32 scalar.

    Kolkin et al. (2022), "Neural Neighbor Style Transfer", eq. 1,
    https://arxiv.org/abs/2203.13215.

    Args:
        features: [B, H, W, C].
        target: likewise, of unit length; shorter or longer where several directions
            were added.
        centre: [C].
    """
    centred = tf.cast(features, tf.float32) - centre
    # Even areas have activations at the very centre.
    directions = tf.math.l2_normalize(centred, -1, epsilon=1e-8)
    products = tf.reduce_sum(directions * tf.cast(target, tf.float32), -1)
    return 1 - tf.reduce_mean(products)


class Loss(NamedTuple):
    """A loss of a picture, as a function of means over positions of layers.

    Attributes:
        name: name of its term.
        layers: the layers it needs; `PIXELS` is the picture, with a row and a column of
            neighbours (see `with_neighbours`).
        measure: (activations [1, H, W, C], targets at these positions, target of the
            whole picture) -> a mean over positions, float32 of any shape.
        combine: (these means, one for each layer; targets of the whole picture,
            likewise) -> a scalar.
        reference: kind of its targets: the photo's activations ("content"), means over
            the painting ("style"), the painting's activations ("nearest"), the previous
            frame of a film ("prior"), or none ("").
    """

    name: str
    layers: tuple[str, ...]
    measure: Callable
    combine: Callable
    reference: str = ""


def content(layers: tuple[str, ...]) -> Loss:
    """The photo's activations: `content_loss`, its mean over layers."""

    def combine(distances, _):
        return tf.add_n(distances) / len(distances)

    def measure(features, target, _):
        return content_loss(features, target)

    return Loss("content", layers, measure, combine, "content")


def style(layers: tuple[str, ...], weights: Sequence[float] = ()) -> Loss:
    """The painting's correlations: `style_loss` of Gram matrices.

    Positions may have guides, [R, H, W, 1]; Gram matrices are then those of R regions.
    """

    def measure(features, guide, _):
        if not isinstance(guide, tuple):
            features = features * tf.cast(guide, features.dtype)
        return gram_matrix(features)

    def combine(grams, targets):
        return style_loss(grams, targets, list(weights))

    return Loss("style", layers, measure, combine, "style")


def nearest(layers: tuple[str, ...]) -> Loss:
    """The painting's nearest activations: `cosine_distance`.

    The targets of positions are directions, [1, H, W, C], from the target of the whole,
    [C].
    """

    def combine(distances, _):
        return tf.add_n(distances) / len(distances)

    return Loss("style", layers, cosine_distance, combine, "nearest")


def variation() -> Loss:
    """Smoothness: `total_variation`."""
    return Loss("tv", (PIXELS,), lambda image, *_: _variation(image), _first)


def temporal() -> Loss:
    """The previous frame of a film: `temporal_loss`."""

    def measure(image, held, _):
        return temporal_loss(image[:, :-1, :-1], *held)

    return Loss("temporal", (PIXELS,), measure, _first, "prior")


def _first(means, _):
    return means[0]
