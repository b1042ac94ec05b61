"""What belongs to one open page: a folder for its pictures, and its running tasks.

All files are below one folder of this process, and are removed with the page.
"""

import contextlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from tf_style import images
from tf_style.app.folder import remove
from tf_style.app.request import MAX_SIDE
from tf_style.images import decode
from tf_style.system.stop import StopToken
from tf_style.video import reader

# Pages that may be open at a time; one without a browser makes room for another.
MAX_PAGES = 32
# Longest side in pixels of a style that is kept as it is.
MAX_STYLE_SIDE = 4096
# Files that one page may upload.
MAX_UPLOADS = 50
# Seconds after which an upload that no page claimed is removed, and a page whose
# browser is not connected.
IDLE_TIMEOUT = 60.0


class Task:
    """One click on "Paint".

    Attributes:
        folder: for its files.
        stop: a `StopToken`; once set, the best picture so far is the result.
    """

    def __init__(self, session, folder):
        self._session = session
        self.folder = folder
        self.stop = StopToken()

    @property
    def abandoned(self):
        """Whether its page was closed."""
        return self._session.closed

    def clean_up(self):
        """Removes what the task wrote after its page was closed."""
        if self.abandoned:
            remove(self._session.folder.parent, self._session.folder)


class Session:
    """An open page.

    Attributes:
        folder: for its files.
        photo: path of the photo that is shown; None: none.
        closed: whether the page was closed.
        used: when it was last used, in seconds of `time.monotonic`.
    """

    def __init__(self, folder, photo):
        self.folder = folder
        self.photo = photo
        self.closed = False
        self.used = time.monotonic()
        self._tasks = {}
        self._uploads = 0

    def start(self, kind):
        """Returns a new `Task`, which replaces the last one of its kind."""
        if kind in self._tasks:
            self._tasks[kind].stop.set()
            remove(self.folder, self._tasks[kind].folder)
        # A new name each time, or the browser would show its cached copy.
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.folder))
        self._tasks[kind] = Task(self, folder)
        return self._tasks[kind]

    def stop(self, kind):
        """Asks a running task to end with its best picture so far."""
        if kind in self._tasks:
            self._tasks[kind].stop.set()

    def close(self):
        """Ends all tasks and removes all files."""
        self.closed = True
        for kind in self._tasks:
            self.stop(kind)
        remove(self.folder.parent, self.folder)

    def import_picture(self, source, kind):
        """Copies a picture into a folder of its own; returns the path of the copy.

        An upload is not moved, as Gradio keeps one of equal files for all pages. The
        copy of a large "style" is smaller, since styles are decoded at full size. That
        of an animation is its first frame: the page makes pictures, not films.

        Raises:
            ValueError: it is no picture, or too large, or there are too many.
        """
        if self._uploads == MAX_UPLOADS:
            raise ValueError(
                f"{MAX_UPLOADS} files were uploaded on this page; reload it for more"
            )
        self._uploads += 1
        folder = Path(tempfile.mkdtemp(prefix="upload-", dir=self.folder))
        name = source.name
        if source.suffix.lower() not in decode.READABLE:
            # The ending is for Gradio, which shows it, and for us; the bytes are kept.
            name += ".png"
        path = folder / name
        try:
            shutil.copyfile(source, path)
            # What is too large is refused by its header, before it is decoded.
            picture = images.load_picture(path, MAX_SIDE["hub"])
            if not is_usable(path, kind):
                remove(folder, path)
                path = path.with_suffix(".png")
                images.save_image(path, picture.pixels, picture.alpha)
        except BaseException:
            remove(self.folder, folder)
            raise
        return str(path)


