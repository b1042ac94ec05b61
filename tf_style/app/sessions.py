"""What belongs to one open page: a folder for its pictures, and what it is painting.

All of it lies below one folder of this process, and goes when the page is closed.
"""

import re
import shutil
import tempfile
import threading
from pathlib import Path

# Pages that may be open at a time; a page that was left counts no more.
MOST_PAGES = 32


class Task:
    """One click on "Paint".

    Attributes:
        folder: for its files.
        stop: set when the picture is wanted as it is.
    """

    def __init__(self, session, folder):
        self._session = session
        self.folder = folder
        self.stop = threading.Event()

    @property
    def abandoned(self):
        """Whether nobody waits for it any more."""
        return self._session.closed

    def end(self):
        """Removes what an abandoned task wrote after its page was closed."""
        if self.abandoned:
            shutil.rmtree(self._session.folder, ignore_errors=True)


class Session:
    """An open page."""

    def __init__(self, folder):
        self.folder = folder
        self.closed = False
        self._tasks = {}
        self._uploads = []

    def begin(self, kind):
        """Returns a new `Task`, in place of the last one of its kind."""
        if kind in self._tasks:
            self._tasks[kind].stop.set()
            shutil.rmtree(self._tasks[kind].folder, ignore_errors=True)
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
        for upload in self._uploads:
            shutil.rmtree(Path(upload).parent, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def adopt(self, upload):
        """Copies an uploaded file into the page's folder; returns its path there.

        Gradio keeps one of equal files for all pages, in a folder named by its content.
        It goes with this page, and not before, since the browser is showing it.
        """
        self._uploads.append(upload)
        folder = tempfile.mkdtemp(prefix="upload-", dir=self.folder)
        return shutil.copy(upload, folder)

    def owns(self, path):
        """Tells whether a file lies in the page's folder."""
        return Path(path).resolve().is_relative_to(self.folder)


class Sessions:
    """All open pages.

    Args:
        root: the folder of this process.
    """

    def __init__(self, root):
        self.root = Path(root).resolve()
        self._open = {}
        self._lock = threading.Lock()

    def find(self, name):
        """Returns the `Session` of a page, by the name that its browser gave it.

        Raises:
            ValueError: too many pages are open.
        """
        with self._lock:
            if name not in self._open:
                if len(self._open) == MOST_PAGES:
                    raise ValueError(
                        f"{MOST_PAGES} pages are open already; close one and try again"
                    )
                # Names come from outside: none becomes a path.
                folder = tempfile.mkdtemp(prefix="page-", dir=self.root)
                self._open[name] = Session(Path(folder))
            return self._open[name]

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
