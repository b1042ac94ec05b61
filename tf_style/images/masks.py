"""Where in a picture a style goes: masks [1, H, W, 1], from 0, the photo, to 1.

One mask is for whatever is painted; of several, each is for a style of its own.
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
    """Brings a mask, as callers have it, to the form that all modules share.

    Args:
        value: [H, W], [H, W, C] or [1, H, W, C], of floats in [0, 1], bool, uint8 or
            uint16, C being 1 or, as read from a picture, 3, which are averaged; an
            array, a tensor, or a PIL image, of which clear parts are 0.
        name: of the argument, for messages.

    Returns:
        float32 [1, H, W, 1] in [0, 1].

    Raises:
        ValueError: it is anything else; as `images.as_picture`.
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
    """Returns the mask that a picture is: what is clear in it is not painted.

    Where nothing else would be painted, as of a black shape, what is not clear is.

    Args:
        pixels, alpha: as an `images.Picture` has them.

    Returns:
        float32 [1, H, W, 1] in [0, 1].
    """
    grey = pixels.mean(-1, keepdims=True)
    if alpha is None:
        return grey
    mask = np.clip(grey - (1 - alpha), 0, 1)  # It was shown on white.
    return mask if mask.max() > VISIBLE else alpha


def fit(masks: Masks, content: Pixels, styles: int) -> list[Pixels]:
    """Brings masks to the size of the photo.

    Args:
        masks: None, one, or a list of none, one, or one for each style; as of
            `as_mask`.
        content: photo, [1, H, W, 3].
        styles: how many.

    Returns:
        A list of float32 [1, H, W, 1].

    Raises:
        ValueError: a mask is none, or has other proportions, or their number fits
            neither.
    """
    masks = as_masks(masks)
    if len(masks) not in (0, 1, styles):
        raise InvalidInput(
            f"{len(masks)} masks for {styles} styles; give one mask, or one for each"
        )
    height, width = content.shape[1:3]
    for mask in masks:
        rows, columns = mask.shape[1:3]
        # Sides are whole numbers, so that proportions hold to half a pixel.
        if 2 * abs(rows * width - columns * height) > rows + columns + height + width:
            raise InvalidInput(
                f"a mask of {columns}x{rows} pixels does not have the proportions of "
                f"the content, {width}x{height}"
            )
    return [images.resize(mask, height, width) for mask in masks]


def mix(
    pictures: Sequence[Pixels], masks: Sequence[Pixels], shares: Sequence[float]
) -> Pixels:
    """Mixes pictures [1, H, W, 3] by their masks, and by their shares where they meet.

    Where there is no mask, it is their mean.
    """
    # Least weight; the masks have 256 levels.
    weights = [share * np.maximum(m, 1e-6) for m, share in zip(masks, shares)]
    total: Any = sum(weights)
    parts: Any = zip(pictures, weights)
    return sum(picture * weight / total for picture, weight in parts)


def compose(content: Pixels, picture: Pixels, masks: Sequence[Pixels]) -> Pixels:
    """Puts what was painted into the photo, where the masks say; no mask: everywhere.

    Args:
        content, picture: [1, H, W, 3].
        masks: as from `fit`.
    """
    if not masks:
        return picture
    covered = np.minimum(sum(masks), 1)
    return content + covered * (picture - content)


def factors(masks: Sequence[Pixels], shares: Sequence[float]) -> list[float]:
    """Returns by what each region's Gram matrix is multiplied, to weigh its loss.

    A loss that is a mean over positions acts on a small region as strongly as on a
    large one, and so on each of its pixels more; by areas, all pixels count alike.

    Args:
        masks: one for each region, [1, H, W, 1].
        shares: of each region's style, all together 1.
    """
    # Losses square what is multiplied, and take the mean over regions.
    weights = [share * len(masks) * mask.mean() for mask, share in zip(masks, shares)]
    return [float(np.sqrt(weight * len(masks))) for weight in weights]


def guide(masks: Sequence[Pixels], scales: Sequence[float], halvings: int) -> tf.Tensor:
    """Returns what activations are multiplied with, so that Gram matrices are regions'.

    Gatys et al. (2017), "Controlling Perceptual Factors in Neural Style Transfer",
    https://arxiv.org/abs/1611.07865, spatial control by guided Gram matrices.

    Args:
        masks: one for each of R regions, [1, H, W, 1].
        scales: of their Gram matrices, as from `factors`.
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