class Sessions:
    """All open pages.

    A page's name is "OWNER.HASH": `security.Middleware` has checked that the request
    came from the browser OWNER; Gradio's page made up the HASH.

    Args:
        root: the folder of this process.
        examples: paths of the pictures that all may use; the first is shown first.
    """

    def __init__(self, root, examples=()):
        self.root = Path(root).resolve()
        self._examples = [str(Path(path).resolve()) for path in examples]
        self._open = {}
        self._uploads = {}  # path: owners
        self._connected = Counter()
        self._lock = threading.Lock()

    def get(self, name):
        """Returns the `Session` of a page; a new one at its first request.

        Raises:
            ValueError: too many pages are open.
        """
        with self._lock:
            if name not in self._open:
                self._make_room()
                # Names come from outside, so none becomes a path.
                folder = tempfile.mkdtemp(prefix="page-", dir=self.root)
                photo = next(iter(self._examples), None)
                self._open[name] = Session(Path(folder), photo)
            self._open[name].used = time.monotonic()
            return self._open[name]

    def resolve(self, name, value, kind="photo"):
        """Returns the path of a picture that a page may use.

        This is the only place where what a request calls a file becomes a path. An
        upload is copied into the page's folder.

        Args:
            name: of the page.
            value: from the request: Gradio's file object, a path, or anything else.
            kind: "photo" or "style".

        Raises:
            ValueError: it is none of our examples, no file in the page's folder and no
                picture that this browser has just uploaded.
        """
        if isinstance(value, dict):
            value = value.get("path")
        session = self.get(name)
        path = self._allowed(value, _owner(name), [session])
        if not path:
            raise ValueError("There is no such picture on this page; upload it again")
        if str(path) in self._examples:
            return str(path)
        # A request may name as a style what was uploaded as a photo.
        if path.is_relative_to(session.folder) and is_usable(path, kind):
            return str(path)
        return session.import_picture(path, kind)

    def may_read(self, owner, path):
        """Tells whether a browser may be shown a file, of any of its pages."""
        with self._lock:
            sessions = [s for name, s in self._open.items() if _owner(name) == owner]
        return self._allowed(path, owner, sessions) is not None

    def _allowed(self, path, owner, sessions):
        """Returns the real path of a file that these may use; None for any other."""
        if not isinstance(path, str) or "\0" in path:
            return None
        # Nothing elsewhere is even looked at.
        if not Path(os.path.abspath(path)).is_relative_to(self.root):
            return None
        try:
            real = Path(path).resolve(strict=True)
            allowed = (
                str(real) in self._examples
                or owner in self._uploads.get(str(real), ())
                or any(real.is_relative_to(session.folder) for session in sessions)
            )
            return real if allowed and real.is_file() else None
        except (OSError, RuntimeError):
            return None

    def record_upload(self, owner, path):
        """Remembers which browser uploaded a file, if it is in a folder of uploads."""
        path = Path(path).resolve()
        if _is_upload_folder(path.parent) and path.parent.parent == self.root:
            with self._lock:
                self._uploads.setdefault(str(path), set()).add(owner)

    def connect(self, name):
        """Counts a connection, which a browser keeps as long as its page is open."""
        with self._lock:
            self._connected[name] += 1

    def disconnect(self, name):
        """Counts a connection that has ended."""
        with self._lock:
            self._connected[name] -= 1
            if not self._connected[name]:
                del self._connected[name]
            if name in self._open:
                self._open[name].used = time.monotonic()

    def sweep(self):
        """Removes old uploads, and pages that no browser is connected to."""
        for path in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):
                unfinished = path.name.startswith("tmp") and path.is_file()
                if not (unfinished or _is_upload_folder(path)):
                    continue
                if time.time() - path.lstat().st_mtime > IDLE_TIMEOUT:
                    remove(self.root, path)
        with self._lock:
            for path in list(self._uploads):
                if not os.path.exists(path):
                    del self._uploads[path]
            now = time.monotonic()
            idle = [
                name
                for name in self._disconnected()
                if now - self._open[name].used > IDLE_TIMEOUT
            ]
        for name in idle:
            self.close(name)

    def close(self, name):
        """Ends the tasks of a page and removes its files."""
        with self._lock:
            session = self._open.pop(name, None)
        if session:
            session.close()

    def close_all(self):
        """Closes all pages."""
        for name in list(self._open):
            self.close(name)

    def describe(self, error):
        """Returns an error as one line that names files as the user does."""
        folder = re.escape(str(self.root)) + r"/(?:[^/\s]+/)*"
        return re.sub(folder, "", " ".join(str(error).split()))

    def _disconnected(self):
        """Returns the names of pages without a browser, the longest unused first."""
        names = [name for name in self._open if name not in self._connected]
        return sorted(names, key=lambda name: self._open[name].used)

    def _make_room(self):
        if len(self._open) < MAX_PAGES:
            return
        disconnected = self._disconnected()
        if not disconnected:
            raise ValueError(
                f"{MAX_PAGES} pages are open already; close one and try again"
            )
        self._open.pop(disconnected[0]).close()


def is_usable(path, kind):
    """Tells whether a picture of a page can be used as it is, or a copy is needed.

    Raises:
        ValueError: it is no picture; one line.
    """
    with decode.explained(path.name):
        try:
            with Image.open(path, formats=decode.FORMATS) as image:
                large = max(image.size) > MAX_STYLE_SIDE
        except UnidentifiedImageError:
            if decode.refuse(path):
                raise
            return False  # HEIC, which hardly a browser shows
    return not ((kind == "style" and large) or reader.is_film(path))


def _owner(name):
    return name.partition(".")[0]


def _is_upload_folder(path):
    """Tells whether a name is of the kind that Gradio gives: a hash of the content."""
    return re.fullmatch(r"[0-9a-f]{64}", path.name) is not None
