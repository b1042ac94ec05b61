"""Patch distances: do a picture's patches look like the painting's?

Gram matrices can match when grain has the right statistics. These distances compare 3x3
patches of our backbone's activations with their nearest neighbours, as in Li and Wand
(2016), https://arxiv.org/abs/1601.04589. Lower is better for all.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style.networks import features
from tf_style.networks.backbone import Backbone

# Layers whose patches are compared, for strokes and for motifs.
LAYERS = ("block2_conv2", "block3_conv3")
# Layers for structure, at the full size and at half the size.
STRUCTURE_LAYERS = ("block4_conv1", "block3_conv3")
# Number of random patches, and of random positions, per picture.
PATCHES = 3000
POSITIONS = 900
# Smaller pictures are enlarged to this shortest side, so that the deepest layer has a
# patch. Larger ones are shrunk to this longest side, to limit memory.
MIN_SIDE, MAX_SIDE = 48, 1024


class Distances(NamedTuple):
    """How far a picture is from a painting, and from the photo; all in [0, 2]."""

    # Mean over the picture's patches of the distance to the painting's nearest.
    fidelity: float
    # The reverse: does the picture have all kinds of patches of the painting?
    coverage: float
    # How much of the photo's layout is lost, regardless of colours and strokes.
    structure: float


def measure(
    content: tf.Tensor,
    styles: Sequence[tf.Tensor],
    picture: tf.Tensor,
    shares: Sequence[float] = (),
) -> Distances:
    """Measures a picture.

    Args:
        content: photo, [1, H, W, 3] in [0, 1].
        styles: paintings, [1, H', W', 3] each; measured at the picture's longer side.
        picture: of the photo's size.
        shares: share of each painting's patches; empty: all equal.
    """
    longest = min(MAX_SIDE, max(picture.shape[1:3]))
    content, picture, *styles = (
        _scale(image, longest) for image in (content, picture, *styles)
    )
    shares = np.asarray(shares or [1] * len(styles)) / (sum(shares) or len(styles))
    found, structures = [], []
    for half, layer in zip((False, True), STRUCTURE_LAYERS):
        if half:
            content, picture, *styles = map(_halve, (content, picture, *styles))
        of_photo, ours, *theirs = (
            _load_backbone()(image) for image in (content, picture, *styles)
        )
        for name in LAYERS:
            paintings = [seen[name] for seen in theirs]
            found.append(_patch_distances(paintings, shares, ours[name]))
        structures.append(_structure(of_photo[layer], ours[layer]))
    fidelity, coverage = np.mean(found, 0)
    return Distances(float(fidelity), float(coverage), float(np.mean(structures)))


@functools.cache
def _load_backbone() -> Backbone:
    return features.load_backbone("builtin", (*LAYERS, *STRUCTURE_LAYERS))


def _scale(image, longest):
    """Scales the longer side to `longest`, and the shorter to at least `MIN_SIDE`."""
    size = np.array(image.shape[1:3])
    factor = max(longest / size.max(), MIN_SIDE / size.min())
    size = np.maximum(np.round(factor * size), MIN_SIDE).astype(int)
    if tuple(size) == tuple(image.shape[1:3]):
        return tf.convert_to_tensor(image)
    return tf.image.resize(image, size, antialias=True)


def _halve(image):
    size = [side // 2 for side in image.shape[1:3]]
    return tf.image.resize(image, size, method="area")


def _patch_distances(styles, shares, picture):
    """Returns fidelity and coverage from activations of a layer, [1, H, W, C] each."""
    means = [tf.reduce_mean(style, [1, 2], keepdims=True) for style in styles]
    mean = tf.add_n([share * mean for share, mean in zip(shares, means)])
    counts = [round(share * PATCHES) for share in shares]
    theirs = [_take_patches(s - mean, n) for s, n in zip(styles, counts) if n]
    ours = _take_patches(picture - mean, PATCHES)
    cosines = tf.matmul(ours, tf.concat(theirs, 0), transpose_b=True)
    return [1 - tf.reduce_mean(tf.reduce_max(cosines, axis)) for axis in (1, 0)]


def _take_patches(values, count):
    """Returns 3x3 patches of [1, H, W, C] as unit vectors, [N, 9 * C]."""
    _, height, width, channels = values.shape
    corners = _choose((height - 2) * (width - 2), count)
    corners = corners // (width - 2) * width + corners % (width - 2)
    steps = (np.arange(3)[:, None] * width + np.arange(3)).ravel()
    flat = tf.reshape(values, [-1, channels])
    patches = tf.gather(flat, corners[:, None] + steps)
    return tf.math.l2_normalize(tf.reshape(patches, [len(corners), -1]), 1)


def _structure(content, picture):
    """Returns the L1 distance of self-distances, Kolkin et al. (2019), eq. 6.

    Columns of the matrices of cosine distances between all positions sum to one.
    """
    matrices = []
    for values in (content, picture):
        flat = tf.reshape(values, [-1, values.shape[-1]])
        flat = tf.gather(flat, _choose(flat.shape[0], POSITIONS))
        flat = tf.math.l2_normalize(flat - tf.reduce_mean(flat, 0), 1)
        distances = 1 - tf.matmul(flat, flat, transpose_b=True)
        matrices.append(distances / tf.reduce_sum(distances, 0))
    difference = tf.abs(matrices[0] - matrices[1])
    return tf.reduce_mean(tf.reduce_sum(difference, 0))


def _choose(total, count):
    """Returns a reproducible random choice of indices."""
    order = np.random.default_rng(0).permutation(total)
    return np.sort(order[:count])
