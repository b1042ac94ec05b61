"""The program's files: atomic writing, the cache, checksums, downloads."""

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
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from tf_style.system.errors import Error, FileError, InvalidInput, IsFolder, NotFound

# Some hosts, such as Wikimedia's, refuse urllib's default agent.
USER_AGENT = "tf_style/0.1"
# Time-out of a single wait on the network, for a connection or for more bytes.
NETWORK_TIMEOUT_S = 10.0
# How long a library's download may write nothing to its folder. Libraries write blocks
# of up to 10 MiB, which take minutes on a slow line.
STALLED_AFTER_S = 300.0
# The same if there is a fallback.
IMPATIENT_S = 30.0
# How long a server may take to answer.
REACHED_WITHIN_S = 4.0


StrPath: TypeAlias = str | os.PathLike[str]


def local(source: StrPath) -> Path:
    """Returns the path of a source, with ~ expanded if there is a home folder.

    File managers paste paths as file:// addresses.

    Raises:
        ValueError: it has a null character, or is no path at all.
    """
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise InvalidInput(f"a path is text or a Path, and not {type(source).__name__}")
    path = os.path.expanduser(os.fsdecode(source))
    if path.lower().startswith("file://"):
        path = urllib.request.url2pathname(urllib.parse.urlparse(path).path)
    if "\0" in path:
        raise InvalidInput(f"path {path!r} has a null character; remove it")
    return Path(path)


@contextlib.contextmanager
def naming(path: StrPath, verb: str) -> Iterator[None]:
    """Turns system errors into a `FileError` that names the file.

    Args:
        path: the file.
        verb: the failed operation: read or write.
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
    """Returns the folder for downloads, which persists between runs.

    `TF_STYLE_CACHE`, else `tf_style` in `XDG_CACHE_HOME`, else `~/.cache/tf_style`.
    """
    own = os.environ.get("TF_STYLE_CACHE")
    if own:
        return local(own)
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return local(shared) / "tf_style"


def writable_cache() -> Path:
    """Returns `cache_folder`, or a temporary one if that is not writable."""
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
    """Discards everything written to a file descriptor."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    if nowhere != number:
        os.close(nowhere)


# As much of the host's name as fits into the name of a temporary file.
_HOST = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:64]
# Errors of os.replace if files cannot be replaced, or not be renamed at all.
_CANNOT_REPLACE = (errno.EEXIST, errno.EPERM, errno.EACCES, errno.ENOTSUP)
_CANNOT_REPLACE += (errno.ENOSYS, errno.EXDEV, errno.EINVAL)


def temporary_prefix() -> str:
    """Returns the prefix of this process's temporary files and folders."""
    return f".tf_style-{_HOST}-{os.getpid()}-"


def is_temporary(name: str) -> bool:
    """Tells whether a file has the name of one of our temporary files."""
    return name.startswith(".tf_style-")


def remove_leftovers(folder: StrPath) -> None:
    """Removes the temporary files that killed processes left in a folder."""
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
    """Tells whether a process of this machine is, or may be, running."""
    if os.name != "posix":  # Other systems have no harmless signal to test with.
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # It belongs to another user.
        pass
    return True


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[Path]:
    """Provides a temporary path beside `path`, which replaces it on success.

    A crash, a full disk or Ctrl-C leaves the old file as it was. The temporary name
    keeps the ending, because writers choose their format by it. Links are followed.

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
        # Some network drives and mounted buckets have no permissions.
        with contextlib.suppress(OSError):
            os.chmod(name, _mode_for(path))
        put_in_place(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def put_in_place(temporary: StrPath, path: Path) -> None:
    """Renames a file over another, as far as the file system allows.

    Raises:
        OSError: it failed; the old file is left as it was.
    """
    try:
        return os.replace(temporary, path)
    except OSError as error:
        is_taken = os.path.lexists(path)
        if error.errno not in _CANNOT_REPLACE or (is_taken and not path.is_file()):
            raise
    # If the process is killed, the old file keeps a visible name.
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
    """Moves a file out of the way; returns the function that worked."""
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
    """Returns the permissions of the existing file, else those of new files."""
    with contextlib.suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    umask = os.umask(0)  # There is no other way to read it.
    os.umask(umask)
    return 0o666 & ~umask


def sha256(path: StrPath) -> str:
    """Returns the SHA-256 of a file, or of all files of a folder, as hex digits.

    A folder's checksum is that of its list of paths and checksums.
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
    """Sets a network time-out for libraries that set none.

    It is the process-wide default of new sockets, so use it for short pieces of code.
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
    """Calls `work` in a thread, and waits for a limited time.

    Socket time-outs do not limit a whole download: a server that sends a byte now and
    then, or another process's lock, would block it forever.

    Args:
        work: a function of no arguments.
        seconds: how long to wait for it.
        folder: if given, the time starts again whenever something in it grows.

    Raises:
        TimeoutError: the time is up; the thread is abandoned.
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
    for place, _, names in os.walk(folder):  # skips files removed meanwhile
        for name in names:
            with contextlib.suppress(OSError):
                size += os.path.getsize(os.path.join(place, name))
    return size


