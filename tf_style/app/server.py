"""Starts the page on this machine, and ends it without a trace."""

import contextlib
import ctypes
import functools
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
import webbrowser
from pathlib import Path

from PIL import Image

from tf_style.app import folder, guard, sessions, warmup
from tf_style.app.wish import MOST_STYLES

HERE = Path(__file__).parent
HOST = "127.0.0.1"
PORTS = range(7860, 7960)
# Of an uploaded file; and of the picture in it, as large as telephones make them.
MOST_BYTES = 32 << 20
MOST_PIXELS = 64_000_000
# Seconds from one search for what nobody needs any more to the next.
SWEEP_EVERY = 10.0
# Fonts of the reader's own machine; Gradio's would come from elsewhere.
FONTS = {
    "font": ["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
    "font_mono": ["ui-monospace", "Consolas", "monospace"],
}


def serve(port=None, browser=True):
    """Serves the page until Ctrl-C.

    Args:
        port: of 127.0.0.1; None: the first free one from 7860.
        browser: whether to open the page there.

    Returns:
        Never; the process ends with status 130.

    Raises:
        ModuleNotFoundError: Gradio is not installed.
        OSError: the port is taken, or there is no room for temporary files.
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
        with _without_network_settings():
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
    # Python would wait for the step that is being computed, and for open pages.
    os._exit(130)


def _listen(port):
    """Returns a socket at a port of this machine.

    Raises:
        OSError: none is free; one line.
    """
    for number in [port] if port else PORTS:
        listening = socket.socket()
        # Elsewhere it would take a port that another program listens at.
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, number))
            listening.listen()  # or the next one could have it too
            return listening
        except OSError as error:
            listening.close()
            reason = error.strerror
    ports = f"port {port}" if port else f"any port from {PORTS[0]} to {PORTS[-1]}"
    raise OSError(f"cannot serve at {ports}: {reason}; choose another by --port")


def _launch(root, listening):
    """Starts the page.

    Returns:
        Its `sessions.Sessions`, and a function that begins to load the models.
    """
    _prepare_environment(root)
    # Reads the environment, and takes a second.
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from tf_style.app import choices, handlers, page

    # Decoders refuse more before they decode.
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    examples = root / "examples"
    shutil.copytree(HERE / "pictures", examples)
    photos = [str(examples / name) for name in choices.PHOTOS]
    paintings = [str(examples / name) for name in choices.PAINTINGS]
    opened = sessions.Sessions(root, photos + paintings)
    ready = warmup.Warmup()
    shown = page.build(handlers.Handlers(opened, ready, photos, paintings))
    shown.queue(max_size=page.MOST_QUEUED, api_open=False)
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        shown,
        path="",
        server_name=HOST,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        footer_links=[],
        max_file_size=MOST_BYTES,
        theme=gr.themes.Default(**FONTS),
        css_paths=HERE / "page.css",
    )
    # Gradio lets anything out before.
    shown.has_launched = True
    port = listening.getsockname()[1]
    most_bytes = MOST_STYLES * MOST_BYTES + (1 << 20)  # and what stands between files
    server = uvicorn.Server(
        uvicorn.Config(
            guard.Guard(app, port, opened, most_bytes),
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            lifespan="on",
        )
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True
    )
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise OSError("the page's server does not start")
        time.sleep(0.01)
    arguments = photos[0], paintings[0], root / "warm-up"
    return opened, functools.partial(ready.start, *arguments)


def _prepare_environment(root):
    """Keeps all temporary files in one folder, and Gradio to itself."""
    temporary = root / "tmp"
    temporary.mkdir()
    tempfile.tempdir = str(temporary)
    os.environ |= {
        "TMPDIR": str(temporary),
        # All that Gradio may read for a browser.
        "GRADIO_TEMP_DIR": str(root),
        "GRADIO_EXAMPLES_CACHE": str(root / "cache"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_RUN_HISTORY": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


@contextlib.contextmanager
def _without_network_settings():
    """Hides the environment's proxies and certificates for a while.

    Gradio's HTTP client, which the page has no use for, does not start with some that
    are wrong. The models are fetched by what they say.
    """
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if re.fullmatch("(all|https?)_proxy|ssl_cert_(file|dir)", name.lower())
    }
    try:
        yield
    finally:
        os.environ |= hidden


def _spare_memory():
    """Has threads share their heaps, where the C library is GNU's.

    Every click is served by other threads, each of which would keep some megabytes for
    itself, up to eight for each core.
    """
    m_arena_max = -8  # of malloc.h
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(m_arena_max, 2)
