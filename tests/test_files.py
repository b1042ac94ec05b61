"""Files: all or nothing on disk, checksums, bounded downloads from a server of ours."""

import errno
import gzip
import http.server
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import urllib.error
from pathlib import Path

import pytest

from tf_style.system import files

BODY = bytes(range(256)) * 400  # more than one block of a download


@pytest.fixture
def target(tmp_path):
    """A file that is there already, alone in its folder."""
    path = tmp_path / "pictures" / "old.png"
    path.parent.mkdir()
    path.write_bytes(b"old")
    return path


def test_replacing_puts_the_new_file_in_the_old_ones_place(target):
    with files.replacing(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_replacing_makes_folders_and_keeps_the_ending(tmp_path):
    path = tmp_path / "a" / "b" / "new.tiff"
    with files.replacing(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (path.parent, ".tiff")
    assert path.is_file()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_replacing_keeps_the_old_file_when_writing_stops(target, error):
    with pytest.raises(error):
        with files.replacing(target) as temporary:
            temporary.write_bytes(b"half")
            raise error
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def test_replacing_works_where_rights_cannot_be_set(target, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    with files.replacing(target) as temporary:
        temporary.write_bytes(b"new")
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"new"]


@pytest.fixture
def no_replace(monkeypatch):
    """A file system that renames nothing over a file that is there."""
    rename = os.rename

    def only_to_free_places(source, place):
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, "File exists")
        rename(source, place)

    monkeypatch.setattr(os, "replace", only_to_free_places)
    monkeypatch.setattr(os, "rename", only_to_free_places)
    return only_to_free_places


def test_replacing_works_where_nothing_is_renamed_over_a_file(target, no_replace):
    with files.replacing(target) as temporary:
        temporary.write_bytes(b"new")
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"new"]


def test_the_old_file_comes_back_where_the_new_cannot_take_its_place(
    target, no_replace, monkeypatch
):
    def fail_in_between(source, place):
        if Path(source).name.startswith(".tf_style-"):
            raise OSError(errno.EIO, "Input/output error")
        no_replace(source, place)

    monkeypatch.setattr(os, "rename", fail_in_between)
    with pytest.raises(OSError, match="^cannot write .*old.png: Input/output error"):
        with files.replacing(target) as temporary:
            temporary.write_bytes(b"new")
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"old"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EXDEV])
@pytest.mark.parametrize("old", [b"old", None])
def test_replacing_works_where_nothing_is_renamed_at_all(
    target, monkeypatch, number, old
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    if old is None:
        target.unlink()
    with files.replacing(target) as temporary:
        temporary.write_bytes(b"new")
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"new"]


@pytest.mark.parametrize("old", [b"old", None])
def test_a_copy_that_fails_half_way_leaves_what_was_there(target, monkeypatch, old):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    copy = shutil.copyfile

    def fill_the_disk(source, place):
        if Path(source).read_bytes() == b"new":
            Path(place).write_bytes(b"n")
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, place)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(shutil, "copyfile", fill_the_disk)
    if old is None:
        target.unlink()
    with pytest.raises(OSError, match="No space left"):
        with files.replacing(target) as temporary:
            temporary.write_bytes(b"new")
    left = [path.read_bytes() for path in target.parent.iterdir()]
    assert left == ([old] if old else [])


def test_leftovers_of_killed_processes_are_removed_and_nothing_else(tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    ours = files.temporary_prefix()
    left = ours.replace(f"-{os.getpid()}-", f"-{killed.pid}-")
    (tmp_path / f"{left}a.png").write_bytes(b"half")
    (tmp_path / f"{left}folder").mkdir()
    (tmp_path / f"{left}folder" / "x").write_bytes(b"half")
    kept = [f"{ours}a.png", ".tf_style-a.png", ".tf_style-elsewhere-1-a.png", "a.png"]
    for name in kept:
        (tmp_path / name).write_bytes(b"kept")
    (tmp_path / f"{left}link").symlink_to(tmp_path / "a.png")
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*kept}


