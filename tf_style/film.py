"""Frames of a picture on the way, and the film of them.

A film shows the frames within some seconds, however many they are, and then rests on
the last one. GIF shows everywhere; MP4 has all colours in a fraction of the bytes.
"""

import contextlib
import importlib.util
import itertools
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from tf_style import files, images

# From the first frame to the last one, which is then held.
SECONDS = 8
HOLD_S = 2
# Frames a second. Few frames pass faster than that, and many slower.
LEAST_RATE, LARGEST_RATE = 5, 25

# The palette of a GIF is taken from so many frames, shrunk to so many pixels a side.
PALETTE_FRAMES = 32
PALETTE_SIDE = 128

H264 = {
    # FFmpeg's guide to H.264 calls it visually lossless, or nearly so.
    "crf": "18",
    # Players take small pictures without tags for BT.601, which turns reds and greens.
    "colorspace": "bt709",
    "color_range": "tv",
    "color_primaries": "bt709",
    # The curve of sRGB, which the frames have; that of BT.709 would lighten shadows in
    # the players that obey it.
    "color_trc": "iec61966-2-1",
}


class Frames:
    """A folder of frames, all of one size, as PNG files named by their step."""

    def __init__(self, folder, size):
        """Takes the folder, made when first needed, and (height, width) of a frame."""
        self._folder = Path(folder)
        self._size = size

    def add(self, index, picture):
        """Writes the frame of a step, and replaces one that is there.

        Args:
            index: number of the step.
            picture: [1, H, W, 3] in [0, 1], scaled to the size of the frames.

        Raises:
            ValueError: the picture is not finite.
            OSError: the file cannot be written.
        """
        path = self._folder / f"{index:06d}.png"
        images.save_image(path, images.resize(picture, *self._size))

    @property
    def paths(self):
        """The frames in the folder, in the order of their steps."""
        found = self._folder.glob("*.png")
        ours = [path for path in found if re.fullmatch("[0-9]{6,}", path.stem)]
        return sorted(ours, key=lambda path: int(path.stem))

    def remove(self):
        """Deletes the frames, and the folder unless it has something else."""
        for path in self.paths:
            path.unlink()
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def check(path):
    """Tells early if no film can be written to a path.

    Raises:
        ValueError: its ending is that of no film.
        ImportError: it is an MP4, and the encoder is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in WRITERS:
        raise ValueError(
            f"cannot write {path}: the ending of a film must be one of "
            f"{', '.join(WRITERS)}"
        )
    if ending == ".mp4" and importlib.util.find_spec("av") is None:
        raise ImportError(
            f"cannot write {path}: .mp4 needs the encoder PyAV; get it with "
            "pip install 'tf_style[video]', or write .gif"
        )


def write(path, frames):
    """Writes a film in the format of the path's ending, all or nothing.

    Args:
        path: file to write or replace, .gif or .mp4.
        frames: paths of the frames in their order, all of one size. MP4 loses the last
            row or column where their number is odd.

    Raises:
        ValueError: there are no frames, or the ending is that of no film.
        ImportError: it is an MP4, and the encoder is not installed.
        OSError: a frame cannot be read or the film not be written; what was there
            before is untouched.
    """
    check(path)
    if not frames:
        raise ValueError(f"cannot write {path}: a film needs at least one frame")
    rate = Fraction(len(frames), SECONDS)
    rate = min(max(rate, Fraction(LEAST_RATE)), Fraction(LARGEST_RATE))
    with files.replacing(path) as temporary:
        WRITERS[Path(path).suffix.lower()](temporary, frames, rate)


def _write_gif(path, frames, rate):
    # GIF counts in hundredths of a second, Pillow in thousandths.
    durations = [10 * round(100 / rate)] * (len(frames) - 1) + [1000 * HOLD_S]
    # With a palette for each frame, even what stands still would change its colours.
    palette = _palette(frames)
    indexed = (
        _read(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for frame in frames
    )
    # Of the frames behind the generator Pillow holds one byte a pixel until the end.
    next(indexed).save(
        path,
        format="GIF",
        save_all=True,
        append_images=indexed,
        duration=durations,
        loop=0,
    )


def _palette(frames):
    """Returns a picture with the 256 colours that suit the frames as a whole."""
    spread = np.linspace(0, len(frames) - 1, PALETTE_FRAMES).astype(int)
    samples = []
    for index in sorted(set(spread.tolist())):
        sample = _read(frames[index])
        # Averages of pixels would miss the brightest and the most vivid colours.
        sample.thumbnail((PALETTE_SIDE, PALETTE_SIDE), Image.Resampling.NEAREST)
        samples.append(np.asarray(sample))
    # Of Pillow's methods this one misses the colours least once they are dithered.
    return Image.fromarray(np.concatenate(samples)).quantize(
        256, Image.Quantize.FASTOCTREE
    )


def _write_mp4(path, frames, rate):
    import av  # optional, and slow to load

    # Otherwise a player needs the whole file before it can start.
    options = {"movflags": "+faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as film:
        stream = film.add_stream("libx264", rate=rate, options=H264)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = _even(_read(frames[0])).shape[:2]
        held = itertools.repeat(frames[-1], round(HOLD_S * rate) - 1)
        for index, frame in enumerate(itertools.chain(frames, held)):
            picture = av.VideoFrame.from_ndarray(_even(_read(frame)), "rgb24")
            picture = picture.reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            picture.pts, picture.time_base = index, 1 / rate
            film.mux(stream.encode(picture))
        film.mux(stream.encode())


def _even(image):
    """Returns pixels [H, W, 3], cut to the even sides that a colour per 2x2 needs."""
    height, width = image.height // 2 * 2, image.width // 2 * 2
    return np.ascontiguousarray(np.asarray(image)[:height, :width])


def _read(path):
    with Image.open(path) as image:
        return image.convert("RGB")


# How films are written, by their endings.
WRITERS = {".gif": _write_gif, ".mp4": _write_mp4}
