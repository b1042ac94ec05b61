"""Magenta's model: sizes, models called otherwise, downloads and the cache."""

import functools
import hashlib
import http.server
import io
import os
import socket
import subprocess
import sys
import tarfile
import threading

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub

from tf_style.config import HubConfig
from tf_style.fast import hub, magenta
from tf_style.system import files, hardware

PICTURES = tf.TensorSpec([None, None, None, 3], tf.float32)


@pytest.fixture(autouse=True)
def _no_loaded_models():
    loaded = hub.load_model
    loaded.cache_clear()
    yield
    loaded.cache_clear()


def save(folder, call, signature=(PICTURES, PICTURES)):
    """Writes a SavedModel that is called as `call`, and returns its folder."""
    model = tf.train.Checkpoint()
    model.__call__ = tf.function(call, input_signature=signature)
    tf.saved_model.save(model, str(folder))
    return folder


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


SIZES = [(1, 1), (1, 7), (4, 4), (5, 9), (8, 12), (253, 255), (256, 256)]


@pytest.mark.parametrize("height, width", SIZES)
def test_the_result_has_the_contents_size(stub_model, style, height, width):
    content = np.random.default_rng(5).random((1, height, width, 3), np.float32)
    picture = hub.stylize(content, style, HubConfig(model=str(stub_model)))
    assert picture.shape == content.shape
    assert picture.dtype == np.float32
    # The stub moves each pixel half of the way to the style's mean colour.
    mean = style.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(picture, (content + mean) / 2, atol=2e-3)


@pytest.mark.parametrize("height, width", [(8, 8), (48, 64)])
def test_without_padding_the_result_is_the_models_own_answer(
    stub_model, style, height, width
):
    content = np.random.default_rng(6).random((1, height, width, 3), np.float32)
    config = HubConfig(model=str(stub_model), style_size=45)  # the style's own
    model = tensorflow_hub.load(str(stub_model))
    raw = model(tf.constant(content), tf.constant(style))[0]
    np.testing.assert_array_equal(hub.stylize(content, style, config), raw)


def mirrored(side, length):
    """Indices 0 .. side - 1, then back and forth without repeating the ends."""
    there_and_back = [*range(side), *range(side - 2, 0, -1)]
    return [there_and_back[i % len(there_and_back)] for i in range(length)]


@pytest.mark.parametrize(
    "size, padded",
    [((37, 50), (40, 52)), ((4, 9), (8, 12)), ((1, 8), (8, 8)), ((3, 2), (8, 8))],
)
def test_the_photo_is_mirrored_at_its_right_and_lower_rim(seen, style, size, padded):
    content = np.random.default_rng(8).random((1, *size, 3), np.float32)
    hub.stylize(content, style, HubConfig(model="magenta"))
    [(shown, _)] = seen
    rows, columns = map(mirrored, size, padded)
    np.testing.assert_array_equal(shown, content[:, rows][:, :, columns])


@pytest.mark.parametrize(
    "call, signature, reason",
    [
        (lambda content: [content], (PICTURES,), "not have Magenta's signature"),
        (lambda content, style: content, None, "not have Magenta's signature"),
        (lambda content, style: {"x": content}, None, "not have Magenta's signature"),
        (lambda content, style: [], None, "not have Magenta's signature"),
        (
            lambda content, style: [style],
            None,
            r"it answered float32 \(1, 256, 347, 3\)",
        ),
        (lambda content, style: [content[..., :1]], None, r"float32 \(1, 40, 52, 1\)"),
        (lambda content, style: [content / 0], None, "not finite"),
        (lambda content, style: [tf.cast(content * 255, tf.uint8)], None, "Magenta's"),
    ],
    ids=[
        "takes one picture",
        "answers with a tensor",
        "answers with a dict",
        "answers with nothing",
        "answers with another size",
        "answers with one channel",
        "answers with infinity",
        "answers with bytes",
    ],
)
def test_a_model_that_is_called_otherwise_is_explained(
    tmp_path, content, style, call, signature, reason
):
    folder = save(tmp_path / "odd", call, signature or (PICTURES, PICTURES))
    with pytest.raises(ValueError, match=reason) as error:
        hub.stylize(content, style, HubConfig(model=str(folder)))
    assert str(folder) in one_line(error)


