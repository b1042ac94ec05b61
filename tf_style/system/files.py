"""Files of the program's own: atomic writing, the cache, checksums, downloads."""

import atexit
import contextlib
import errno
import functools
import hashlib
import http.client
import os
import re
import secrets
import shutil
import socket
import ssl
import stat
import string
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from tf_style.system.errors import Error, FileError, InvalidInput, IsFolder, NotFound

# Some hosts, Wikimedia's among them, refuse the default agent of urllib.
USER_AGENT = "tf_style/0.1"
# One wait on the network: for a connection, or for the next bytes of a download.
NETWORK_TIMEOUT_S = 10.0
# How long a download by a library may bring nothing new into its folder. They write in
# blocks of up to 10 MiB, which take minutes on a slow line.
STALLED_AFTER_S = 300.0
# The same where there is something else to fall back to.
IMPATIENT_S = 30.0
# How long a server may take to answer before it counts as out of reach.
REACHED_WITHIN_S = 4.0


StrPath: TypeAlias = str | os.PathLike[str]


def local(source: StrPath) -> Path:
    """Returns the path of a source, with ~ for the home folder where there is one.

    Raises:
        ValueError: it has a null character, which no path can have.
    """
    path = os.path.expanduser(source)
    if "\0" in path:
        raise InvalidInput(f"path {path!r} has a null character; remove it")
    return Path(path)


@contextlib.contextmanager
def naming(path: StrPath, verb: str) -> Iterator[None]:
    """Turns what the system says of a file into a `FileError` that names it.

    Args:
        path: the file.
        verb: what could not be done: read, or write.
    """
    try:
        yield
    except Error:
        raise
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        kinds = {FileNotFoundError: NotFound, IsADirectoryError: IsFolder}
        kind = kinds.get(type(error), FileError)
        raise kind(f"cannot {verb} {path}: {reason}") from error


def cache_folder() -> Path:
    """Returns the folder for what is downloaded, which lasts between runs.

    `TF_STYLE_CACHE`, else `tf_style` in `XDG_CACHE_HOME`, else `~/.cache/tf_style`.
    """
    own = os.environ.get("TF_STYLE_CACHE")
    if own:
        return local(own)
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return local(shared) / "tf_style"


def writable_cache() -> Path:
    """Returns `cache_folder`, or one for this process where that cannot be written."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return _temporary_cache()
    return folder


@functools.lru_cache(1)
def _temporary_cache():
    folder = tempfile.mkdtemp(prefix="tf_style-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def discard_output(number: int) -> None:
    """Sends what is written to a file descriptor nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    if nowhere != number:
        os.close(nowhere)


# Of the host's name as much as fits into the name of a temporary file.
_HOST = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:64]
# What os.replace answers where nothing may be renamed over a file that is there, or
# nothing at all.
_CANNOT_REPLACE = (errno.EEXIST, errno.EPERM, errno.EACCES, errno.ENOTSUP)
_CANNOT_REPLACE += (errno.ENOSYS, errno.EXDEV, errno.EINVAL)


def temporary_prefix() -> str:
    """Returns how the names of temporary files and folders of this process begin."""
    return f".tf_style-{_HOST}-{os.getpid()}-"


def is_temporary(name: str) -> bool:
    """Tells whether a file has the name of a temporary one of ours."""
    return name.startswith(".tf_style-")


def remove_leftovers(folder: StrPath) -> None:
    """Removes what killed processes of this machine left in a folder."""
    for path in Path(folder).glob(f".tf_style-{_HOST}-*"):
        pid, _, _ = path.name.removeprefix(f".tf_style-{_HOST}-").partition("-")
        if not pid.isdecimal() or is_running(int(pid)):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def is_running(pid: int) -> bool:
    """Tells whether a process of this machine runs, or may run."""
    if os.name != "posix":  # Elsewhere there is no harmless signal to ask with.
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # It is somebody else's.
        pass
    return True


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """Gives a temporary path beside `path` that takes its place if all goes well.

    A crash, a full disk or Ctrl-C leaves the old file as it was. The temporary name
    keeps the ending, by which writers choose their format. A link is followed.

    Raises:
        OSError: the file cannot be written; one line that names it.
    """
    path = Path(os.path.realpath(local(path)))
    with naming(path, "write"), _renamed_into_place(path) as temporary:
        yield temporary


