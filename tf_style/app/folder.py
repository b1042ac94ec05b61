"""The page's own folder: how it is made and recognised, and what may be deleted."""

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: what a killed page left stays.
    fcntl = None

PREFIX = "tf_style_app-"
# In each such folder, locked as long as its process lives. A process number could be
# reused by another program; a lock cannot.
MARKER = "tf_style_app.lock"

_locks = []  # open as long as the process lives


def create():
    """Returns a new folder for all files of this process, with a locked marker.

    Raises:
        OSError: it cannot be made.
    """
    root = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    # Another page that starts just now must not see a marker without a lock.
    marker = open(root / f"{MARKER}.new", "w")
    if fcntl:
        with contextlib.suppress(OSError):
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(marker.name, root / MARKER)
    _locks.append(marker)
    return root


def remove_leftovers():
    """Removes the folders of pages that were killed, from where `create` makes them."""
    parent = Path(tempfile.gettempdir()).resolve()
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if _is_left_over(folder):
                remove(parent, folder)


def _is_left_over(folder):
    """Tells whether a page of this user, which has ended, made a folder."""
    if not fcntl:
        return False
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return False
    descriptor = os.open(folder / MARKER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor) as marker:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return False
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an OSError if it lives
    return True


def remove(folder, child):
    """Deletes a file or folder that lies directly in one of ours.

    All deletions by the page go through here. Links are removed, not followed.

    Args:
        folder: one that this process made, as a resolved path.
        child: path of what to delete; need not exist.

    Raises:
        ValueError: it does not lie directly in the folder.
    """
    folder, child = Path(folder), Path(os.path.abspath(child))
    if child.parent.resolve() != folder or folder != folder.resolve():
        raise ValueError(f"{child} does not lie directly in {folder}; it is kept")
    if child.is_dir() and not child.is_symlink():
        shutil.rmtree(child, ignore_errors=True)
    else:
        child.unlink(missing_ok=True)
