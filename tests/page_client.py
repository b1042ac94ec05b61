"""Speaks to the running page as browsers, and others, do."""

import http.client
import io
import json
import os
import socket
import sys
import time

from PIL import Image

PROGRAM = (sys.executable, "-m", "tf_style.app", "--no_browser")


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


def png(width=60, height=50):
    stream = io.BytesIO()
    Image.new("1", (width, height)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


class Browser:
    """Sends to the page at `app` whatever it likes, with a cookie or without."""

    def __init__(self, app, cookie=True):
        self.port, self.hash = app.port, "h" + os.urandom(5).hex()
        self.headers = {}
        if cookie:
            status, _said, headers = self.ask("GET", "/")
            assert (status, "SameSite=Strict" in headers["set-cookie"]) == (200, True)
            self.headers["Cookie"] = headers["set-cookie"].partition(";")[0]

    def ask(self, method, path, body=None, headers=None):
        """Returns status, body and headers of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, self.headers | (headers or {}))
            answer = connection.getresponse()
            try:
                said = answer.read()
            except http.client.IncompleteRead as error:  # Gradio ends some so
                said = error.partial
            return answer.status, said, answer.headers
        finally:
            connection.close()

    def config(self):
        return json.loads(self.ask("GET", "/config")[1])

    def event(self, function, data, wait=True, **more):
        """Returns all that is answered to a click, as bytes."""
        event = {"fn_index": function["id"], "session_hash": self.hash, "data": data}
        event["event_data"] = {"index": 0, "value": 0}
        body = json.dumps(event | more)
        if not function["queue"]:
            return self.ask("POST", "/gradio_api/run/predict", body)[1]
        status, said, _ = self.ask("POST", "/gradio_api/queue/join", body)
        if status != 200 or not wait:
            return said
        path = f"/gradio_api/queue/data?session_hash={self.hash}"
        return said + self.ask("GET", path)[1]

    def upload(self, name, data, headers=None, chunked=False):
        """Returns status and the paths that Gradio answers."""
        part = f'Content-Disposition: form-data; name="files"; filename="{name}"'
        body = b"--x\r\n%s\r\n\r\n%s\r\n--x--\r\n" % (part.encode(), data)
        kind = {"Content-Type": "multipart/form-data; boundary=x"} | (headers or {})
        body = iter([body]) if chunked else body
        status, said, _ = self.ask("POST", "/gradio_api/upload", body, kind)
        return status, json.loads(said) if status == 200 else []
