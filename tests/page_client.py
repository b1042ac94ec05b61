"""Speaks to the running page as browsers, and others, do."""

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time

from PIL import Image

PROGRAM = (sys.executable, "-m", "tf_style.app", "--no_browser")
ENDS = ("done", "stopped", "failed")

JSON = {"Content-Type": "application/json"}

# Milliseconds that anything may take on a machine that others use too.
PATIENCE = 60_000


def wait_until(done):
    """Waits until `done()`."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not done():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(folder, port, **streams):
    """Starts the page's program, with all its files below a folder."""
    return subprocess.Popen(
        [*PROGRAM, f"--port={port}"],
        cwd=folder,
        env=offline(folder),
        stdout=subprocess.PIPE,
        text=True,
        **streams,
    )


def offline(folder):
    """Returns the environment of a program without a network, or caches of ours."""
    nowhere = "http://127.0.0.1:9"
    return os.environ | {
        "TMPDIR": str(folder),
        "TF_STYLE_CACHE": str(folder / "cache"),
        "TFHUB_CACHE_DIR": str(folder / "cache"),
        "KERAS_HOME": str(folder / "keras"),
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
    }


def png(width=60, height=50):
    stream = io.BytesIO()
    Image.new("1", (width, height)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def multipart(fields, filename="{}.png"):
    """Returns the body of a form, and its type; values are text, or files' bytes."""
    body = b""
    for name, value in fields:
        head = f'Content-Disposition: form-data; name="{name}"'
        if isinstance(value, bytes):
            head += f'; filename="{filename.format(name)}"'
        data = value if isinstance(value, bytes) else str(value).encode()
        body += b"--x\r\n%s\r\n\r\n%s\r\n" % (head.encode(), data)
    return body + b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


class Browser:
    """Sends to the page at `app` whatever it likes, with a cookie or without."""

    def __init__(self, app, cookie=True):
        self.port, self.headers = app.port, {}
        if cookie:
            status, _said, headers = self.ask("GET", "/")
            assert (status, "SameSite=Lax" in headers["set-cookie"]) == (200, True)
            self.headers["Cookie"] = headers["set-cookie"].partition(";")[0]

    def ask(self, method, path, body=None, headers=None):
        """Returns status, body and headers of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, self.headers | (headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def state(self):
        return json.loads(self.ask("GET", "/state")[1])

    def upload(self, data, name="a.png", kind="photo"):
        """Returns status and answer."""
        body, headers = multipart([("file", data)], name)
        status, said, _ = self.ask("POST", f"/pictures?kind={kind}", body, headers)
        return status, json.loads(said)

    def order(self, **wanted):
        """Asks for a picture; returns status and answer."""
        wanted = {"photo": "harbor", "styles": ["swirls"]} | wanted
        status, said, _ = self.ask("POST", "/results", json.dumps(wanted), JSON)
        return status, json.loads(said)

    def paint(self, **wanted):
        """Returns how a picture ended."""
        state = self.order(**wanted)[1]
        while state["status"] not in ENDS:
            path = f"/results/{state['key']}?after={state['version']}"
            state = json.loads(self.ask("GET", path)[1])
        return state
