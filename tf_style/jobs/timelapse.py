"""Saves frames of a picture while it is optimised, and makes a film of them.

The film shows all frames within a fixed time and then holds the last one.
"""

import contextlib
import json
import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np

from tf_style import __version__, images
from tf_style.jobs import manifest
from tf_style.system import files
from tf_style.system.errors import InvalidInput
from tf_style.video import reader, writer

# Seconds from the first to the last frame, and seconds for which that is held.
SECONDS = 8
HOLD_S = 2
# Bounds on frames a second.
MIN_RATE, MAX_RATE = 5, 25


class Frames:
    """A folder of frames, all of one size, as PNG files named by their step."""

    def __init__(self, folder, size):
        """Takes the folder, made when first needed, and (height, width) of a frame."""
        self._folder = Path(folder)
        self._size = size

    def add(self, index, picture):
        """Writes the frame of a step, replacing an existing one.

        Args:
            index: number of the step.
            picture: [1, H, W, 3] in [0, 1], scaled to the size of the frames.

        Raises:
            ValueError: the picture is not finite.
            OSError: the file cannot be written.
        """
        if not self._marker.is_file():
            self.check_ours()
            with files.replacing(self._marker) as temporary:
                temporary.write_text(json.dumps({"tf_style": __version__}) + "\n")
        path = self._folder / f"{index:06d}.png"
        images.save_image(path, images.resize(picture, *self._size))

    @property
    def paths(self):
        """The frames in the folder, in the order of their steps."""
        found = self._folder.glob("*.png")
        ours = [path for path in found if re.fullmatch("[0-9]{6,}", path.stem)]
        return sorted(ours, key=lambda path: int(path.stem))

    def check_ours(self):
        """Raises ValueError if the folder exists and was not made by us."""
        if not os.path.lexists(self._folder) or self._marker.is_file():
            return
        with contextlib.suppress(OSError):
            if not any(self._folder.iterdir()):
                return
        raise InvalidInput(
            f"{self._folder} is not a folder of frames by tf_style (it has no "
            f"{self._marker.name}); move it, or choose another --output"
        )

    def remove(self):
        """Deletes the frames, and the folder if it is then empty."""
        self.check_ours()
        for path in self.paths:
            path.unlink()
        self._marker.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    @property
    def _marker(self):
        return self._folder / "tf_style.json"


def write(path, frames):
    """Writes a film in the format of the path's ending, all or nothing.

    Args:
        path: file to write or replace, .gif or .mp4.
        frames: paths of the frames in order, all of one size. MP4 drops the last row or
            column if their number is odd.

    Raises:
        ValueError: there are no frames, or the ending is not that of a film.
        ImportError: it is an MP4, and the encoder is not installed.
        OSError: a frame cannot be read, or the film cannot be written; the old file is
            left as it was.
    """
    reader.check(path)
    if not frames:
        raise InvalidInput(f"cannot write {path}: a film needs at least one frame")
    rate = Fraction(len(frames), SECONDS)
    rate = min(max(rate, Fraction(MIN_RATE)), Fraction(MAX_RATE))
    with manifest.publishing({}, [Path(path)], {}) as (temporary,):
        if reader.ending_of(path) == ".gif":
            ticks = round(1 / rate / writer.GIF_TICK)
            durations = [ticks * writer.GIF_TICK] * (len(frames) - 1) + [HOLD_S]
            writer.write_gif(temporary, frames, durations)
        else:
            _write_mp4(temporary, frames, rate)


def _write_mp4(path, frames, rate):
    held = [frames[-1]] * (round(HOLD_S * rate) - 1)
    with contextlib.closing(writer.Mp4(path, rate, writer.FROM_THE_START)) as mp4:
        for index, frame in enumerate(frames + held):
            mp4.add(np.asarray(writer.read_still(frame)), index / rate, 1 / rate)
