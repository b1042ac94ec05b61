"""The folder beside a film in the making, NAME.partial, and what it holds.

    progress.json       whose film it is, and which of the following count
    segment-NNNNNN.mp4  encoded frames, each file a film of one group of pictures
    frame-NNNNNN.bmp    the frames since the last segment; of a GIF, all frames
    state-NNNNNN.npz    what is needed to paint on after so many frames

Nothing else in there is touched.
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

# Says that the folder is ours, and what of it counts.
MARKER = "progress.json"
# Is locked while a run writes there.
LOCK = "lock"
# All else that we write there, `files.replacing` included.
OURS = re.compile(
    r"(segment(-\d{6,})?\.mp4|frame-\d{6,}\.bmp|state-\d{6,}\.npz|\.tf_style-.*)"
)


def check_progress(path):
    """Tells early if a film cannot be kept in its progress folder while it is made.

    Args:
        path: the film.

    Raises:
        ValueError: something stands there that is not ours.
    """
    ProgressFolder(path).read()


def remove_progress(path, account):
    """Removes the progress folder of a film that was finished, if it is this one's.

    Args:
        path: the film.
        account: what it depends on, as of `manifest.describe`.
    """
    folder = ProgressFolder(path)
    found = folder.read()
    if "account" in found and not manifest.difference(found["account"], account):
        folder.remove()


class ProgressFolder:
    """Where a film in the making is kept.

    Args:
        path: the film.

    Attributes:
        path: of the folder, which need not be there.
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
        """Returns the path of the state after so many frames."""
        return self.path / f"state-{count:06}.npz"

    def read(self):
        """Returns what the marker says; {} where nothing is there.

        Raises:
            ValueError: something stands there that is not ours.
        """
        try:
            names = os.listdir(self.path) if os.path.lexists(self.path) else []
            # A process that was killed early leaves no more than these.
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
        """Deletes what is of a film, and has a name of ours."""
        for path in list(self.path.iterdir()):
            if OURS.fullmatch(path.name) and path.is_file():
                path.unlink()

    def remove(self):
        """Deletes what we wrote into the folder, and the folder if nothing is left."""
        with contextlib.suppress(OSError):
            self.clear()
            for name in (MARKER, LOCK):
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def lock(self):
        """Locks the folder for as long as what is returned is open.

        Returns:
            An open file, or another context where there are no such locks.

        Raises:
            ValueError: another process has it.
        """
        if not fcntl:
            return contextlib.nullcontext()
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(open(self.path / LOCK, "wb"))
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidInput(f"another run is writing to {self.path}") from None
            except OSError:  # Not all file systems have locks.
                return contextlib.nullcontext()
            stack.pop_all()
            return stream