def explain_network(error: BaseException | None, url: str = "") -> str | None:
    """Returns why a download failed, in plain words; None for other errors.

    Args:
        error: the caught error.
        url: address of the download; if given, a proxy in between is named.
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
    """Returns the variable that names the proxy for a URL, or an empty text."""
    parts = urllib.parse.urlparse(url)
    found = parts.scheme in urllib.request.getproxies()
    if not found or urllib.request.proxy_bypass(parts.netloc):
        return ""
    return f"{parts.scheme}_proxy"


def _explain_certificate(error):
    """Returns why a server is not trusted, and what to do."""
    reason = f"the server's certificate is not trusted ({error.verify_message})"
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if (path := os.environ.get(name)) and not os.path.exists(path):
            return f"{reason}; {name} is {path}, which does not exist"
    return f"{reason}; if it is your company's, let SSL_CERT_FILE name its certificate"


def reach(url: str) -> None:
    """Checks that a server answers at an http(s) URL.

    Raises:
        OSError: none answers within `REACHED_WITHIN_S`.
    """

    def ask():
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=REACHED_WITHIN_S).close()

    try:
        # Name look-ups have no time-out.
        call_within(ask, REACHED_WITHIN_S)
    except (OSError, ValueError, http.client.HTTPException) as error:
        host = urllib.parse.urlparse(url).netloc
        raise FileError(f"{host}: {explain_network(error, url) or error}") from error


def find_or_fetch(found: bool, url: str, fetch: Callable[[float], Any]) -> str:
    """Downloads a model that has a fallback, with short time-outs.

    Args:
        found: whether it is cached.
        url: its address.
        fetch: downloads it, given the seconds after which to give up when stalled.

    Returns:
        "found in the cache" or "downloaded".

    Raises:
        OSError: it is not available.
    """
    if found:
        return "found in the cache"
    reach(url)
    fetch(IMPATIENT_S)
    return "downloaded"


def download(url: str, path: StrPath, max_bytes: int, max_seconds: float) -> None:
    """Downloads an http(s) URL to a file, within limits.

    Raises:
        OSError: the address cannot be reached, answers with an error or nothing, or
            sends more than `max_bytes` or takes longer than `max_seconds`.
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
        if answer.headers.get("Content-Encoding") == "gzip":  # though nobody asked
            unpacked = zlib.decompressobj(wbits=31).decompress(data, max_bytes + 1)
            if len(unpacked) > max_bytes:
                raise FileError(f"it is larger than {max_bytes >> 20} MiB")
            data[:] = unpacked
        if not data:
            raise FileError("the answer is empty")

    try:
        call_within(work, max_seconds)
    except (OSError, ValueError, http.client.HTTPException, zlib.error) as error:
        reason = explain_network(error, url) or str(error)
        raise FileError(f"cannot download {url}: {reason}") from error
    with replacing(path) as temporary:
        temporary.write_bytes(data)
