"""The folder of an unfinished film, NAME.partial, and its files.

    progress.json       identifies the film, and lists the valid files
    segment-NNNNNN.mp4  encoded frames, each file a film of one group of pictures
    frame-NNNNNN.bmp    the frames since the last segment; of a GIF, all frames
    state-NNNNNN.npz    the state needed to continue after NNNNNN frames

Other files in it are never touched.
"""

import contextlib
import json
import os
import re
from pathlib import Path

from tf_style.jobs import manifest
from tf_style.system import files
from tf_style.system.errors import InvalidInput

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Marks the folder as ours, and lists its valid files.
MARKER = "progress.json"
# Locked while a run writes there.
LOCK = "lock"
# All other names that we write, including those of `files.replacing`.
OURS = re.compile(
    r"(segment(-\d{6,})?\.mp4|frame-\d{6,}\.bmp|state-\d{6,}\.npz|\.tf_style-.*)"
)


def check_progress(path):
    """Raises early if a film's progress folder cannot be used.

    Args:
        path: the film.

    Raises:
        ValueError: something that is not ours is there.
    """
    ProgressFolder(path).read()


def remove_progress(path, account):
    """Removes the progress folder of a finished film, if it belongs to it.

    Args:
        path: the film.
        account: what it depends on, from `manifest.describe`.
    """
    folder = ProgressFolder(path)
    found = folder.read()
    if "account" in found and not manifest.difference(found["account"], account):
        folder.remove()


class ProgressFolder:
    """The folder of an unfinished film.

    Args:
        path: the film.

    Attributes:
        path: the folder, which need not exist.
        open_segment: path of the segment that is being encoded.
    """

    def __init__(self, path):
        self.path = Path(f"{path}.partial")
        self.open_segment = self.path / "segment.mp4"

    def segment(self, number):
        """Returns the path of a segment."""
        return self.path / f"segment-{number:06}.mp4"

    def frame(self, index):
        """Returns the path of a frame."""
        return self.path / f"frame-{index:06}.bmp"

    def state(self, count):
        """Returns the path of the state after a number of frames."""
        return self.path / f"state-{count:06}.npz"

    def read(self):
        """Returns the marker's content; {} if there is none.

        Raises:
            ValueError: something that is not ours is there.
        """
        try:
            names = os.listdir(self.path) if os.path.lexists(self.path) else []
            # An early killed process leaves only these.
            if all(name == LOCK or files.is_temporary(name) for name in names):
                return {}
            found = json.loads((self.path / MARKER).read_text("utf-8"))
            if isinstance(found, dict) and "tf_style" in found:
                return found
        except (OSError, ValueError, RecursionError):
            pass
        raise InvalidInput(
            f"{self.path} was not made by tf_style, which would keep the frames of the "
            "film there; move it, or choose another output"
        )

    def write(self, progress):
        """Replaces the marker."""
        with files.replacing(self.path / MARKER) as temporary:
            temporary.write_text(json.dumps(progress) + "\n", "utf-8")

    def clear(self):
        """Deletes the files with names of ours."""
        for path in list(self.path.iterdir()):
            if OURS.fullmatch(path.name) and path.is_file():
                path.unlink()

    def remove(self):
        """Deletes our files, and the folder if it is then empty."""
        with contextlib.suppress(OSError):
            self.clear()
            for name in (MARKER, LOCK):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def lock(self):
        """Locks the folder while the result is open.

        Returns:
            An open file, or another context if there are no locks.

        Raises:
            ValueError: another process holds the lock.
        """
        if not fcntl:
            return contextlib.nullcontext()
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(open(self.path / LOCK, "wb"))
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidInput(f"another run is writing to {self.path}") from None
            except OSError:  # Not all file systems support locks.
                return contextlib.nullcontext()
            stack.pop_all()
            return stream
