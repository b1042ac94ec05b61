"""Files of the program's own: atomic writing, the cache, checksums, downloads."""

import contextlib
import hashlib
import os
import socket
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

# One wait on the network: for a connection, or for the next bytes of a download.
NETWORK_TIMEOUT_S = 10.0


def cache_folder():
    """Returns the folder for what is downloaded, which lasts between runs.

    `TF_STYLE_CACHE`, else `tf_style` in `XDG_CACHE_HOME`, else `~/.cache/tf_style`.
    """
    own = os.environ.get("TF_STYLE_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(shared).expanduser() / "tf_style"


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path beside `path` that takes its place if all goes well.

    A crash, a full disk or Ctrl-C leaves the old file as it was. The temporary name
    keeps the ending, by which writers choose their format.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem[:64]}-", suffix=path.suffix
    )
    os.close(handle)
    try:
        yield Path(name)
        # mkstemp makes private files; a picture gets the rights of any new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def sha256(path):
    """Returns the SHA-256 of a file, or of all files of a folder, as hex digits."""
    path = Path(path)
    parts = [path] if path.is_file() else sorted(p for p in path.rglob("*"))
    digest = hashlib.sha256()
    for part in parts:
        if part.is_file():
            if part != path:
                digest.update(part.relative_to(path).as_posix().encode() + b"\0")
            with part.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def bounded_network(seconds=NETWORK_TIMEOUT_S):
    """Bounds each wait on the network of libraries that set no bound themselves.

    Sets the process-wide default of new sockets, so keep to short stretches of code.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def explain_network(error):
    """Says in plain words why a download failed, or returns None for other errors."""
    seen = set()
    while error is not None and error not in seen:
        seen.add(error)
        if isinstance(error, urllib.error.HTTPError):
            hint = {
                403: ", access refused; the host may block this network or country",
                404: ", there is nothing at this address",
            }.get(error.code, "")
            return f"the server answered {error.code}{hint}"
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return f"no answer within {NETWORK_TIMEOUT_S:.0f} seconds"
        if isinstance(error, urllib.error.URLError):
            return f"no connection ({reason})"
        if isinstance(error, ConnectionError):
            return f"the connection broke ({error})"
        error = error.__cause__ or error.__context__
    return None


def download(url, path, max_bytes, max_seconds):
    """Fetches an http(s) URL into a file, within bounds.

    Raises:
        OSError: the address cannot be reached, answers with an error, or gives more
            than `max_bytes` or takes longer than `max_seconds`.
    """
    # Some hosts, Wikimedia's among them, refuse the default agent of urllib.
    request = urllib.request.Request(url, headers={"User-Agent": "tf_style/0.1"})
    deadline = time.monotonic() + max_seconds
    size = 0
    try:
        with urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT_S) as answer:
            with replacing(path) as temporary, temporary.open("wb") as stream:
                while block := answer.read(1 << 16):
                    size += len(block)
                    if size > max_bytes:
                        raise OSError(f"it is larger than {max_bytes >> 20} MiB")
                    if time.monotonic() > deadline:
                        raise OSError(f"it took longer than {max_seconds:.0f} seconds")
                    stream.write(block)
                expected = answer.headers.get("Content-Length")
                if expected and size < int(expected):
                    raise ConnectionError(f"after {size} of {expected} bytes")
    except (OSError, ValueError) as error:
        reason = explain_network(error) or str(error)
        raise OSError(f"cannot download {url}: {reason}") from error
