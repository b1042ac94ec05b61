"""What belongs to one open page: a folder for its pictures, and what it is painting.

All of it lies below one folder of this process, and goes when the page is closed.
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

from PIL import Image

from tf_style import images
from tf_style.app.folder import remove
from tf_style.app.wish import MOST_SIDE
from tf_style.images import decode
from tf_style.system.stop import StopToken

# Pages that may be open at a time; a page that was left counts no more.
MOST_PAGES = 32
# Longest side in pixels of a style that is kept as it is.
MOST_STYLE_SIDE = 4096
# Files that one page may upload.
MOST_UPLOADS = 50
# Seconds after which an upload goes that no page has taken over, and a page whose
# browser is not connected.
PATIENCE = 60.0


class Task:
    """One click on "Paint".

    Attributes:
        folder: for its files.
        stop: a `StopToken`, set when the picture is wanted as it is.
    """

    def __init__(self, session, folder):
        self._session = session
        self.folder = folder
        self.stop = StopToken()

    @property
    def abandoned(self):
        """Whether nobody waits for it any more."""
        return self._session.closed

    def end(self):
        """Removes what an abandoned task wrote after its page was closed."""
        if self.abandoned:
            remove(self._session.folder.parent, self._session.folder)


class Session:
    """An open page.

    Attributes:
        folder: for its files.
        photo: path of what is shown as the photo; None if nothing is.
        closed: whether the page was left.
        used: when it last asked for something, in seconds of `time.monotonic`.
    """

    def __init__(self, folder, photo):
        self.folder = folder
        self.photo = photo
        self.closed = False
        self.used = time.monotonic()
        self._tasks = {}
        self._uploads = 0

    def begin(self, kind):
        """Returns a new `Task`, in place of the last one of its kind."""
        if kind in self._tasks:
            self._tasks[kind].stop.set()
            remove(self.folder, self._tasks[kind].folder)
        # Each has another name, or the browser would show what it has seen before.
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.folder))
        self._tasks[kind] = Task(self, folder)
        return self._tasks[kind]

    def stop(self, kind):
        """Has a running task end with what it has."""
        if kind in self._tasks:
            self._tasks[kind].stop.set()

    def close(self):
        """Ends all tasks and removes all files."""
        self.closed = True
        for kind in self._tasks:
            self.stop(kind)
        remove(self.folder.parent, self.folder)

    def adopt(self, upload, kind):
        """Copies an uploaded picture into the page's folder; returns its path there.

        Gradio keeps one of equal files for all pages, so it is not moved. Of a "style"
        that is large, a smaller copy is kept, since styles are decoded at full size.

        Raises:
            ValueError: it is no picture, or too large, or there are too many.
        """
        if self._uploads == MOST_UPLOADS:
            raise ValueError(
                f"{MOST_UPLOADS} files were uploaded on this page; reload it for more"
            )
        self._uploads += 1
        folder = Path(tempfile.mkdtemp(prefix="upload-", dir=self.folder))
        name = upload.name
        if upload.suffix.lower() not in decode.READABLE:
            # It tells Gradio what to show and us what to call it; the bytes are kept.
            name += ".png"
        path = folder / name
        try:
            shutil.copyfile(upload, path)
            # The header alone says whether it is too large.
            picture = images.load_picture(path, MOST_SIDE["hub"])
            with Image.open(path, formats=decode.FORMATS) as image:
                large = max(image.size) > MOST_STYLE_SIDE
            if kind == "style" and large:
                remove(folder, path)
                path = path.with_suffix(".png")
                images.save_image(path, picture.pixels, picture.alpha)
        except BaseException:
            remove(self.folder, folder)
            raise
        return str(path)


class Sessions:
    """All open pages.

    A page's name is "OWNER.HASH": `guard.Guard` has checked that the request came from
    the browser OWNER, and Gradio's page made up the HASH.

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

    def find(self, name):
        """Returns the `Session` of a page.

        Raises:
            ValueError: too many pages are open.
        """
        with self._lock:
            if name not in self._open:
                self._make_place()
                # Names come from outside: none becomes a path.
                folder = tempfile.mkdtemp(prefix="page-", dir=self.root)
                photo = next(iter(self._examples), None)
                self._open[name] = Session(Path(folder), photo)
            self._open[name].used = time.monotonic()
            return self._open[name]

    def admit(self, name, given, kind="photo"):
        """Returns the path of a picture that a page may use.

        Whatever a request calls a file becomes one here, and nowhere else. An upload is
        taken over into the page's folder.

        Args:
            name: of the page.
            given: what the request says: Gradio's file object, a path, or anything.
            kind: "photo" or "style".

        Raises:
            ValueError: it is none of our examples, no file in the page's folder and no
                picture that this browser has just uploaded.
        """
        if isinstance(given, dict):
            given = given.get("path")
        session = self.find(name)
        path = self._real(given, _owner(name), [session])
        if not path:
            raise ValueError("There is no such picture on this page; upload it again")
        if str(path) in self._examples or path.is_relative_to(session.folder):
            return str(path)
        return session.adopt(path, kind)

    def may_read(self, owner, path):
        """Tells whether a browser may be shown a file, of any of its pages."""
        with self._lock:
            opened = [s for name, s in self._open.items() if _owner(name) == owner]
        return self._real(path, owner, opened) is not None

    def _real(self, path, owner, opened):
        """Returns a path without links; None if it is not of the examples or these."""
        if not isinstance(path, str) or "\0" in path:
            return None
        # What lies elsewhere is not even looked at.
        if not Path(os.path.abspath(path)).is_relative_to(self.root):
            return None
        try:
            real = Path(path).resolve(strict=True)
            known = (
                str(real) in self._examples
                or owner in self._uploads.get(str(real), ())
                or any(real.is_relative_to(session.folder) for session in opened)
            )
            return real if known and real.is_file() else None
        except (OSError, RuntimeError):
            return None

    def note_upload(self, owner, path):
        """Remembers which browser uploaded a file, if it lies where uploads do."""
        path = Path(path).resolve()
        if _is_upload_folder(path.parent) and path.parent.parent == self.root:
            with self._lock:
                self._uploads.setdefault(str(path), set()).add(owner)

    def connect(self, name):
        """Counts a connection that a browser keeps as long as its page is open."""
        with self._lock:
            self._connected[name] += 1

    def disconnect(self, name):
        """Counts one less."""
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
                if time.time() - path.lstat().st_mtime > PATIENCE:
                    remove(self.root, path)
        with self._lock:
            for path in list(self._uploads):
                if not os.path.exists(path):
                    del self._uploads[path]
            now = time.monotonic()
            left = [n for n in self._left() if now - self._open[n].used > PATIENCE]
        for name in left:
            self.close(name)

    def close(self, name):
        """Forgets a page that was closed."""
        with self._lock:
            session = self._open.pop(name, None)
        if session:
            session.close()

    def close_all(self):
        """Forgets all pages."""
        for name in list(self._open):
            self.close(name)

    def plain(self, error):
        """Returns an error as one line that names files as the user knows them."""
        folder = re.escape(str(self.root)) + r"/(?:[^/\s]+/)*"
        return re.sub(folder, "", " ".join(str(error).split()))

    def _left(self):
        """Returns the names of pages without a browser, the first one left first."""
        names = [name for name in self._open if name not in self._connected]
        return sorted(names, key=lambda name: self._open[name].used)

    def _make_place(self):
        if len(self._open) < MOST_PAGES:
            return
        left = self._left()
        if not left:
            raise ValueError(
                f"{MOST_PAGES} pages are open already; close one and try again"
            )
        self._open.pop(left[0]).close()


def _owner(name):
    return name.partition(".")[0]


def _is_upload_folder(path):
    """Tells whether a name is one that Gradio gives: a hash of the content."""
    return re.fullmatch(r"[0-9a-f]{64}", path.name) is not None
