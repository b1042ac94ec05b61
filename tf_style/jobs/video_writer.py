"""A film in the making, in a folder beside it until it is finished.

Times are in seconds.
"""

import contextlib
import json
import os
import re
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from tf_style import __version__
from tf_style.jobs import manifest
from tf_style.system import arrays, files
from tf_style.system.errors import InvalidInput
from tf_style.video import reader, writer
from tf_style.video.writer import Mp4

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# After so much painting a killed run need not do it again.
COMMIT_EVERY_S = 2.0
# A frame of 8192x8192 pixels takes half of it.
STATE_MAX_BYTES = 2 << 30
# Says that a progress folder is ours, and what of it counts.
MARKER = "progress.json"
# Is locked while a run writes there.
LOCK = "lock"
# All else that we write there, `files.replacing` included.
OURS = re.compile(
    r"(segment(-\d{6,})?\.mp4|frame-\d{6,}\.bmp|state-\d{6,}\.npz|\.tf_style-.*)"
)


def progress_folder(path):
    """Returns the folder of a film in the making, which stands beside it."""
    return Path(f"{path}.partial")


def check_progress(path):
    """Tells early if a film cannot be kept in its progress folder while it is made.

    Args:
        path: the film.

    Raises:
        ValueError: something stands there that is not ours.
    """
    _read_progress(progress_folder(path))


def remove_progress(path, account):
    """Removes the progress folder of a film that was finished, if it is this one's.

    Args:
        path: the film.
        account: what it depends on, as of `manifest.describe`.
    """
    folder = progress_folder(path)
    found = _read_progress(folder)
    if "account" in found and not manifest.difference(found["account"], account):
        _remove(folder)


