"""Writes a film, which stays in a folder beside it until it is finished.

Times are in seconds.
"""

import contextlib
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from tf_style import __version__
from tf_style.jobs import manifest
from tf_style.jobs.progress_folder import ProgressFolder
from tf_style.system import arrays, files
from tf_style.system.errors import InvalidInput
from tf_style.video import reader, writer
from tf_style.video.writer import Mp4

# Seconds of painting between commits; a killed run repeats no more than that.
COMMIT_EVERY_S = 2.0
# A frame of 8192x8192 pixels needs half of it.
STATE_MAX_BYTES = 2 << 30


class VideoWriter:
    """An unfinished film, which an interrupted or killed run continues.

    Until it is finished, its frames are in a `ProgressFolder`. `commit` writes the
    state and then replaces progress.json. Files that it does not list are left over
    from a run that ended in between, and are overwritten. Segments start at the same
    frames and are encoded from the same pixels wherever a run was interrupted, so the
    finished film does not show it.

    Use: continue from `frames` and `state`; `add` each frame; `keep` the state wherever
    a run could continue; `commit`, `finish` and `remove` at the end.

    Args:
        path: film to write or replace, .gif or .mp4.
        rate: mean frames a second.
        account: what the film depends on, from `manifest.describe`.

    Attributes:
        folder: folder of the frames.
        committed: number of frames that a later run finds.
        state: arrays given to `keep` after them, by name.
        note: a note for the user on an earlier run, or "".
        end: end of the last frame, in seconds.

    Raises:
        ValueError: the folder exists and is not ours, or another run writes to it.
        OSError: it cannot be written.
    """

    def __init__(self, path, rate, account):
        self._path = Path(path)
        self._rate = rate
        self._about = {"tf_style": __version__, "account": account}
        self._is_gif = reader.ending_of(path) == ".gif"
        self._length = writer.keyframe_distance(rate)  # length of a segment, in frames
        self._segments = []  # start of each, in ticks of `Mp4.TIME_BASE`
        self._stills = []  # of the frames after them, begin and duration likewise
        self._encoder = None  # of those frames
        self._kept = None  # what to commit
        self._committed_at = time.monotonic()
        self._files = ProgressFolder(path)
        self.folder = self._files.path
        self.committed, self.state, self.note = 0, {}, ""
        self.end = Fraction(0)
        self._files.read()  # Do not lock a folder that is not ours.
        self.folder.mkdir(exist_ok=True)
        self._lock = contextlib.ExitStack()
        self._lock.enter_context(self._files.lock())
        found = self._files.read()
        try:
            if found.get("frames"):
                self.note = self._resume(found)
            if not self.committed:
                self._files.write(self._progress())
                self._files.clear()
        except BaseException:
            if not found:
                self.remove()
            self._lock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # Earlier commits stay valid.
            self.commit()
        self._drop_encoder()
        if not self.committed:
            self.remove()
        self._lock.close()

    @property
    def frames(self):
        """Number of frames so far, including earlier runs."""
        return self._first_still + len(self._stills)

    def add(self, index, image, time, duration):
        """Adds a frame.

        Args:
            index: its number, which must be `frames`.
            image: uint8 [H, W, 3].
            time: its start, in seconds.
            duration: in seconds.

        Raises:
            ValueError: it is not the next frame, for example after one that failed.
            OSError: it cannot be written.
        """
        if index != self.frames:
            raise InvalidInput(f"frame {index} came where {self.frames} was due")
        path = self._files.frame(index)
        with files.naming(path, "write"):
            writer.write_still(path, image)
        begin, length = (round(s / Mp4.TIME_BASE) for s in (time, duration))
        self._stills.append([begin, length])
        try:
            if not self._is_gif:
                self._encode(image)
        except BaseException:
            self._stills.pop()
            self._drop_encoder()
            raise
        self.end = (begin + length) * Mp4.TIME_BASE

    def keep(self, state):
        """Records the state after the frames so far, and commits it now and then.

        Args:
            state: arrays by name that further frames depend on, besides the source.

        Raises:
            OSError: it cannot be written.
        """
        self._kept = self._progress(), state
        if time.monotonic() - self._committed_at >= COMMIT_EVERY_S:
            self.commit()

    def commit(self):
        """Commits the last kept state, from which a later run continues.

        Raises:
            OSError: it cannot be written; the previous commit stays valid.
        """
        if not self._kept:
            return
        progress, state = self._kept
        before, now = self.committed, progress["frames"]
        if now != before:
            with files.replacing(self._files.state(now)) as temporary:
                with open(temporary, "wb") as stream:
                    np.savez(stream, **state)
            self._files.write(progress)
            self.committed = now
            stale = range(before - before % self._length, now - now % self._length)
            for index in () if self._is_gif else stale:
                self._files.frame(index).unlink(missing_ok=True)
            self._files.state(before).unlink(missing_ok=True)
        self._kept, self._committed_at = None, time.monotonic()

    def finish(self, source, path, plays=0, location=False):
        """Writes the film of all frames, with the sound of `source`.

        Args:
            source: path of the film that is stylized.
            path: temporary file to write.
            plays: how often a GIF plays; 0: for ever.
            location: whether an MP4 says where the source was taken.

        Returns:
            A note for the user, usually "".

        Raises:
            OSError: it cannot be written; the old file is left as it was.
        """
        if self._is_gif:
            indices, seconds = writer.gif_times(
                [begin * Mp4.TIME_BASE for begin, _ in self._stills], self.end
            )
            writer.write_gif(
                path, list(map(self._files.frame, indices)), seconds, plays
            )
            return ""
        segments = [
            (self._files.segment(number), begin)
            for number, begin in enumerate(self._segments)
        ]
        if self._stills:
            with files.naming(self._files.open_segment, "write"):
                self._open_encoder(len(self._stills))
                self._encoder.close()
                self._encoder = None
            segments.append((self._files.open_segment, self._stills[0][0]))
        reason = writer.join(segments, source, path, self.end, location)
        return f"{self._path} has no sound: {reason}" if reason else ""

    def remove(self):
        """Deletes our files, and the folder if it is then empty."""
        self._drop_encoder()
        self._files.remove()

    def _resume(self, found):
        """Continues from an earlier run's commit, if it belongs to the same film.

        Returns:
            A note for the user.
        """
        try:
            other = manifest.difference(found["account"], self._about["account"])
            if found["tf_style"] != __version__:
                other = f"version {found['tf_style']}, not {__version__}"
            if other:
                return f"starting over: {self.folder} belongs to a run with {other}"
            count, end = int(found["frames"]), int(found["end"])
            segments = [int(begin) for begin in found["segments"]]
            stills = [[int(begin), int(length)] for begin, length in found["stills"]]
            if count != len(segments) * self._length + len(stills):
                raise InvalidInput("frames do not add up")
            first = count - len(stills)
            paths = map(self._files.segment, range(len(segments)))
            for path in (*paths, *map(self._files.frame, range(first, count))):
                path.stat()
            state = arrays.read_npz(self._files.state(count), STATE_MAX_BYTES)
        except (
            *(AttributeError, KeyError, OSError, OverflowError),
            *(TypeError, ValueError),
        ):
            return f"starting over: {self.folder} is damaged"
        self._segments, self._stills, self.state = segments, stills, state
        self.committed, self.end = count, end * Mp4.TIME_BASE
        return f"continuing after frame {count}, from {self.folder}"

    def _progress(self):
        return self._about | {
            "frames": self.frames,
            "end": round(self.end / Mp4.TIME_BASE),
            "segments": list(self._segments),
            "stills": list(self._stills),
        }

    @property
    def _first_still(self):
        return len(self._segments) * self._length

    def _encode(self, image):
        """Encodes the last of the frames, and closes its segment if that is full."""
        with files.naming(self._files.open_segment, "write"):
            self._open_encoder(len(self._stills) - 1)
            self._feed(image, *self._stills[-1])
            if len(self._stills) == self._length:
                self._encoder.close()
                self._encoder = None
                number = len(self._segments)
                segment = self._files.segment(number)
                files.put_in_place(self._files.open_segment, segment)
                self._segments.append(self._stills[0][0])
                self._stills = []

    def _open_encoder(self, count):
        """Starts a segment over, with its first `count` frames, unless it is open."""
        if self._encoder:
            return
        self._encoder = Mp4(self._files.open_segment, self._rate, {})
        for index, times in enumerate(self._stills[:count], self._first_still):
            self._feed(np.asarray(writer.read_still(self._files.frame(index))), *times)

    def _feed(self, image, begin, duration):
        begin -= self._stills[0][0]
        self._encoder.add(image, begin * Mp4.TIME_BASE, duration * Mp4.TIME_BASE)

    def _drop_encoder(self):
        encoder, self._encoder = self._encoder, None
        if encoder:
            with contextlib.suppress(Exception):  # It may have failed before.
                encoder.close()
        with contextlib.suppress(OSError):
            self._files.open_segment.unlink()
