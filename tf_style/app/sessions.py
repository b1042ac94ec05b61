"""What belongs to one browser: its pictures, its results, and a folder for both.

All files are below one folder of this process, and are removed with the session.
Requests name pictures and results by keys that are made up here; none becomes a path.
"""

import os
import re
import secrets
import shutil
import threading
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from tf_style import images
from tf_style.app.errors import Refused, describe
from tf_style.app.folder import remove
from tf_style.app.request import MAX_BYTES, MAX_SIDE
from tf_style.images import decode, metadata
from tf_style.system.stop import StopToken
from tf_style.video import reader, writer

# Browsers at a time; one that was not heard of makes room for another.
MAX_SESSIONS = 32
# Pictures and results that one keeps, the oldest making room, and those in work.
MAX_PICTURES = 50
MAX_TASKS = 40
MAX_RUNNING = 5
# Longest side in pixels of a style that is kept as it is, and of what is shown.
MAX_STYLE_SIDE = 4096
SHOWN_SIDE = 1600
# Sweeps after which files of a browser that was not heard of are removed: ten minutes,
# without those that a computer sleeps. An open page calls every 30 seconds, or every
# minute where it is hidden.
SWEEP_EVERY = 10.0
MAX_UNHEARD = 60
# How a picture is called that browsers send no name of.
NAME = "photo"
# What Pillow raises of a header that claims more than is allowed.
TOO_MANY_PIXELS = (Image.DecompressionBombWarning, Image.DecompressionBombError)


class Picture(NamedTuple):
    """A photo, a painting or a mask."""

    key: str
    path: Path
    shown: Path  # as browsers can show it
    size: tuple[int, int]  # width and height in pixels
    kind: str = "photo"  # or "style" or "mask"
    film: Path | None = None  # where `path` is the first frame of one


class Task:
    """One picture that is being made, or was."""

    def __init__(self, folder, order):
        self.key = secrets.token_hex(8)  # its name in requests
        self.folder = folder / f"result-{self.key}"
        self.folder.mkdir()
        self.order = order  # a `work.Order`
        self.stop = StopToken()  # once set, the best picture so far is the result
        self.abandoned = False  # whether nobody waits for it any more
        self.files = {}  # paths that may be read, by their names
        # What the page shows of it, ready for JSON; replaced, never changed.
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
    """What belongs to one browser."""

    def __init__(self, folder):
        self.folder = folder
        self.pictures = {}  # by their keys, as the tasks; the oldest first
        self.tasks = {}
        self.unheard = 0  # sweeps since it was last heard of
        self._lock = threading.Lock()

    @property
    def running(self):
        """The number of tasks that are not finished."""
        return sum(task.running for task in self.tasks.values())

    def add_picture(self, stream, name, kind):
        """Takes an upload; arguments, result and errors as of `import_picture`."""
        picture = import_picture(stream, self.folder, name, kind)
        with self._lock:
            self.pictures[picture.key] = picture
            oldest = [*self.pictures][:-MAX_PICTURES]
        for key in oldest:
            remove(self.folder, self.pictures.pop(key).path.parent)
        return picture

    def add_task(self, order):
        """Returns a new `Task`; raises `Refused` if there are too many."""
        with self._lock:
            if self.running >= MAX_RUNNING:
                raise Refused("busy")
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
    """The sessions of all browsers, below the folder of this process."""

    def __init__(self, root):
        self.root = Path(root).resolve()
        self._open = {}  # by owner, as `security.Middleware` names the browser
        self._lock = threading.Lock()

    def get(self, owner):
        """Returns the `Session` of a browser, which its first request opens.

        Raises:
            Refused: there are too many, and all paint.
        """
        with self._lock:
            if owner not in self._open:
                self._make_room()
                self._remove_orphans()
                folder = self.root / f"session-{secrets.token_hex(8)}"
                folder.mkdir()
                self._open[owner] = Session(folder)
            self._open[owner].unheard = 0
            return self._open[owner]

    def sweep(self):
        """Removes what belongs to browsers that were not heard of for a while."""
        with self._lock:
            for owner, session in [*self._open.items()]:
                session.unheard += 1
                if session.unheard > MAX_UNHEARD:
                    self._close(owner)
            self._remove_orphans()

    def _make_room(self):
        if len(self._open) < MAX_SESSIONS:
            return
        idle = [owner for owner, session in self._open.items() if not session.running]
        if not idle:
            raise Refused("busy")
        self._close(max(idle, key=lambda owner: self._open[owner].unheard))

    def _close(self, owner):
        session = self._open.pop(owner)
        session.clear()
        remove(self.root, session.folder)

    def _remove_orphans(self):
        """Removes what tasks wrote while their session was being removed."""
        known = {session.folder for session in self._open.values()}
        for folder in {*self.root.glob("session-*")} - known:
            remove(self.root, folder)