def _remove(folder):
    """Deletes what we wrote into a folder, and the folder if nothing is left."""
    with contextlib.suppress(OSError):
        _clear(folder)
        for name in (MARKER, LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _clear(folder):
    """Deletes what is of a film, and has a name of ours."""
    for path in list(folder.iterdir()):
        if OURS.fullmatch(path.name) and path.is_file():
            path.unlink()


def _read_progress(folder):
    """Returns what the marker of a progress folder says; {} where nothing is there."""
    try:
        names = os.listdir(folder) if os.path.lexists(folder) else []
        # A process that was killed early leaves no more than these.
        if all(name == LOCK or files.is_temporary(name) for name in names):
            return {}
        found = json.loads((folder / MARKER).read_text("utf-8"))
        if isinstance(found, dict) and "tf_style" in found:
            return found
    except (OSError, ValueError, RecursionError):
        pass
    raise InvalidInput(
        f"{folder} is not ours, and the frames of the film would be kept there; move "
        "it away, or choose another output"
    )


class VideoWriter:
    """A film in the making, with which a run goes on that was stopped or killed.

    Until the film is finished, its frames are in a folder beside it, NAME.partial:

        progress.json       whose film it is, and which of the following count
        segment-NNNNNN.mp4  encoded frames, each file a film of one group of pictures
        frame-NNNNNN.bmp    the frames since the last segment; of a GIF, all frames
        state-NNNNNN.npz    what is needed to paint on after so many frames

    `commit` writes the state, and then replaces progress.json: whatever that does not
    count is left over from a run that ended in between, and is overwritten. A segment
    begins at the same frames, and is encoded from the same pixels, wherever a run was
    stopped; so the finished film does not show that it was.

    Use: paint on from `frames` and `state`; `add` each frame; `keep` the state wherever
    it could be gone on from; `commit`, `finish` and `remove` at the end.

    Args:
        path: film to write or replace, .gif or .mp4.
        rate: frames a second, in the mean.
        account: what the film depends on, as of `manifest.describe`.

    Attributes:
        folder: of the frames.
        committed: number of frames that a later run finds.
        state: arrays that were given to `keep` after them, by name.
        note: what the user should know of an earlier run, or "".
        end: of the last frame, in seconds.

    Raises:
        ValueError: the folder is there, and not ours; or another run writes there.
        OSError: it cannot be written.
    """

    def __init__(self, path, rate, account):
        self._path = Path(path)
        self._rate = rate
        self._about = {"tf_style": __version__, "account": account}
        self._is_gif = reader.ending_of(path) == ".gif"
        self._length = writer.keyframe_distance(rate)  # of a segment, in frames
        self._segments = []  # when each begins, in ticks of `Mp4.TIME_BASE`
        self._stills = []  # of the frames after them, begin and duration likewise
        self._encoder = None  # of those frames
        self._kept = None  # what to commit
        self._committed_at = time.monotonic()
        self.folder = progress_folder(path)
        self.committed, self.state, self.note = 0, {}, ""
        self.end = Fraction(0)
        check_progress(path)
        self.folder.mkdir(exist_ok=True)
        self._lock = _locked(self.folder / LOCK)
        found = _read_progress(self.folder)
        try:
            if found.get("frames"):
                self.note = self._resume(found)
            if not self.committed:
                self._write_marker(self._progress())
                _clear(self.folder)
        except BaseException:
            if not found:
                self.remove()
            self._unlock()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # What was committed before stays.
            self.commit()
        self._drop_encoder()
        if not self.committed:
            self.remove()
        self._unlock()

    @property
    def frames(self):
        """Number of frames so far, those of earlier runs included."""
        return self._first_still + len(self._stills)

    def add(self, index, image, time, duration):
        """Adds a frame.

        Args:
            index: its number, which must be `frames`.
            image: uint8 [H, W, 3].
            time: when it begins, in seconds.
            duration: in seconds.

        Raises:
            ValueError: it is not its turn, as after one that failed.
            OSError: it cannot be written.
        """
        if index != self.frames:
            raise InvalidInput(f"frame {index} came where {self.frames} was due")
        path = self._frame_path(index)
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
        """Takes the state after the frames so far, and commits it now and then.

        Args:
            state: arrays by name; what frames to come depend on, beside the source.

        Raises:
            OSError: it cannot be written.
        """
        self._kept = self._progress(), state
        if time.monotonic() - self._committed_at >= COMMIT_EVERY_S:
            self.commit()

    def commit(self):
        """Makes what was kept last the point that a later run goes on from.

        Raises:
            OSError: it cannot be written; the point before still holds.
        """
        if not self._kept:
            return
        progress, state = self._kept
        before, now = self.committed, progress["frames"]
        if now != before:
            with files.replacing(self._state_path(now)) as temporary:
                with open(temporary, "wb") as stream:
                    np.savez(stream, **state)
            self._write_marker(progress)
            self.committed = now
            stale = range(before - before % self._length, now - now % self._length)
            for index in () if self._is_gif else stale:
                self._frame_path(index).unlink(missing_ok=True)
            self._state_path(before).unlink(missing_ok=True)
        self._kept, self._committed_at = None, time.monotonic()

    def finish(self, source, path):
        """Writes the film of all frames, with the sound of `source`.

        Args:
            source: path of the film that is stylized.
            path: file to write, for the time being.

        Returns:
            What the user should know, mostly "".

        Raises:
            OSError: it cannot be written; what stood there stays.
        """
        if self._is_gif:
            indices, seconds = writer.gif_times(
                [begin * Mp4.TIME_BASE for begin, _ in self._stills], self.end
            )
            writer.write_gif(path, list(map(self._frame_path, indices)), seconds)
            return ""
        segments = [
            (self._segment_path(number), begin)
            for number, begin in enumerate(self._segments)
        ]
        if self._stills:
            with files.naming(self._open_path, "write"):
                self._open_encoder(len(self._stills))
                self._encoder.close()
                self._encoder = None
            segments.append((self._open_path, self._stills[0][0]))
        reason = writer.join(segments, source, path, self.end)
        return f"{self._path} is without sound: {reason}" if reason else ""

    def remove(self):
        """Deletes what we wrote into the folder, and the folder if nothing is left."""
        self._drop_encoder()
        _remove(self.folder)

    def _resume(self, found):
        """Goes on from what an earlier run committed, if it is the same film's.

        Returns:
            What the user should know.
        """
        try:
            other = manifest.difference(found["account"], self._about["account"])
            if found["tf_style"] != __version__:
                other = f"version {found['tf_style']}, not {__version__}"
            if other:
                return f"starting anew: {self.folder} is of a run with {other}"
            count, end = int(found["frames"]), int(found["end"])
            segments = [int(begin) for begin in found["segments"]]
            stills = [[int(begin), int(length)] for begin, length in found["stills"]]
            if count != len(segments) * self._length + len(stills):
                raise InvalidInput("frames do not add up")
            first = count - len(stills)
            paths = map(self._segment_path, range(len(segments)))
            for path in (*paths, *map(self._frame_path, range(first, count))):
                path.stat()
            state = arrays.read_npz(self._state_path(count), STATE_MAX_BYTES)
        except (
            *(AttributeError, KeyError, OSError, OverflowError),
            *(TypeError, ValueError),
        ):
            return f"starting anew: {self.folder} is damaged"
        self._segments, self._stills, self.state = segments, stills, state
        self.committed, self.end = count, end * Mp4.TIME_BASE
        return f"going on after frame {count}, with what is in {self.folder}"

    def _unlock(self):
        if self._lock:
            self._lock.close()

    def _progress(self):
        return self._about | {
            "frames": self.frames,
            "end": round(self.end / Mp4.TIME_BASE),
            "segments": list(self._segments),
            "stills": list(self._stills),
        }

    def _write_marker(self, progress):
        with files.replacing(self.folder / MARKER) as temporary:
            temporary.write_text(json.dumps(progress) + "\n", "utf-8")

    @property
    def _first_still(self):
        return len(self._segments) * self._length

    @property
    def _open_path(self):
        return self.folder / "segment.mp4"

    def _segment_path(self, number):
        return self.folder / f"segment-{number:06}.mp4"

    def _frame_path(self, index):
        return self.folder / f"frame-{index:06}.bmp"

    def _state_path(self, count):
        return self.folder / f"state-{count:06}.npz"

    def _encode(self, image):
        """Encodes the last of the frames, and closes its segment if that is full."""
        with files.naming(self._open_path, "write"):
            self._open_encoder(len(self._stills) - 1)
            self._feed(image, *self._stills[-1])
            if len(self._stills) == self._length:
                self._encoder.close()
                self._encoder = None
                number = len(self._segments)
                os.replace(self._open_path, self._segment_path(number))
                self._segments.append(self._stills[0][0])
                self._stills = []

    def _open_encoder(self, count):
        """Begins a segment anew, with its first `count` frames, unless it is open."""
        if self._encoder:
            return
        self._encoder = Mp4(self._open_path, self._rate, {})
        for index, times in enumerate(self._stills[:count], self._first_still):
            self._feed(np.asarray(writer.read_still(self._frame_path(index))), *times)

    def _feed(self, image, begin, duration):
        begin -= self._stills[0][0]
        self._encoder.add(image, begin * Mp4.TIME_BASE, duration * Mp4.TIME_BASE)

    def _drop_encoder(self):
        encoder, self._encoder = self._encoder, None
        if encoder:
            with contextlib.suppress(Exception):  # It may have failed before.
                encoder.close()
        with contextlib.suppress(OSError):
            self._open_path.unlink()


def _locked(path):
    """Locks a file, which is made, for as long as it is open.

    Returns:
        The open file; None where there are no such locks.

    Raises:
        ValueError: another process has it.
    """
    if not fcntl:
        return None
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open(path, "wb"))
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(f"another run is writing to {path.parent}") from None
        except OSError:  # Not all file systems have locks.
            return None
        stack.pop_all()
        return stream