def test_replacing_cleans_up_when_the_place_is_taken_by_a_folder(tmp_path):
    folder = tmp_path / "folder.png"
    folder.mkdir()
    with pytest.raises(OSError):
        with files.replacing(folder):
            pass
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    "stem", ["a" * 251, "\U0001f600" * 62], ids=["letters", "emoji"]
)
def test_replacing_allows_every_name_that_the_disk_allows(tmp_path, stem):
    path = tmp_path / f"{stem}.png"
    with files.replacing(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("umask, rights", [(0o022, 0o644), (0o077, 0o600)])
def test_new_file_has_the_rights_that_the_umask_leaves(tmp_path, umask, rights):
    before = os.umask(umask)
    try:
        with files.replacing(tmp_path / "new") as temporary:
            temporary.write_bytes(b"new")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == rights


def test_replaced_file_keeps_its_rights(target):
    target.chmod(0o640)
    with files.replacing(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_link_is_followed(target, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(target)
    with files.replacing(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_checksum_of_a_file_is_the_standards(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert files.sha256(path) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def _tree(folder, contents):
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


MODEL = {"saved_model.pb": b"graph", "variables/data": b"one", "variables/index": b"2"}


@pytest.mark.parametrize(
    "changed",
    [
        MODEL | {"variables/data": b"onf"},
        MODEL | {"variables/more": b""},
        {"saved_model.pb": b"graph", "variables/atad": b"one", "variables/index": b"2"},
        {"saved_model.pb": b"graph", "variables/data": b"one", "varz/index": b"2"},
        MODEL | {"variables/data": b"2", "variables/index": b"one"},
        # One file whose bytes look like the name and the bytes of the next.
        {"saved_model.pb": b"graph", "variables/data": b"onevariables/index\x002"},
    ],
    ids=["byte", "added", "name", "place", "swapped", "joined"],
)
def test_checksum_of_a_folder_changes_with_what_is_in_it(tmp_path, changed):
    before = files.sha256(_tree(tmp_path / "model", MODEL))
    assert files.sha256(_tree(tmp_path / "changed", changed)) != before


def test_checksum_of_a_folder_ignores_where_it_stands_and_who_came_first(tmp_path):
    moved = dict(reversed(MODEL.items()))
    assert files.sha256(_tree(tmp_path / "model", MODEL)) == files.sha256(
        _tree(tmp_path / "deep" / "moved", moved)
    )


@pytest.mark.parametrize(
    "variables, folder",
    [
        ({"TF_STYLE_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        ({"TF_STYLE_CACHE": "~/own"}, "/home/me/own"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/tf_style"),
        ({"TF_STYLE_CACHE": "", "XDG_CACHE_HOME": ""}, "/home/me/.cache/tf_style"),
        ({}, "/home/me/.cache/tf_style"),
    ],
)
def test_cache_folder_takes_the_first_that_is_set(monkeypatch, variables, folder):
    monkeypatch.setenv("HOME", "/home/me")
    for name in ("TF_STYLE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert files.cache_folder() == Path(folder)


def test_bounded_network_restores_what_was_set_before():
    outer = socket.getdefaulttimeout()
    with files.bounded_network(7):
        with pytest.raises(RuntimeError):
            with files.bounded_network(3):
                assert socket.getdefaulttimeout() == 3
                raise RuntimeError
        assert socket.getdefaulttimeout() == 7
    assert socket.getdefaulttimeout() == outer


def _http(code):
    return urllib.error.HTTPError("http://x", code, "no", {}, None)


def _caused_by(cause):
    error = RuntimeError("wrapped by a library")
    error.__cause__ = cause
    return error


def _circular():
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__context__, second.__context__ = second, first
    return first


@pytest.mark.parametrize(
    "error, reason",
    [
        (_http(500), "the server answered 500"),
        (_http(404), "the server answered 404, there is nothing at this address"),
        (_http(403), "the server answered 403, access refused; the host may block"),
        (TimeoutError("timed out"), "no answer in time (timed out)"),
        (urllib.error.URLError(TimeoutError()), "no answer in time"),
        (http.client.LineTooLong("header"), "the server's answer is broken (LineToo"),
        (urllib.error.URLError("no host given"), "no connection (no host given)"),
        (ConnectionResetError("reset"), "the connection broke (reset)"),
        (_caused_by(_http(404)), "the server answered 404"),
        (_caused_by(_caused_by(TimeoutError())), "no answer in time"),
    ],
)
def test_network_errors_are_explained(error, reason):
    assert files.explain_network(error).startswith(reason)


def test_a_proxy_that_stands_between_is_named(monkeypatch):
    error = urllib.error.URLError("refused")
    monkeypatch.setenv("https_proxy", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "near.org")
    told = files.explain_network(error, "https://x.org/a.jpg")
    assert told == "no connection through the proxy of https_proxy (refused)"
    for url in ("https://near.org/a.jpg", "http://x.org/a.jpg"):
        assert "proxy" not in files.explain_network(error, url)


def test_a_certificate_that_is_not_trusted_says_how_it_could_be(monkeypatch):
    error = ssl.SSLCertVerificationError("self-signed")
    error.verify_message = "self-signed certificate"
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    told = files.explain_network(urllib.error.URLError(error))
    assert told.startswith("the server's certificate is not trusted (self-signed cert")
    assert told.endswith("let SSL_CERT_FILE name its certificate")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    told = files.explain_network(urllib.error.URLError(error))
    assert told.endswith("SSL_CERT_FILE is /nowhere.pem, which does not exist")


def test_a_cache_that_cannot_be_written_is_replaced_for_the_process(
    tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TF_STYLE_CACHE", str(tmp_path / "file" / "cache"))
    folder = files.writable_cache()
    assert folder.is_dir() and folder == files.writable_cache()
    monkeypatch.setenv("TF_STYLE_CACHE", str(tmp_path / "new"))
    assert files.writable_cache() == tmp_path / "new"


@pytest.mark.parametrize("error", [ValueError("x"), PermissionError(), _circular()])
def test_other_errors_are_not_explained_as_the_networks(error):
    assert files.explain_network(error) is None


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        getattr(self, self.path.strip("/").partition("?")[0])()

    def log_message(self, *_):
        pass

    def _answer(self, body, length=None):
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def ok(self):
        self._answer(BODY)

    def packed(self, body=gzip.compress(BODY)):
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def bomb(self):
        self.packed(gzip.compress(bytes(2 << 20)))

    def mispacked(self):
        self.packed(BODY)

    def agent(self):
        self._answer(self.headers["User-Agent"].encode())

    def refused(self):
        self.send_error(403)

    def gone(self):
        self.send_error(404)

    def short(self):
        self._answer(b"0123456789", 100)

    def chunked(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.wfile.write(b"5\r\nabcde\r\n8\r\nab")

    def garbage(self):
        self.wfile.write(b"no web server\r\n\r\n")

    def empty(self):
        self._answer(b"")

    def dripping(self):
        self._answer(b"x", 1 << 20)
        self.server.released.wait(10)


@pytest.fixture
def server(monkeypatch):
    """A server on this machine that answers well and badly."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.released = threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("place", ["ok", "packed"])
def test_download_brings_every_byte(server, tmp_path, place):
    path = tmp_path / "new" / "file"
    files.download(f"{server.url}/{place}", path, len(BODY), 60)
    assert path.read_bytes() == BODY
    assert list(path.parent.iterdir()) == [path]


def test_download_says_who_asks(server, tmp_path):
    files.download(f"{server.url}/agent", tmp_path / "file", 1000, 60)
    assert (tmp_path / "file").read_text().startswith("tf_style/")


@pytest.mark.parametrize(
    "place, max_bytes, reason",
    [
        ("gone", 1 << 20, "the server answered 404, there is nothing"),
        ("refused", 1 << 20, "the server answered 403, access refused"),
        ("ok", len(BODY) - 1, "it is larger than"),
        ("short", 1 << 20, "the connection broke (after 10 of 100 bytes)"),
        ("chunked", 1 << 20, "the server's answer is broken (IncompleteRead)"),
        ("garbage", 1 << 20, "the server's answer is broken (BadStatusLine)"),
        ("empty", 1 << 20, "the answer is empty"),
        ("bomb", 1 << 20, "it is larger than 1 MiB"),
        ("mispacked", 1 << 20, "Error -3 while decompressing data"),
        ("[", 1 << 20, ""),
    ],
)
def test_failed_download_is_one_line_and_leaves_nothing(
    server, tmp_path, place, max_bytes, reason
):
    url = f"{server.url}/{place}"
    with pytest.raises(OSError) as caught:
        files.download(url, tmp_path / "file", max_bytes, 60)
    assert str(caught.value).startswith(f"cannot download {url}: {reason}")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_download_where_nobody_listens_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file"
    with pytest.raises(OSError) as caught:
        files.download(url, tmp_path / "file", 1 << 20, 60)
    assert str(caught.value).startswith(f"cannot download {url}: no connection (")
    assert list(tmp_path.iterdir()) == []


def test_failed_download_keeps_what_was_there(server, target):
    with pytest.raises(OSError):
        files.download(f"{server.url}/short", target, 1 << 20, 60)
    assert target.read_bytes() == b"old"


def test_download_gives_up_on_a_server_that_drips(server, tmp_path):
    with pytest.raises(OSError, match="no answer in time .not done within 0 seconds"):
        files.download(f"{server.url}/dripping", tmp_path / "file", 1 << 20, 0)
    assert list(tmp_path.iterdir()) == []


def test_address_may_hold_spaces_and_other_letters(server, tmp_path):
    files.download(
        f"{server.url}/ok?ein Gemälde%20.png", tmp_path / "file", 1 << 20, 60
    )
    assert (tmp_path / "file").read_bytes() == BODY


def test_waiting_starts_anew_while_the_folder_grows(tmp_path):
    grown = threading.Event()

    def work():
        # Longer in all than the limit, but never so long without a byte.
        with (tmp_path / "file").open("wb", buffering=0) as stream:
            for _ in range(8):
                stream.write(b"x")
                grown.wait(0.25)
        return "done"

    assert files.call_within(work, 1, tmp_path) == "done"
    with pytest.raises(TimeoutError, match="not done within 1 seconds"):
        files.call_within(work, 1)


def test_errors_of_work_come_through():
    def work():
        raise KeyError("of the work")

    with pytest.raises(KeyError, match="of the work"):
        files.call_within(work, 60)
