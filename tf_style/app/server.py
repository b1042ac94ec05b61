"""Serves the page on this machine, and removes all its files at the end."""

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

from tf_style.app import folder, security, sessions, warmup
from tf_style.app.request import MAX_STYLES

HERE = Path(__file__).parent
HOST = "127.0.0.1"
PORTS = range(7860, 7960)
# Of an uploaded file, and of the picture in it: what phones' cameras need.
MAX_BYTES = 32 << 20
MAX_PIXELS = 64_000_000
# Seconds between two searches for files that are no longer needed.
SWEEP_EVERY = 10.0
# Fonts of the user's machine; Gradio's would come from another host.
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
    _prepare_environment(root)
    # Gradio reads the environment when it is imported, which takes a second.
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from tf_style.app import choices, handlers, page

    # Larger pictures are refused before they are decoded.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    examples = root / "examples"
    shutil.copytree(HERE / "pictures", examples)
    photos = [str(examples / name) for name in choices.PHOTOS]
    paintings = [str(examples / name) for name in choices.PAINTINGS]
    opened = sessions.Sessions(root, photos + paintings)
    ready = warmup.Warmup()
    blocks = page.build(handlers.Handlers(opened, ready, photos, paintings))
    blocks.queue(max_size=page.MAX_QUEUED, api_open=False)
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        blocks,
        path="",
        server_name=HOST,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        footer_links=[],
        max_file_size=MAX_BYTES,
        theme=gr.themes.Default(**FONTS),
        css_paths=HERE / "page.css",
    )
    # Before that, Gradio would serve any file.
    blocks.has_launched = True
    port = listening.getsockname()[1]
    max_upload = MAX_STYLES * MAX_BYTES + (1 << 20)  # with the parts' headers
    server = uvicorn.Server(
        uvicorn.Config(
            security.Middleware(app, port, opened, max_upload),
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
    """Keeps all temporary files in one folder, and Gradio from reporting."""
    temporary = root / "tmp"
    temporary.mkdir()
    tempfile.tempdir = str(temporary)
    os.environ |= {
        "TMPDIR": str(temporary),
        # The only folder that Gradio serves files from.
        "GRADIO_TEMP_DIR": str(root),
        "GRADIO_EXAMPLES_CACHE": str(root / "cache"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_RUN_HISTORY": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


@contextlib.contextmanager
def _without_network_settings():
    """Hides the environment's proxies and certificates while Gradio starts.

    Its HTTP client, which the page does not use, fails to start with some that are
    wrong. Downloads of models go by these settings later.
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

    Clicks are served by many threads, each of which would keep some megabytes in a heap
    of its own, up to eight heaps a core.
    """
    m_arena_max = -8  # of malloc.h
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(m_arena_max, 2)
