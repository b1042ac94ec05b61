"""What belongs to one browser: its pictures, its results, and a folder for both.

All files are below one folder of this process, and are removed with the session.
Requests name pictures and results by keys that are made up here; none becomes a path.
"""

import re
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from tf_style import images
from tf_style.app.folder import remove
from tf_style.app.request import MAX_SIDE
from tf_style.app.waiting_queue import Busy
from tf_style.images import decode
from tf_style.system.stop import StopToken
from tf_style.video import reader

# Browsers at a time; one that was not heard of makes room for another.
MAX_SESSIONS = 32
# Pictures and results that one keeps; the oldest make room for new ones.
MAX_PICTURES = 50
MAX_TASKS = 40
# Longest side in pixels of a style that is kept as it is, and of what is shown.
MAX_STYLE_SIDE = 4096
SHOWN_SIDE = 1600
# Seconds after which files of a browser that was not heard of are removed. An open page
# calls every 30 seconds, or every minute where it is hidden.
IDLE_TIMEOUT = 600.0
# How a picture is called that browsers send no name of.
NAME = "photo"


class Picture(NamedTuple):
    """A photo, a painting or a mask."""

    path: Path
    shown: Path  # as browsers can show it
    size: tuple[int, int]  # width and height in pixels
    kind: str = "photo"  # or "style" or "mask"
    film: Path | None = None  # where `path` is the first frame of one


class Task:
    """One picture that is being made, or was.

    Attributes:
        key: its name in requests.
        folder: for its files.
        order: what is to be done, a `work.Order`.
        stop: a `StopToken`; once set, the best picture so far is the result.
        abandoned: whether nobody waits for it any more.
        state: what the page shows of it, ready for JSON; replaced, never changed.
        files: paths that may be read, by their names.
    """

    def __init__(self, folder, order):
        self.key = secrets.token_hex(8)
        self.folder = folder / f"result-{self.key}"
        self.folder.mkdir()
        self.order = order
        self.stop = StopToken()
        self.abandoned = False
        self.files = {}
        self.state = {"key": self.key, "version": 0, "status": "waiting"}

    @property
    def running(self):
        """Whether there is more to come."""
        return self.state["status"] not in ("done", "stopped", "failed")

    def update(self, **changes):
        """Changes what the page shows."""
        version = self.state["version"] + 1
        self.state = self.state | changes | {"version": version}

    def resume(self):
        """Makes a task that was stopped ready to go on."""
        self.stop = StopToken()
        self.update(status="waiting")

    def abandon(self):
        """Ends it for good."""
        self.abandoned = True
        self.stop.set()


class Session:
    """What belongs to one browser.

    Attributes:
        folder: for its files.
        pictures: `Picture`s by their keys.
        tasks: `Task`s by their keys, the oldest first.
        used: when it was last heard of, in seconds of `time.monotonic`.
    """

    def __init__(self, folder):
        self.folder = folder
        self.pictures = {}
        self.tasks = {}
        self.used = time.monotonic()
        self._lock = threading.Lock()

    def add_picture(self, source, name, kind):
        """Takes over an uploaded file, which is moved or removed.

        Args:
            source: its path.
            name: as the user knows it.
            kind: "photo", "style" or "mask".

        Returns:
            The key of the `Picture`.

        Raises:
            ValueError: it is no picture, or too large; one line that names it.
        """
        key = secrets.token_hex(8)
        folder = self.folder / f"picture-{key}"
        folder.mkdir()
        try:
            picture = import_picture(source, folder, name, kind)
        except BaseException:
            remove(self.folder, folder)
            raise
        finally:
            source.unlink(missing_ok=True)
        with self._lock:
            self.pictures[key] = picture
            oldest = [*self.pictures][:-MAX_PICTURES]
        for old in oldest:
            remove(self.folder, self.pictures.pop(old).path.parent)
        return key

    def add_task(self, order):
        """Returns a new `Task`."""
        with self._lock:
            running = sum(task.running for task in self.tasks.values())
            if running > 4:
                raise Busy("5 pictures are being painted already; wait for one")
            task = Task(self.folder, order)
            self.tasks[task.key] = task
            finished = [t for t in self.tasks.values() if not t.running]
            oldest = finished[: max(0, len(self.tasks) - MAX_TASKS)]
        for old in oldest:
            del self.tasks[old.key]
            remove(self.folder, old.folder)
        return task

    def clear(self):
        """Ends all tasks and removes all files."""
        for task in self.tasks.values():
            task.abandon()
        for path in self.folder.iterdir():
            remove(self.folder, path)
        self.pictures, self.tasks = {}, {}


