"""Optical flow: where each pixel was in the previous frame, and how certain that is.

Optical flow by dense inverse search (Kroeger et al. 2016, "Fast Optical Flow using
Dense Inverse Search", https://arxiv.org/abs/1603.03590), in OpenCV's implementation.
"""

import importlib.util
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tf_style.system.errors import MissingPackage

# Of 4x4x4 colours, the share that changes from one frame to the next at a cut.
CUT = 0.5
# Levels of 255 by which a colour may differ from where it is said to come from.
MAX_CHANGE = 24
# Pixels a side below which OpenCV fails, or falls.
MIN_SIDE = 16
# Most that details are strengthened by.
MAX_GAIN = 1.5


class Motion(NamedTuple):
    """How a frame moved since the one before."""

    places: np.ndarray  # [H, W, 2], x and y of each pixel in the frame before
    trust: np.ndarray  # [H, W, 1] in [0, 1], 0 where it was not to be seen there


def check() -> None:
    """Raises early if OpenCV is missing.

    Raises:
        ImportError: it is not installed.
    """
    if importlib.util.find_spec("cv2") is None:
        raise MissingPackage(
            "optical flow needs OpenCV; install it with pip install 'tf_style[video]', "
            "or use --noflow"
        )


def is_cut(before: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]) -> bool:
    """Tells whether a scene ends between two frames, uint8 [H, W, 3]."""
    counts = [_count_colours(image) for image in (before, now)]
    return np.abs(counts[0] - counts[1]).sum() / 2 > CUT


def _count_colours(image):
    """Returns the shares of 64 colours."""
    levels = image[::2, ::2].astype(np.int32) >> 6
    index = levels @ np.array([16, 4, 1], np.int32)
    return np.bincount(index.ravel(), minlength=64) / index.size


def measure(before: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]) -> Motion:
    """Returns the `Motion` between two frames, uint8 [H, W, 3] of one size.

    It is trusted where the displacements there and back come to the same place, as in
    Ruder et al. (2016), "Artistic style transfer for videos", eq. 5,
    https://arxiv.org/abs/1604.08610, and to the same colour.
    """
    import cv2  # optional, and slow to load

    back, forth = _search(now, before), _search(before, now)
    height, width = now.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    places = back + np.stack([columns, rows], -1)
    forth = cv2.remap(forth, places, None, cv2.INTER_LINEAR)
    lengths = [np.square(field).sum(-1) for field in (back, forth, back + forth)]
    trusted = lengths[2] <= 0.01 * (lengths[0] + lengths[1]) + 0.5
    last = np.array([width - 1, height - 1], np.float32)
    trusted &= ((places >= 0) & (places <= last)).all(-1)
    # Two displacements can agree and both be wrong, if something small has moved far.
    moved = cv2.remap(before, places, None, cv2.INTER_LINEAR)
    changed = cv2.blur(cv2.absdiff(moved, now), (3, 3)).max(-1)
    trusted &= changed <= MAX_CHANGE
    # The rims of what moves are made anew, softly.
    trust = cv2.erode(trusted.astype(np.float32), np.ones((3, 3), np.uint8))
    return Motion(places, cv2.GaussianBlur(trust, (0, 0), 1)[..., None])


def _search(one, other):
    """Returns how far [H, W, 2] each pixel of a frame is from its like in another."""
    import cv2

    height, width = one.shape[:2]
    rims = (0, max(0, MIN_SIDE - height), 0, max(0, MIN_SIDE - width))
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (one, other)]
    greys = [cv2.copyMakeBorder(g, *rims, cv2.BORDER_REPLICATE) for g in greys]
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    # The preset ends at quarters, and misses small things in small films.
    search.setFinestScale(1)
    return search.calc(*greys, None)[:height, :width]


def warp(picture: npt.NDArray[np.float32], motion: Motion) -> npt.NDArray[np.float32]:
    """Moves a picture [1, H, W, 3] of the previous frame to where things are now."""
    import cv2

    moved = cv2.remap(
        np.ascontiguousarray(picture[0]),
        motion.places,
        None,
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.clip(moved, 0, 1)[None]


def carry(picture: npt.NDArray[np.float32], motion: Motion) -> npt.NDArray[np.float32]:
    """Moves a picture like `warp`, and sharpens it, since interpolation blurs."""
    return _sharpen(warp(picture, motion), _details(picture))


class Blend:
    """Lets strokes follow the motion from frame to frame.

    Where the motion is trusted, a picture is mostly the previous one, moved. Averaging
    strokes that do not match blurs them, so the picture is sharpened to the level of
    the
    stylized frame, which also makes up for the interpolation.

    Attributes:
        before: the last picture shown, [1, H, W, 3]; None at first. To continue a film,
            pass that of its last frame.
    """

    # Share of the picture before. At 0.9 edges begin to ring.
    CARRIED = 0.8

    def __init__(self, before=None):
        self.before = before

    def add(
        self, picture: npt.NDArray[np.float32], motion: Motion | None
    ) -> npt.NDArray[np.float32]:
        """Returns the picture to show for a stylized frame [1, H, W, 3] in [0, 1].

        Args:
            picture: the frame, stylized by itself.
            motion: the `Motion` since the previous frame; None where a scene begins.
        """
        if self.before is not None and motion is not None:
            share = self.CARRIED * motion.trust
            mixed = picture + share * (warp(self.before, motion) - picture)
            picture = _sharpen(mixed, _details(picture))
        self.before = picture
        return picture


def _details(picture):
    """Returns what is finer than about two pixels."""
    import cv2

    return picture - cv2.GaussianBlur(picture[0], (0, 0), 1)[None]


def _sharpen(picture, wanted):
    """Strengthens the details of a picture to the mean size of those `wanted`."""
    details = _details(picture)
    size, target = np.abs(details).mean(), np.abs(wanted).mean()
    # Details of details are smaller than they are: once more for what is lacking.
    twice = np.abs(details + _details(details)).mean() - size
    gain = np.clip((target - size) / max(twice, 1e-6), 0, MAX_GAIN)
    return np.clip(picture + gain * details, 0, 1)