def test_an_answer_a_little_out_of_range_is_clipped(tmp_path, content, style):
    folder = save(tmp_path / "loud", lambda content, style: [1.5 * content - 0.25])
    picture = hub.stylize(content, style, HubConfig(model=str(folder)))
    expected = np.clip(1.5 * content - 0.25, 0, 1)
    np.testing.assert_allclose(picture, expected, atol=1e-6)


def test_a_photo_that_would_not_fit_is_refused_with_a_size_that_would(
    stub_model, style, monkeypatch
):
    model = magenta.load(str(stub_model))
    photo = np.zeros((1, 300, 1000, 3), np.float32)
    monkeypatch.setattr(hardware, "free_memory", lambda: 45_000_000)
    # 300 bytes for each of 300000 pixels are twice of what is free: 1000 / sqrt(2).
    with pytest.raises(
        ValueError, match="1000x300 pixels .*--max_side=700, or --model"
    ):
        model.paint(photo, [style], [1], 1.0)
    monkeypatch.setattr(hardware, "free_memory", lambda: 90_000_000)
    assert model.paint(photo, [style], [1], 1.0).shape == photo.shape
    monkeypatch.setattr(hardware, "free_memory", lambda: None)
    assert model.paint(photo, [style], [1], 1.0).shape == photo.shape


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_a_model_says_what_to_give(tmp_path, exists):
    folder = tmp_path / "nothing"
    if exists:
        folder.mkdir()
    with pytest.raises(FileNotFoundError, match="not the folder of a SavedModel") as e:
        hub.load_model(str(folder))
    assert str(folder) in one_line(e)
    assert "magenta" in one_line(e)


def test_a_damaged_folder_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff no protocol buffer")
    with pytest.raises(OSError, match="is damaged") as error:
        hub.load_model(str(tmp_path))
    assert str(tmp_path) in one_line(error)