@contextlib.contextmanager
def _renamed_into_place(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=temporary_prefix(), suffix=path.suffix
    )
    os.close(handle)
    try:
        yield Path(name)
        # Some network drives and mounted buckets know no rights.
        with contextlib.suppress(OSError):
            os.chmod(name, _mode_for(path))
        put_in_place(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def put_in_place(temporary: StrPath, path: Path) -> None:
    """Renames a file to where another may be, as far as the file system can.

    Raises:
        OSError: it cannot; what was there is as it was.
    """
    try:
        return os.replace(temporary, path)
    except OSError as error:
        is_taken = os.path.lexists(path)
        if error.errno not in _CANNOT_REPLACE or (is_taken and not path.is_file()):
            raise
    # A killed process leaves the old file under a name that people see.
    aside = path.with_name(f"{path.name}.old-{secrets.token_hex(4)}")
    move = _find_move(path, aside) if is_taken else os.rename
    try:
        try:
            move(temporary, path)
        except OSError as error:
            if error.errno not in _CANNOT_REPLACE:
                raise
            move = _move_by_copy  # mounted buckets
            move(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        if is_taken:
            move(aside, path)
        raise
    with contextlib.suppress(OSError):
        os.unlink(aside)


def _find_move(path, aside):
    """Moves a file out of the way; returns what could do that."""
    try:
        os.rename(path, aside)
        return os.rename
    except OSError as error:
        if error.errno not in _CANNOT_REPLACE:
            raise
    _move_by_copy(path, aside)
    return _move_by_copy


def _move_by_copy(source, target):
    shutil.copyfile(source, target)
    os.unlink(source)


def _mode_for(path):
    """Returns the rights of the file in place, or else those of any new file."""
    with contextlib.suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    umask = os.umask(0)  # There is no other way to ask for it.
    os.umask(umask)
    return 0o666 & ~umask


def sha256(path: StrPath) -> str:
    """Returns the SHA-256 of a file, or of all files of a folder, as hex digits.

    A folder's is that of its list of paths and checksums.
    """
    path = Path(path)
    if not path.is_dir():
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    parts = sorted(part for part in path.rglob("*") if part.is_file())
    lines = [f"{sha256(part)} {part.relative_to(path).as_posix()}\n" for part in parts]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextlib.contextmanager
def bounded_network(seconds: float = NETWORK_TIMEOUT_S) -> Iterator[None]:
    """Bounds each wait on the network of libraries that set no bound themselves.

    Sets the process-wide default of new sockets, so keep to short stretches of code.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def call_within(
    work: Callable[[], Any], seconds: float, folder: StrPath | None = None
) -> Any:
    """Calls `work` in a thread of its own, and waits for it only so long.

    Time-outs of sockets bound no download as a whole: a server that sends a byte now
    and then, or another process's lock, would hold it for ever.

    Args:
        work: a function of no arguments.
        seconds: how long to wait for it.
        folder: if given, the seconds start anew whenever something grows in there.

    Raises:
        TimeoutError: the time is over; the thread is left to itself.
    """
    outcome = {}

    def run():
        try:
            outcome["value"] = work()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    size, deadline, look_again = 0, time.monotonic() + seconds, time.monotonic()
    while thread.is_alive():
        if folder and time.monotonic() >= look_again:
            look_again = time.monotonic() + seconds / 10
            if (grown := _size_of(folder)) != size:
                size, deadline = grown, time.monotonic() + seconds
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done within {seconds:.0f} seconds")
        thread.join(0.1)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def _size_of(folder):
    size = 0
    for place, _, names in os.walk(folder):  # passes over what is removed meanwhile
        for name in names:
            with contextlib.suppress(OSError):
                size += os.path.getsize(os.path.join(place, name))
    return size


def explain_network(error: BaseException | None, url: str = "") -> str | None:
    """Says in plain words why a download failed, or returns None for other errors.

    Args:
        error: that was caught.
        url: of the download; if given, a proxy that stands between is named.
    """
    proxy = _proxy_variable(url)
    through = f" through the proxy of {proxy}" if proxy else ""
    seen = set()
    while error is not None and error not in seen:
        seen.add(error)
        if isinstance(error, urllib.error.HTTPError):
            hint = {
                403: ", access refused; the host may block this network or country",
                404: ", there is nothing at this address",
                407: ", the proxy wants a name and password in https_proxy",
            }.get(error.code, "")
            return f"the server answered {error.code}{hint}"
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"{_explain_certificate(reason)}{through}"
        if isinstance(reason, TimeoutError):
            said = f" ({reason})" if str(reason) else ""
            return f"no answer in time{through}{said}"
        if isinstance(error, http.client.InvalidURL):
            return f"the address is not valid ({error})"
        if isinstance(error, http.client.HTTPException):
            return f"the server's answer is broken ({type(error).__name__})"
        if isinstance(error, urllib.error.ContentTooShortError):
            return f"the connection broke ({error.reason})"
        if isinstance(error, urllib.error.URLError):
            return f"no connection{through} ({reason})"
        if isinstance(error, ConnectionError):
            return f"the connection broke{through} ({error})"
        error = error.__cause__ or error.__context__
    return None


def _proxy_variable(url):
    """Returns the name of the variable whose proxy a URL goes through, or nothing."""
    parts = urllib.parse.urlparse(url)
    found = parts.scheme in urllib.request.getproxies()
    if not found or urllib.request.proxy_bypass(parts.netloc):
        return ""
    return f"{parts.scheme}_proxy"


def _explain_certificate(error):
    """Says why a server is not trusted, and how it could be."""
    reason = f"the server's certificate is not trusted ({error.verify_message})"
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if (path := os.environ.get(name)) and not os.path.exists(path):
            return f"{reason}; {name} is {path}, which does not exist"
    return f"{reason}; if it is your company's, let SSL_CERT_FILE name its certificate"


def reach(url: str) -> None:
    """Returns if a server answers at an http(s) URL, whatever it says.

    Raises:
        OSError: none does within `REACHED_WITHIN_S`.
    """

    def ask():
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=REACHED_WITHIN_S).close()

    try:
        # The look-up of names knows no time-out.
        call_within(ask, REACHED_WITHIN_S)
    except (OSError, ValueError, http.client.HTTPException) as error:
        host = urllib.parse.urlparse(url).netloc
        raise FileError(f"{host}: {explain_network(error, url) or error}") from error


def find_or_fetch(found: bool, url: str, fetch: Callable[[float], Any]) -> str:
    """Gets what there is something to fall back from, with little patience.

    Args:
        found: whether it is in the cache already.
        url: where it is.
        fetch: downloads it, given the seconds after which to give up a stalled one.

    Returns:
        "found in the cache" or "downloaded".

    Raises:
        OSError: it is out of reach.
    """
    if found:
        return "found in the cache"
    reach(url)
    fetch(IMPATIENT_S)
    return "downloaded"


def download(url: str, path: StrPath, max_bytes: int, max_seconds: float) -> None:
    """Fetches an http(s) URL into a file, within bounds.

    Raises:
        OSError: the address cannot be reached, answers with an error or nothing, or
            gives more than `max_bytes` or takes longer than `max_seconds`.
    """
    data = bytearray()

    def work():
        request = urllib.request.Request(
            urllib.parse.quote(url, safe=string.punctuation),
            headers={"User-Agent": USER_AGENT},
        )
        with urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT_S) as answer:
            while block := answer.read1(1 << 16):
                data.extend(block)
                if len(data) > max_bytes:
                    raise FileError(f"it is larger than {max_bytes >> 20} MiB")
            expected = answer.headers.get("Content-Length", "")
        if expected.isdigit() and len(data) < int(expected):
            raise ConnectionError(f"after {len(data)} of {expected} bytes")
        if not data:
            raise FileError("the answer is empty")

    try:
        call_within(work, max_seconds)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = explain_network(error, url) or str(error)
        raise FileError(f"cannot download {url}: {reason}") from error
    with replacing(path) as temporary:
        temporary.write_bytes(data)
