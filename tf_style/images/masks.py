"""Masks: where a style is painted, [1, H, W, 1], from 0 (the photo) to 1.

A single mask applies to everything; several apply to one style each.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_style import images
from tf_style.images import PictureLike, Pixels
from tf_style.system.errors import InvalidInput

# What is more than rounding makes of black.
VISIBLE = 2 / 255

Masks: TypeAlias = PictureLike | Sequence[PictureLike] | None

# What callers may pass, as errors say it.
MASK = (
    "a mask, [H, W], [H, W, 1] or [1, H, W, 1], of floats in [0, 1], bool, uint8 or "
    "uint16, or a picture"
)


def as_mask(value: PictureLike, name: str = "mask") -> Pixels:
    """Converts a mask to the form that all modules use.

    Args:
        value: [H, W], [H, W, C] or [1, H, W, C], of floats in [0, 1], bool, uint8 or
            uint16, where C is 1, or 3 as in a picture, which is averaged; an array, a
            tensor, or a PIL image, whose transparent parts are 0.
        name: of the argument, for messages.

    Returns:
        float32 [1, H, W, 1] in [0, 1].

    Raises:
        ValueError: it is anything else; see `images.as_picture`.
    """
    if isinstance(value, Image.Image):
        return of_picture(*images.from_pil(value, name))
    array = images.as_array(value, name, MASK, "give them as a list", (1, 3))
    return array if array.shape[-1] == 1 else array.mean(-1, keepdims=True)


def as_masks(value: Masks) -> list[Pixels]:
    """Returns None, one mask, or a list or tuple of them, as a list; see `as_mask`."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [as_mask(mask, f"masks[{i}]") for i, mask in enumerate(value)]
    return [as_mask(value, "masks")]


def of_picture(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """Converts a picture to a mask; its transparent parts are not painted.

    If that leaves nothing to paint, as for a black shape, the opaque parts are painted.

    Args:
        pixels, alpha: see `images.Picture`.

    Returns:
        float32 [1, H, W, 1] in [0, 1].
    """
    grey = pixels.mean(-1, keepdims=True)
    if alpha is None:
        return grey
    mask = np.clip(grey - (1 - alpha), 0, 1)  # It was shown on white.
    return mask if mask.max() > VISIBLE else alpha


def fit(masks: Masks, content: Pixels, styles: int) -> list[Pixels]:
    """Scales masks to the size of the photo.

    Args:
        masks: None, one mask, or a list with none, one, or one for each style; see
            `as_mask`.
        content: photo, [1, H, W, 3].
        styles: number of styles.

    Returns:
        A list of float32 [1, H, W, 1].

    Raises:
        ValueError: a mask is invalid or has other proportions, or their number does not
            match.
    """
    masks = as_masks(masks)
    if len(masks) not in (0, 1, styles):
        raise InvalidInput(
            f"{len(masks)} masks for {styles} styles; give one mask, or one for each"
        )
    height, width = content.shape[1:3]
    for mask in masks:
        rows, columns = mask.shape[1:3]
        if not images.are_alike((rows, columns), (height, width)):
            raise InvalidInput(
                f"a mask of {columns}x{rows} pixels does not have the proportions of "
                f"the content, {width}x{height}"
            )
    return [images.resize(mask, height, width) for mask in masks]


def mix(
    pictures: Sequence[Pixels], masks: Sequence[Pixels], shares: Sequence[float]
) -> Pixels:
    """Mixes pictures [1, H, W, 3] by masks, and by shares where they overlap.

    Without masks, it is their weighted mean.
    """
    # Least weight; the masks have 256 levels.
    weights = [share * np.maximum(m, 1e-6) for m, share in zip(masks, shares)]
    total: Any = sum(weights)
    parts: Any = zip(pictures, weights)
    return sum(picture * weight / total for picture, weight in parts)


def compose(content: Pixels, picture: Pixels, masks: Sequence[Pixels]) -> Pixels:
    """Puts the painted picture into the photo where the masks are; no mask: everywhere.

    Args:
        content, picture: [1, H, W, 3].
        masks: result of `fit`.
    """
    if not masks:
        return picture
    covered = np.minimum(sum(masks), 1)
    return content + covered * (picture - content)


def factors(masks: Sequence[Pixels], shares: Sequence[float]) -> list[float]:
    """Returns the factor of each region's Gram matrix, which weighs its loss.

    A loss that is a mean over positions acts on a small region as strongly as on a
    large one, and so more strongly on each of its pixels. Weighted by area, all pixels
    count alike.

    Args:
        masks: one for each region, [1, H, W, 1].
        shares: share of each region's style; they add up to 1.
    """
    # Losses square what is multiplied, and take the mean over regions.
    weights = [share * len(masks) * mask.mean() for mask, share in zip(masks, shares)]
    return [float(np.sqrt(weight * len(masks))) for weight in weights]


def guide(masks: Sequence[Pixels], scales: Sequence[float], halvings: int) -> tf.Tensor:
    """Returns the factors of activations that make Gram matrices those of regions.

    Gatys et al. (2017), "Controlling Perceptual Factors in Neural Style Transfer",
    https://arxiv.org/abs/1611.07865, spatial control by guided Gram matrices.

    Args:
        masks: one for each of R regions, [1, H, W, 1].
        scales: scales of their Gram matrices, from `factors`.
        halvings: how often pooling halved the picture before these activations.

    Returns:
        float32 [R, H', W', 1]; its square has the mean `scales`.
    """
    guides = tf.concat(masks, 0)
    for _ in range(halvings):
        guides = tf.nn.avg_pool2d(guides, 2, 2, "VALID")
    mean = tf.reduce_mean(guides, [1, 2], keepdims=True)
    scales = tf.reshape(tf.constant(scales, tf.float32), [-1, 1, 1, 1])
    return tf.sqrt(tf.math.divide_no_nan(guides * scales, mean))
