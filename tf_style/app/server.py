"""Serves the page on this machine, and removes all its files at the end."""

import contextlib
import ctypes
import functools
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import webbrowser
from pathlib import Path

import uvicorn
from PIL import Image

from tf_style.app import folder, routes, security, sessions, warmup

HERE = Path(__file__).parent
HOST = "127.0.0.1"
PORTS = range(7860, 7960)
# Of a picture: what phones' cameras need.
MAX_PIXELS = 64_000_000
# Seconds between two searches for files that are no longer needed.
SWEEP_EVERY = 10.0


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
    _spare_memory()
    ended = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: ended.set())
    listening = _listen(port)
    folder.remove_leftovers()
    root = folder.create()
    try:
        opened, start_loading = _launch(root, listening)
        start_loading()
        url = f"http://{HOST}:{listening.getsockname()[1]}/"
        print(f"tf_style: the page is at {url}; Ctrl-C ends it", flush=True)
        if browser:
            webbrowser.open(url)
        while not ended.wait(SWEEP_EVERY):
            opened.sweep()
        opened.close_all()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    # Python would wait for the current step, and for open pages.
    os._exit(130)


def _listen(port):
    """Returns a socket that listens at a port of this machine.

    Raises:
        OSError: none is free; one line.
    """
    for number in [port] if port else PORTS:
        listening = socket.socket()
        # On Windows it would take a port that another program listens at.
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, number))
            listening.listen()  # else another program could bind it too
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror
    ports = f"port {port}" if port else f"any port from {PORTS[0]} to {PORTS[-1]}"
    raise OSError(f"cannot serve at {ports}: {reason}; choose another by --port")


def _launch(root, listening):
    """Starts the page.

    Returns:
        Its `sessions.Sessions`, and a function that starts loading the models.
    """
    temporary = root / "tmp"
    temporary.mkdir()
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    opened, ready = sessions.Sessions(root), warmup.Warmup()
    app = security.Middleware(routes.build(opened, ready), listening.getsockname()[1])
    start(app, listening)
    examples = (str(HERE / "static" / f"{name}.webp") for name in ("harbor", "swirls"))
    arguments = *examples, root / "warm-up"
    return opened, functools.partial(ready.start, *arguments)


def start(app, listening):
    """Has an ASGI application served by a thread, at a socket."""
    # Larger pictures are refused before they are decoded.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            lifespan="off",
        )
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True
    )
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise OSError("the server does not start")
        time.sleep(0.01)


def _spare_memory():
    """Has threads share their heaps, where the C library is GNU's.

    Clicks are served by many threads, each of which would keep some megabytes in a heap
    of its own, up to eight heaps a core.
    """
    m_arena_max = -8  # of malloc.h
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(m_arena_max, 2)