class Sessions:
    """The sessions of all browsers.

    Args:
        root: the folder of this process.
    """

    def __init__(self, root):
        self.root = Path(root).resolve()
        self._open = {}  # by owner, as `security.Middleware` names the browser
        self._lock = threading.Lock()

    def get(self, owner):
        """Returns the `Session` of a browser; a new one at its first request.

        Raises:
            Busy: there are too many, and all paint.
        """
        with self._lock:
            if owner not in self._open:
                self._make_room()
                self._remove_orphans()
                folder = self.root / f"session-{secrets.token_hex(8)}"
                folder.mkdir()
                self._open[owner] = Session(folder)
            self._open[owner].used = time.monotonic()
            return self._open[owner]

    def sweep(self):
        """Removes what belongs to browsers that were not heard of for a while."""
        limit = time.monotonic() - IDLE_TIMEOUT
        with self._lock:
            for owner in [o for o, s in self._open.items() if s.used < limit]:
                self._close(owner)
            self._remove_orphans()

    def close_all(self):
        """Ends all tasks and removes all files."""
        with self._lock:
            for owner in list(self._open):
                self._close(owner)

    def describe(self, error):
        """Returns an error as one line that names files as the user does."""
        folder = re.escape(str(self.root)) + r"/(?:[^/\s]+/)*"
        return re.sub(folder, "", " ".join(str(error).split()))

    def _make_room(self):
        if len(self._open) < MAX_SESSIONS:
            return
        idle = [
            owner
            for owner, session in self._open.items()
            if not any(task.running for task in session.tasks.values())
        ]
        if not idle:
            raise Busy(f"{MAX_SESSIONS} browsers paint already; try again later")
        self._close(min(idle, key=lambda owner: self._open[owner].used))

    def _close(self, owner):
        session = self._open.pop(owner)
        session.clear()
        remove(self.root, session.folder)

    def _remove_orphans(self):
        """Removes what tasks wrote while their session was being removed."""
        known = {session.folder for session in self._open.values()}
        for folder in {*self.root.glob("session-*")} - known:
            remove(self.root, folder)


def import_picture(source, folder, name, kind):
    """Moves a file into a folder, under a name that is safe, and looks at it.

    Of a film the first frame becomes the picture. A large "style" is kept smaller,
    since styles are decoded at full size.

    Returns:
        The `Picture`.

    Raises:
        ValueError: it is no picture, or too large; one line.
    """
    stem, ending = Path(name).stem, Path(name).suffix.lower()
    stem = re.sub(r"[^\w.-]+", "_", stem).strip("._")[:60] or NAME
    if ending not in (*decode.READABLE, *reader.READABLE):
        ending = ".png"  # The ending is for us; what is in a file is told by itself.
    path, film = folder / f"{stem}{ending}", None
    shutil.move(source, path)
    if kind == "photo" and reader.is_film(path):
        film, path = path, folder / f"{stem}.png"
        if film == path:
            film = film.rename(folder / f"{stem}_film{ending}")
        picture = reader.load_first(film, MAX_SIDE["hub"])
        images.save_image(path, picture.pixels)
        size = picture.pixels.shape[2:0:-1]
    else:
        # What is too large is refused by its header, before it is decoded.
        side = MAX_STYLE_SIDE if kind == "style" else MAX_SIDE["hub"]
        picture = images.load_picture(path, side)
        size = _size(path) or picture.pixels.shape[2:0:-1]
        if kind == "style" and (max(size) > side or reader.is_film(path)):
            path.unlink()
            path = path.with_suffix(".png")
            images.save_image(path, picture.pixels)
    shown = folder / "shown.jpg"
    images.save_image(shown, images.limit_longest(picture.pixels, SHOWN_SIDE))
    return Picture(path, shown, tuple(size), kind, film)


def _size(path):
    """Returns width and height in pixels, as the picture is seen; None: unknown."""
    try:
        with Image.open(path, formats=decode.FORMATS) as image:
            turned = image.getexif().get(0x0112, 1) >= 5
            return image.size[::-1] if turned else image.size
    except Exception:  # HEIC, or a header that only the decoder forgives.
        return None
