"""Starts the page on this machine, and ends it without a trace."""

import contextlib
import ctypes
import os
import shutil
import signal
import tempfile
import threading
import webbrowser
from pathlib import Path

from tf_style.app import sessions, warmup
from tf_style.app.guard import Guard

HERE = Path(__file__).parent
MOST_BYTES = 32 << 20
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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    root = Path(tempfile.mkdtemp(prefix="tf_style_app-")).resolve()
    try:
        opened = sessions.Sessions(root)
        url = _launch(opened, port).local_url
        print(f"tf_style: the page is at {url}; Ctrl-C ends it", flush=True)
        if browser:
            webbrowser.open(url)
        ended.wait()
        opened.close_all()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    # Python would wait for the step that is being computed, and for open pages.
    os._exit(130)


def _launch(opened, port):
    """Returns the running page, a `gr.Blocks`."""
    _prepare_environment(opened.root)
    # Reads the environment, and takes a second.
    import gradio as gr
    from starlette.middleware import Middleware

    from tf_style.app import choices, handlers, page

    examples = opened.root / "examples"
    shutil.copytree(HERE / "pictures", examples)
    photos = [str(examples / name) for name in choices.PHOTOS]
    paintings = [str(examples / name) for name in choices.PAINTINGS]
    ready = warmup.Warmup()
    shown = page.build(handlers.Handlers(opened, ready, photos, paintings))
    shown.queue(max_size=page.MOST_QUEUED, api_open=False)
    shown.launch(
        server_name="127.0.0.1",
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inbrowser=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        footer_links=[],
        max_file_size=MOST_BYTES,
        theme=gr.themes.Default(**FONTS),
        css_paths=HERE / "page.css",
        app_kwargs={"middleware": [Middleware(Guard)]},
    )
    ready.start(photos[0], paintings[0], opened.root / "warm-up")
    return shown


def _prepare_environment(root):
    """Keeps all temporary files in one folder, and Gradio to itself."""
    tempfile.tempdir = str(root)
    os.environ |= {
        "TMPDIR": str(root),
        # All that Gradio may read for a browser.
        "GRADIO_TEMP_DIR": str(root),
        "GRADIO_EXAMPLES_CACHE": str(root / "cache"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_RUN_HISTORY": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def _spare_memory():
    """Has threads share their heaps, where the C library is GNU's.

    Every click is served by other threads, each of which would keep some megabytes for
    itself, up to eight for each core.
    """
    m_arena_max = -8  # of malloc.h
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(m_arena_max, 2)