class Server(http.server.ThreadingHTTPServer):
    """Serves one model as Kaggle does, under /stub/1; says 403 to all else.

    Attributes:
        asked: paths of requests so far.
        stalls: whether it stops in the middle of its answers.
    """

    def __init__(self, archive):
        super().__init__(("127.0.0.1", 0), Handler)
        self.archive, self.asked, self.stalls = archive, [], False
        self.over = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 30  # of its own, whatever the program sets for new sockets

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path != "/stub/1?tf-hub-format=compressed":
            self.send_error(403)
            return
        archive = self.server.archive
        self.send_response(200)
        self.send_header("Content-Length", str(len(archive)))
        self.end_headers()
        if self.server.stalls:
            self.wfile.write(archive[: len(archive) // 2])
            self.wfile.flush()
            self.server.over.wait(30)
        else:
            self.wfile.write(archive)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(stub_model):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(stub_model, arcname=".")
    with Server(packed.getvalue()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache of tensorflow_hub, empty, and short waits on the network."""
    folder = tmp_path / "hub"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(folder))
    bounded = functools.partial(files.bounded_network, 0.3)
    monkeypatch.setattr(files, "bounded_network", bounded)
    return folder


def place_in(cache, handle):
    return cache / hashlib.sha1(handle.encode()).hexdigest()


def test_a_handle_is_downloaded_once(server, cache, content, style, stub_model):
    handle = f"{server.address}/stub/1"
    model = hub.load_model(handle)
    hub.load_model.cache_clear()
    assert hub.load_model(handle).checksum == model.checksum
    assert server.asked == ["/stub/1?tf-hub-format=compressed"]
    assert model.name == model.source == handle
    assert (place_in(cache, handle) / "saved_model.pb").is_file()
    np.testing.assert_array_equal(
        hub.stylize(content, style, HubConfig(model=handle)),
        hub.stylize(content, style, HubConfig(model=str(stub_model))),
    )


def test_downloads_last_in_a_cache_of_our_own(server, tmp_path):
    handle = f"{server.address}/stub/1"
    hub.load_model(handle)
    cache = tmp_path / "cache" / "hub"  # of TF_STYLE_CACHE
    assert (place_in(cache, handle) / "saved_model.pb").is_file()


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index"])
def test_a_damaged_copy_in_the_cache_is_fetched_again(server, cache, file):
    handle = f"{server.address}/stub/1"
    whole = hub.load_model(handle).checksum
    (place_in(cache, handle) / file).write_bytes(b"\xff broken")
    hub.load_model.cache_clear()
    assert hub.load_model(handle).checksum == whole
    assert len(server.asked) == 2
    assert not list(cache.glob("*.broken*"))


def test_a_damaged_copy_stays_where_it_is_without_a_network(server, cache):
    handle = f"{server.address}/stub/1"
    hub.load_model(handle)
    folder = place_in(cache, handle)
    (folder / "saved_model.pb").write_bytes(b"\xff broken")
    before = files.sha256(folder)
    hub.load_model.cache_clear()
    server.server_close()
    with pytest.raises(OSError, match="is damaged, and cannot download") as error:
        hub.load_model(handle)
    assert str(folder) in one_line(error)
    assert handle in one_line(error)
    assert files.sha256(folder) == before
    assert not list(cache.glob("*.broken*"))


def test_a_refused_download_says_why_and_what_to_do(server, cache):
    handle = f"{server.address}/secret/1"
    with pytest.raises(OSError, match=f"cannot download {handle}") as error:
        hub.load_model(handle)
    message = one_line(error)
    assert "the server answered 403, access refused" in message
    assert "--model=FOLDER" in message and "TFHUB_CACHE_DIR" in message
    assert not list(cache.iterdir())


def test_a_closed_port_is_no_connection(cache):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(OSError, match="no connection.*--model=FOLDER") as error:
        hub.load_model(f"http://127.0.0.1:{port}/stub/1")
    assert "refused" in one_line(error)


def test_a_silent_server_is_not_waited_for(cache):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match="no answer"):
            hub.load_model(f"http://127.0.0.1:{port}/stub/1")
    assert socket.getdefaulttimeout() is None


def test_a_download_that_stalls_is_given_up(server, cache):
    server.stalls = True
    with pytest.raises(OSError, match="no answer") as error:
        hub.load_model(f"{server.address}/stub/1")
    assert "--model=FOLDER" in one_line(error)
    assert not list(cache.iterdir())


def test_a_page_instead_of_a_model_is_a_failed_download(server, cache):
    server.archive = b"<html>Please log in.</html>"
    with pytest.raises(OSError, match="cannot download") as error:
        hub.load_model(f"{server.address}/stub/1")
    assert "--model=FOLDER" in one_line(error)
    assert not list(cache.iterdir())


@pytest.fixture
def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    return process.pid


@pytest.mark.parametrize(
    "owner, age_s, stays",
    [
        ("{host}.{dead}.0123abcd", 0, False),  # else the next waits for 20 minutes
        ("{host}.{living}.0123abcd", 86400, True),
        ("elsewhere.{dead}.0123abcd", 0, True),
        ("elsewhere.{dead}.0123abcd", 86400, False),
        ("", 0, True),
        ("", 86400, False),
        ("{host}.99999999999999999999.0123abcd", 86400, False),
    ],
)
def test_only_abandoned_locks_are_removed_with_what_they_left(
    cache, dead_process, owner, age_s, stays
):
    lock, partial, other = (
        cache / name for name in ("f8.lock", "f8.0123abcd.tmp", "f9.4567.tmp")
    )
    for folder in (partial, other):
        folder.mkdir(parents=True)
    lock.write_text(
        owner.format(host=socket.gethostname(), dead=dead_process, living=os.getpid())
    )
    before = lock.stat().st_mtime - age_s
    os.utime(lock, (before, before))
    magenta.remove_if_abandoned(lock)
    assert (lock.exists(), partial.exists(), other.exists()) == (stays, stays, True)


def test_a_killed_download_is_done_again(server, cache, dead_process):
    handle = f"{server.address}/stub/1"
    cache.mkdir()
    lock = cache / f"{hashlib.sha1(handle.encode()).hexdigest()}.lock"
    lock.write_text(f"{socket.gethostname()}.{dead_process}.0123abcd")
    assert hub.load_model(handle).source == handle
    assert not lock.exists()