def import_picture(stream, parent, name, kind):
    """Writes an upload into a folder, under a name that is safe, and looks at it.

    Of a film the first frame becomes the picture. A large "style" is kept smaller,
    since styles are decoded at full size.

    Args:
        stream: the upload, open for reading.
        parent: where a folder for its files is made.
        name: as the user knows it.
        kind: "photo", "style" or "mask".

    Returns:
        The `Picture`.

    Raises:
        Refused: it is too large, or no picture.
    """
    if stream.seek(0, os.SEEK_END) > MAX_BYTES:
        raise Refused("too_large", most=MAX_BYTES >> 20)
    stream.seek(0)
    stem, ending = Path(name).stem, Path(name).suffix.lower()
    stem = re.sub(r"[^\w.-]+", "_", stem).strip("._")[:60] or NAME
    if ending not in (*decode.READABLE, *reader.READABLE):
        ending = ".png"  # The ending is for us; what is in a file is told by itself.
    key = secrets.token_hex(8)
    folder = parent / f"picture-{key}"
    folder.mkdir()
    path, code = folder / f"{stem}{ending}", "bad_picture"
    try:
        with open(path, "wb") as file:
            shutil.copyfileobj(stream, file)
        if kind == "photo" and reader.is_film(path):
            code = "bad_film"
        return _look_at(Picture(key, path, folder / "shown.jpg", (0, 0), kind))
    except BaseException as error:
        remove(parent, folder)
        if not isinstance(error, (ValueError, ImportError)):
            raise
        if isinstance(error.__cause__, TOO_MANY_PIXELS):
            code = "too_many_pixels"
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise Refused(code, describe(error), name=path.name, most=most) from error


def _look_at(picture):
    """Returns a `Picture` with what its file tells; keeps the files it needs."""
    path, kind, film = picture.path, picture.kind, None
    if kind == "photo" and reader.is_film(path):
        film, path = path, path.with_suffix(".png")
        if film == path:
            film = film.rename(path.with_name(f"{path.stem}_film{path.suffix}"))
        pixels = reader.load_first(film, MAX_SIDE["hub"]).pixels
        if film.suffix not in reader.MOVING_PICTURES:
            writer.blank_place(film)
        images.save_image(path, pixels)
        size = pixels.shape[2:0:-1]
    else:
        # What is too large is refused by its header, before it is decoded.
        side = MAX_STYLE_SIDE if kind == "style" else MAX_SIDE["hub"]
        found = images.load_picture(path, side)
        pixels, size = found.pixels, _size(path, found.pixels.shape[2:0:-1])
        path = _without_place(path, found.exif)
        if kind == "style" and (max(size) > side or reader.is_film(path)):
            path.unlink()
            path = path.with_suffix(".png")
            images.save_image(path, pixels)
    images.save_image(picture.shown, images.limit_longest(pixels, SHOWN_SIDE))
    return picture._replace(path=path, size=tuple(size), film=film)


def _without_place(path, exif):
    """Returns the path of a picture that does not say where it was taken.

    Results do not say it either, and their ZIP holds this picture.
    """
    data = path.read_bytes()
    if not metadata.tells_place(data, exif):
        return path
    try:
        path.write_bytes(metadata.without_place(data))
    except Exception:  # All other formats are saved anew, without loss.
        found = images.load_picture(path)
        path.unlink()
        path = path.with_suffix(".png")
        images.write_image(path, found.pixels, found.alpha, exif=exif)
    return path


def _size(path, shown):
    """Returns width and height in pixels, as the picture is seen; `shown`: unknown."""
    try:
        with decode.explained(path), Image.open(path, formats=decode.FORMATS) as image:
            alike = images.are_alike(image.size, shown)
            return image.size if alike else image.size[::-1]
    except Exception:  # HEIC, or a header that only the decoder forgives.
        return shown
