"""What a good picture is, in numbers: content, style and total variation.

Pure functions of activations or pixels, without weights or layer names. All are means
over positions, so that a weight keeps its meaning when the picture's size changes.

Sources: Gatys et al. (2016), "Image Style Transfer Using Convolutional Neural
Networks", https://doi.org/10.1109/CVPR.2016.265, and the TensorFlow tutorial "Neural
style transfer", https://www.tensorflow.org/tutorials/generative/style_transfer.
"""

import tensorflow as tf


def gram_matrix(features):
    """Correlates channels over all positions.

    Gatys et al. (2016), eq. 3, sum over positions; we divide by their number, H * W,
    as the tutorial does, so that pictures of different sizes compare.

    Args:
        features: activations, [B, H, W, C].

    Returns:
        Channel correlations, [B, C, C].
    """
    shape = tf.shape(features)
    flat = tf.reshape(features, [shape[0], shape[1] * shape[2], shape[3]])
    positions = tf.cast(shape[1] * shape[2], features.dtype)
    return tf.matmul(flat, flat, transpose_a=True) / positions


def content_loss(features, target):
    """Mean squared difference of activations, [B, H, W, C] each, as a scalar.

    Gatys et al. (2016), eq. 1, is half the sum: H * W * C / 2 times ours.
    """
    return tf.reduce_mean(tf.math.squared_difference(features, target))


def style_loss(grams, targets, weights=None):
    """Weighted mean over layers of the mean squared difference of Gram matrices.

    With N channels, and Gram matrices divided by positions as above, a layer's term in
    Gatys et al. (2016), eq. 4, is a quarter of ours. Equal weights are the tutorial's.

    Args:
        grams: Gram matrices of the picture, one [B, C, C] per layer.
        targets: those of the style, in the same order.
        weights: one number per layer, made to sum to one; None for all alike.

    Returns:
        A scalar.
    """
    weights = weights or [1.0] * len(grams)
    terms = [
        weight * tf.reduce_mean(tf.math.squared_difference(gram, target))
        for gram, target, weight in zip(grams, targets, weights, strict=True)
    ]
    return tf.add_n(terms) / sum(weights)


def total_variation(image):
    """Mean over pixels of the absolute differences to the right and lower neighbours.

    The tutorial takes the sum, which grows with the picture while its other terms do
    not: its weight of 30 is 30 * H * W here.

    Args:
        image: [B, H, W, C].

    Returns:
        A scalar, summed over channels.
    """
    image = tf.convert_to_tensor(image)
    shape = tf.shape(image)
    pixels = tf.cast(shape[1] * shape[2], image.dtype)
    return tf.reduce_mean(tf.image.total_variation(image)) / pixels
