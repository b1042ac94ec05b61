"""Optical flow: where each pixel was in the previous frame, and how certain that is.

Optical flow by dense inverse search (Kroeger et al. 2016, "Fast Optical Flow using
Dense Inverse Search", https://arxiv.org/abs/1603.03590), in OpenCV's implementation.
"""

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tf_style import images
from tf_style.system.errors import MissingPackage

# Share of a frame that is nowhere near in the one before, above which there is a cut.
# At ten cuts of real films it was at least 0.38, elsewhere in 2,900 at most 0.27.
CUT = 0.32
# That is looked for in frames shrunk to so many pixels, within so many of these, and is
# so many levels of 255 off.
CUT_SIDE, CUT_REACH, CUT_CHANGE = 48, 4, 16
# Levels by which what stands still may change, by noise, and levels a pixel below which
# it shows no motion but that which noise feigns.
MAX_NOISE, FLAT = 2, 0.8
# Levels of 255 by which a colour may differ from where it is said to come from.
MAX_CHANGE = 24
# What is not trusted is a hole if it is as large as this part of the longest side.
HOLE_SHARE = 48
# Pixels a side below which OpenCV fails, or falls.
MIN_SIDE = 16
# Longest side in pixels at which motion is searched: more takes longer than painting a
# frame, and finds hardly more.
MAX_SIDE = 960
# Most that details are strengthened by, and how fine these are: the width in pixels of
# the blur that removes them. Finer ones make still places grainy; with coarser ones,
# the finest fade from frame to frame.
MAX_GAIN, FINE = 1.5, 0.7
# Of pictures that are painted over after they were carried.
FINEST = 0.4


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
    """Tells whether a scene ends between two frames, uint8 [H, W, 3].

    It does if much of a frame looks like nothing nearby in the one before.
    """
    before, now = _shrink(before), _shrink(now)
    height, width = now.shape[:2]
    reach = CUT_REACH
    around = np.pad(before, ((reach, reach), (reach, reach), (0, 0)), "edge")
    least = np.full((height, width), np.inf, np.float32)
    for down, across in np.ndindex(2 * reach + 1, 2 * reach + 1):
        moved = around[down : down + height, across : across + width]
        least = np.minimum(least, _blur(np.abs(moved - now).mean(-1)))
    return bool((least > CUT_CHANGE).mean() > CUT)


