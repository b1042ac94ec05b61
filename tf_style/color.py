"""Keeping the photo's colours.

Gatys et al. (2016), "Preserving Color in Neural Artistic Style Transfer",
https://arxiv.org/abs/1606.05897: the style takes on the photo's colours before it is
imitated, or only its luminance is imitated. Departures: the result takes on the photo's
colours once more, so that they match exactly; covariances are matched by the linear
transport that moves colours least; luminance comes from a result in colour.
"""

import numpy as np

from tf_style.config import StyleConfig
from tf_style.images import PictureLike, Pixels
from tf_style.networks import second_moments

# Y of YIQ, as in the paper.
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
# Least variance of any direction of colours, relative to the mean one: a picture that
# is nearly grey, or of one colour, has its noise enlarged 30 times at most.
RIDGE = 1e-3


def prepare(style: Pixels, content: Pixels, config: StyleConfig) -> Pixels:
    """Gives a style the photo's colours, as far as `config` preserves them.

    Args:
        style: painting, [1, H', W', 3] in [0, 1].
        content: photo, [1, H, W, 3] in [0, 1].
        config: config of any method.

    Returns:
        float32 [1, H', W', 3] in [0, 1].
    """
    return _blend(style, content, config, _match_luminance)


def restore(picture: PictureLike, content: PictureLike, config: StyleConfig) -> Pixels:
    """Gives a stylized picture the photo's colours; for the arguments see `prepare`."""
    return _blend(picture, content, config, _take_luminance)


def _blend(picture, content, config, match_luminance):
    if config.preserve_color == "none" or config.color_strength == 0:
        return picture
    match = {
        "luminance": match_luminance,
        "covariance": _match_covariance,
        "histogram": _match_histogram,
    }[config.preserve_color]
    picture = np.asarray(picture, np.float32)
    matched = np.clip(match(picture, np.asarray(content, np.float32)), 0, 1)
    return picture + np.float32(config.color_strength) * (matched - picture)


def luminance(picture: Pixels) -> Pixels:
    """Returns the luminance of [1, H, W, 3], [1, H, W, 1]."""
    return (picture @ LUMINANCE)[..., None]


def _match_luminance(style, content):
    """Moves luminance to the mean and deviation of the photo's."""
    own, target = luminance(style), luminance(content)
    matched = (own - own.mean()) * target.std() / max(own.std(), 1e-6) + target.mean()
    return style + matched - own


def _take_luminance(picture, content):
    """Takes luminance from the picture and chroma from the photo."""
    return content + luminance(picture) - luminance(content)


def _match_covariance(picture, content):
    """Moves colours to the mean and covariance of the photo's."""
    target = second_moments.second(content)
    return second_moments.transport(picture, target, RIDGE).numpy()


def _match_histogram(picture, content):
    """Gives each channel the photo's distribution: its values, in the same order."""
    channels = []
    for own, target in zip(picture.reshape(-1, 3).T, content.reshape(-1, 3).T):
        # Equal values stay equal, at the middle of their ranks.
        _values, place, counts = np.unique(own, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - counts / 2) / own.size
        levels = (np.arange(target.size) + 0.5) / target.size
        channels.append(np.interp(ranks, levels, np.sort(target))[place])
    return np.stack(channels, -1).reshape(picture.shape).astype(np.float32)
