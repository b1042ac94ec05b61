"""Serves the page on this machine, and removes all its files at the end."""

import contextlib
import ctypes
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
import webbrowser

import uvicorn
from PIL import Image

from tf_style.app import api, folder, routes, security, sessions, warmup

HOST = "127.0.0.1"
PORTS = range(7860, 7960)
API_PORTS = range(8000, 8100)
# Of a picture: what phones' cameras need.
MAX_PIXELS = 64_000_000


def serve(port=None, browser=True):
    """Serves the page until Ctrl-C.

    Args:
        port: of 127.0.0.1; None: the first free one from 7860.
        browser: whether to open the page there.

    Returns:
        Never; the process ends with status 130.

    Raises:
        ModuleNotFoundError: FastAPI or uvicorn is not installed.
        OSError: the port is taken, or temporary files cannot be written.
    """
    listening = _listen(HOST, [port] if port else PORTS)
    port = listening.getsockname()[1]
    url = f"http://{HOST}:{port}/"
    _run(
        lambda *parts: security.Middleware(routes.build(*parts), port),
        listening,
        f"the page is at {url}",
        url if browser else None,
    )


def serve_api(port=None, host=HOST, token=""):
    """Serves the endpoint for other programs until Ctrl-C; else as `serve`.

    Args:
        port: None: the first free one from 8000.
        host: address to listen at.
        token: that requests must send; empty: none, which only this machine's may.

    Raises:
        ValueError: others could ask without a token.
    """
    if host not in (HOST, "localhost") and not token:
        raise ValueError(
            f"host is {host}, where others can ask; set TF_STYLE_TOKEN to what they "
            "must send"
        )
    listening = _listen(host, [port] if port else API_PORTS)
    url = f"http://{host}:{listening.getsockname()[1]}"
    line = f"POST pictures to {url}/stylize, as {url}/openapi.json says"
    _run(lambda *parts: api.build(*parts, token), listening, line)


def _run(build, listening, line, url=None):
    """Serves what `build` makes of a `Sessions` and a `Warmup`, until Ctrl-C.

    It prints a line, and opens the address, if any, in a browser.
    """
    _spare_memory()
    # Larger pictures are refused before they are decoded.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow's own word
    # What is wrong with a form is said to who sent it.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    ended = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: ended.set())
    folder.remove_leftovers()
    root = folder.create()
    try:
        temporary = root / "tmp"
        temporary.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        opened, ready = sessions.Sessions(root), warmup.Warmup()
        config = uvicorn.Config(
            build(opened, ready),
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            lifespan="off",
        )
        threading.Thread(
            target=uvicorn.Server(config).run, args=([listening],), daemon=True
        ).start()
        ready.start(root / "warm-up")
        # Who comes before the server is there waits at the socket.
        print(f"tf_style: {line}; Ctrl-C ends it", flush=True)
        if url:
            webbrowser.open(url)
        while not ended.wait(sessions.SWEEP_EVERY):
            opened.sweep()
    finally:
        shutil.rmtree(root, ignore_errors=True)
        # Python would wait for the current step, and for open pages.
        if ended.is_set():
            os._exit(130)


def _listen(host, ports):
    """Returns a socket that listens at the first free one of several ports."""
    for number in ports:
        try:
            return socket.create_server((host, number))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
    where = f"port {ports[0]}"
    if len(ports) > 1:
        where = f"any port from {ports[0]} to {ports[-1]}"
    raise OSError(f"cannot serve at {where}: {reason}; choose another by --port")


def _spare_memory():
    """Has threads share their heaps, where the C library is GNU's.

    Clicks are served by many threads, each of which would keep some megabytes in a heap
    of its own, up to eight heaps a core.
    """
    m_arena_max = -8  # of malloc.h
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(m_arena_max, 2)