def _shrink(image):
    """Returns the means of squares of a frame, float32 [h, w, 3]."""
    step = max(1, max(image.shape[:2]) // (4 * CUT_SIDE))
    image = image[::step, ::step]
    side = max(1, round(max(image.shape[:2]) / CUT_SIDE))
    side = min(side, *image.shape[:2])
    height, width = (length // side for length in image.shape[:2])
    squares = image[: height * side, : width * side]
    squares = squares.reshape(height, side, width, side, 3)
    return squares.mean((1, 3), dtype=np.float32)


def _blur(values):
    """Returns the means of 3x3 of [H, W]; OpenCV need not be there."""
    values = np.pad(values, 1, "edge")
    values = values[:-2] + values[1:-1] + values[2:]
    return (values[:, :-2] + values[:, 1:-1] + values[:, 2:]) / 9


def stillness(
    before: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """Returns where two frames are the same but for noise, [H, W, 1], 0 or 1."""
    change = np.abs(now.astype(np.float32) - before).max(-1)
    return (_blur(change) <= 3 * MAX_NOISE)[..., None].astype(np.float32)


def measure(before: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]) -> Motion:
    """Returns the `Motion` between two frames, uint8 [H, W, 3] of one size.

    It has their size, and is trusted where the displacements there and back come to the
    same place, as in Ruder et al. (2016), "Artistic style transfer for videos", eq. 5,
    https://arxiv.org/abs/1604.08610, and to the same colour.
    """
    size = now.shape[:2]
    before, now = _limit(before), _limit(now)
    return enlarge(_compare(before, now, *search(before, now)), *size)


def search(
    before: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Returns how far each pixel is from where it was, and will be, [H, W, 2] each.

    Frames of more than `MAX_SIDE` pixels a side are shrunk to that.
    """
    before, now = _limit(before), _limit(now)
    return _search(now, before), _search(before, now)


def _limit(frame):
    import cv2  # optional, and slow to load

    if max(frame.shape[:2]) <= MAX_SIDE:
        return frame
    size = images.fit(frame.shape[1::-1], MAX_SIDE)
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def enlarge(motion: Motion, height: int, width: int) -> Motion:
    """Returns the `Motion` of frames of a size that it was measured at or below."""
    import cv2

    rows, columns = motion.places.shape[:2]
    if (rows, columns) == (height, width):
        return motion
    field = motion.places - _places(np.zeros((rows, columns, 2), np.float32))
    field = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    field *= np.array([width / columns, height / rows], np.float32)
    trust = cv2.resize(motion.trust, (width, height), interpolation=cv2.INTER_LINEAR)
    return Motion(_places(field), trust[..., None])


def between(
    frames: Sequence[npt.NDArray[np.uint8]], displacements: Sequence[tuple]
) -> tuple[list[Motion], ...]:
    """Returns the `Motion`s of frames since the first of them, and until the last.

    What moves is followed from frame to frame: it may come too far to be found at once.

    Args:
        frames: uint8 [H, W, 3] of one size, at least two.
        displacements: what `search` returns for each and the next.

    Returns:
        Those since the first, of all frames but that; and, as if the film ran
        backwards, those of all frames but the last. They may be smaller than frames;
        see `enlarge`.
    """
    frames = [_limit(frame) for frame in frames]
    turned = [(forth, back) for back, forth in reversed(displacements)]
    return _follow(frames, displacements), _follow(frames[::-1], turned)[::-1]


def _follow(frames, steps):
    """Returns the `Motion`s of frames since the first, by those of all pairs."""
    (back, forth), *others = steps
    motions = [_compare(frames[0], frames[1], back, forth)]
    for frame, (step_back, step_forth) in zip(frames[2:], others):
        back = step_back + _take(back, _places(step_back))
        forth = forth + _take(step_forth, _places(forth))
        motions.append(_compare(frames[0], frame, back, forth))
    return motions


def _compare(before, now, back, forth):
    """Returns the `Motion` of displacements [H, W, 2] that may be wrong."""
    import cv2

    height, width = now.shape[:2]
    places = _places(back)
    forth = _take(forth, places)
    lengths = [
        field[..., 0] ** 2 + field[..., 1] ** 2 for field in (back, forth, back + forth)
    ]
    trusted = lengths[2] <= 0.01 * (lengths[0] + lengths[1]) + 0.5
    for axis, side in enumerate((width, height)):
        trusted &= (places[..., axis] >= 0) & (places[..., axis] <= side - 1)
    # Two displacements can agree and both be wrong, if something small has moved far.
    changed = cv2.blur(cv2.absdiff(_take(before, places), now), (3, 3)).max(-1)
    trusted &= changed <= MAX_CHANGE
    # The rims of what moves are made anew, softly.
    trust = cv2.erode(trusted.astype(np.float32), np.ones((3, 3), np.uint8))
    return Motion(places, cv2.GaussianBlur(trust, (0, 0), 1)[..., None])


def _places(field):
    """Returns where displacements lead, [H, W, 2]."""
    places = np.array(field, np.float32)
    places[..., 0] += np.arange(field.shape[1], dtype=np.float32)
    places[..., 1] += np.arange(field.shape[0], dtype=np.float32)[:, None]
    return places


def _take(values, places):
    """Returns what is at places; beyond the rim, what is there."""
    import cv2

    return cv2.remap(
        values, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


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
    search.setVariationalRefinementIterations(10)  # Fewer flicker more.
    found = search.calc(*greys, None)[:height, :width]
    blurred = [cv2.GaussianBlur(g[:height, :width], (0, 0), 2) for g in greys]
    still = cv2.absdiff(*blurred) <= MAX_NOISE
    found[still & (_slope(blurred[0]) < FLAT)] = 0
    return found


def _slope(grey):
    """Returns the levels a pixel by which a frame rises or falls there, [H, W]."""
    import cv2

    across, down = (
        cv2.Sobel(grey, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))
    )
    return np.sqrt(cv2.blur(across**2 + down**2, (9, 9)))


def warp(
    picture: npt.NDArray[np.float32], motion: Motion, slowly: bool = False
) -> npt.NDArray[np.float32]:
    """Moves a picture [1, H, W, 3] of the previous frame to where things are now.

    Interpolation is by Lanczos' window if `slowly`, and bicubic else.
    """
    import cv2

    moved = cv2.remap(
        np.ascontiguousarray(picture[0]),
        motion.places,
        None,
        cv2.INTER_LANCZOS4 if slowly else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.clip(moved, 0, 1, out=moved)[None]


def carry(picture: npt.NDArray[np.float32], motion: Motion) -> npt.NDArray[np.float32]:
    """Moves a picture like `warp`, and sharpens it, since interpolation blurs."""
    return _sharpen(warp(picture, motion, slowly=True), picture, FINEST)


def interpolate(
    first: npt.NDArray[np.float32],
    last: npt.NDArray[np.float32],
    since: Motion,
    until: Motion,
    share: float,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Returns what two pictures of a scene show at a time between them.

    Args:
        first, last: [1, H, W, 3] each.
        since, until: the `Motion` since the one and, backwards, until the other; they
            may be smaller.
        share: of the time between them that has gone by, in (0, 1).

    Returns:
        The picture [1, H, W, 3], and in [H, W, 1] how far it can be trusted.
    """
    since, until = (enlarge(m, *first.shape[1:3]) for m in (since, until))
    mixed, other = warp(first, since), warp(last, until)
    # Where neither is trusted, it is the nearer one.
    weight = (1 - share) * (since.trust + 1e-3)
    weight /= weight + share * (until.trust + 1e-3)
    mixed -= other
    mixed *= weight
    mixed += other
    nearer = first if share < 0.5 else last
    return _sharpen(mixed, nearer), np.maximum(since.trust, until.trust)


def has_holes(trust: npt.NDArray[np.float32]) -> bool:
    """Tells whether what is not trusted, [H, W, 1], is more than thin rims."""
    import cv2

    side = max(5, max(trust.shape[:2]) // HOLE_SHARE)
    return bool((1 - cv2.blur(trust[..., 0], (side, side))).max() > 0.5)


class Blend:
    """Lets strokes follow the motion from frame to frame.

    Where the motion is trusted, a picture is mostly the previous one, moved. Averaging
    strokes that do not match blurs them, so the picture is sharpened to the level of
    the stylized frame, which also makes up for the interpolation.

    Attributes:
        before: the last picture shown, [1, H, W, 3]; None at first. To continue a film,
            pass that of its last frame.
    """

    # Share of the picture before. More hardly flickers less, and edges begin to ring.
    CARRIED = 0.94

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
            mixed = warp(self.before, motion)
            mixed -= picture
            mixed *= self.CARRIED * motion.trust
            mixed += picture
            picture = _sharpen(mixed, picture)
        self.before = picture
        return picture


def _details(picture, fine):
    """Returns what a blur of so many pixels removes, [H, W, 3]."""
    import cv2

    return picture[0] - cv2.GaussianBlur(picture[0], (0, 0), fine)


def _size(details):
    """Returns the mean size of details."""
    import cv2

    return cv2.norm(details, cv2.NORM_L1) / details.size


def _sharpen(picture, like, fine=FINE):
    """Strengthens the details of a picture to the mean size of those of another."""
    details = _details(picture, fine)
    size, target = _size(details), _size(_details(like, fine))
    # Details of details are smaller than they are: once more for what is lacking.
    twice = _size(details + _details(details[None], fine)) - size
    gain = np.clip((target - size) / max(twice, 1e-6), 0, MAX_GAIN)
    if gain:
        details *= np.float32(gain)
        details += picture[0]
        picture = np.clip(details, 0, 1, out=details)[None]
    return picture
