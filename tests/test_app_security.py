"""What the page refuses: foreign requests, files of others, and too much."""

import http.server
import json
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from page_client import Browser, png

from tf_style import images
from tf_style.app import security
from tf_style.app.request import StylizeRequest

FOREIGN = (
    {"Host": "127.0.0.1"},
    {"Host": "127.0.0.1:{other}"},
    {"Host": "elsewhere.example:{port}"},
    {"Host": "127.0.0.1:{port}@evil"},
    {"Host": "evil@127.0.0.1:{port}"},
    {"Host": "127.0.0.1:{port}.evil"},
    {"Host": "127.0.0.2:{port}"},
    {"Host": "[::1]:{port}"},
    {"Host": ""},
    {"Host": "localhost:{port}", "Origin": "http://127.0.0.1:{port}"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://localhost:{port}"},
    {"Origin": "http://127.0.0.1:{other}"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "https://elsewhere.example"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    {"Forwarded": "host=elsewhere.example"},
    {"X-Forwarded-Host": "127.0.0.1:{port}"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Original-URL": "/"},
)


def _scope(method="GET", path="/", port=7860, **headers):
    headers = {"Host": f"127.0.0.1:{port}"} | headers
    values = {k: v.format(port=port, other=port + 1) for k, v in headers.items()}
    return {
        "method": method,
        "path": path,
        "headers": [(k.lower().encode(), v.encode()) for k, v in values.items()],
    }


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_foreign_requests_are_not_allowed(headers):
    assert not security.is_allowed(_scope(**headers), 7860)


def test_page_and_its_links_are_allowed():
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert security.is_allowed(_scope(**link), 7860)
    assert not security.is_allowed(_scope("POST", **link), 7860)
    assert not security.is_allowed(_scope(path="/config", **link), 7860)
    origin = {"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}
    assert security.is_allowed(_scope("POST", **origin), 7860)
    assert security.is_allowed(_scope(Host="localhost"), 80)
    twice = _scope()
    twice["headers"] *= 2
    assert not security.is_allowed(twice, 7860)


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/gradio_api/file=http://example.com/a.png"),
        ("GET", "/gradio_api/FILE=/a.png"),
        ("GET", "/gradio_api/file=HTTP://example.com/a.png"),
        ("GET", "//gradio_api/file=/a.png"),
        ("GET", "/gradio_api//file=/a.png"),
        ("GET", "/gradio_api/file%3dhttp://example.com/a.png"),
        ("GET", "/gradio_api/file/tmp/a.png"),
        ("GET", "/gradio_api/proxy=http://example.com"),
        ("GET", "/gradio_api/heartbeat/../file=/a.png"),
        ("GET", "/static/../config"),
        ("GET", "/assets/.hidden"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/call/paint"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/vibe-edit"),
        ("POST", "/login"),
        ("GET", "/monitoring"),
        ("OPTIONS", "/gradio_api/queue/join"),
        ("POST", "/"),
    ],
)
def test_what_the_page_does_not_need_has_no_route(method, path):
    assert security.route(method, path) == (None, None)


def _functions(config):
    """Returns the functions of the page by their names."""
    return {d["api_name"]: d for d in config["dependencies"]}


def _file(path):
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def _painting(config):
    """Returns the function that paints, and what a browser would send with it."""
    function = next(
        d
        for d in config["dependencies"]
        if len(d["inputs"]) == len(StylizeRequest.__dataclass_fields__)
    )
    values = {c["id"]: c["props"].get("value") for c in config["components"]}
    return function, [values[number] for number in function["inputs"]]


def _snapshot(folder):
    """Returns names, times and contents of all that is in a folder."""
    return {
        path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture
def listener():
    """A server of this machine that is never to be asked: its port, and who asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_POST = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


@pytest.fixture
def victim(tmp_path):
    """A folder with a picture and a text that nobody was given."""
    there = tmp_path / "victim"
    (there / "deep").mkdir(parents=True)
    images.save_image(there / "deep" / "secret.png", np.ones((1, 90, 97, 3)) / 3)
    with open(there / "deep" / "secret.png", "ab") as picture:
        picture.write(b"nobody-was-given-this")
    (there / "secret.txt").write_text("nobody-was-given-this")
    return there


def test_requests_to_every_function_reach_no_files(app, victim, listener):
    port, asked = listener
    me, you = Browser(app), Browser(app)
    config = me.config()
    paint, valid = _painting(config)
    (upload,) = you.upload("yours.png", png(), chunked=True)[1]
    yours = you.event(paint, [_file(upload), *valid[1:]])
    yours = re.search(rb'"path":"([^"]*/one-[^"]*[.]png)"', yours)[1].decode()
    assert Path(yours).exists()
    inside = str(app.folder / "examples" / "..")
    around = victim / "deep" / ".." / "deep" / "secret.png"
    url = f"http://127.0.0.1:{port}/a.png"
    files = [
        victim / "deep" / "secret.png",
        victim / "secret.txt",
        victim,
        around,
        os.path.relpath(victim / "deep" / "secret.png", app.folder),
        inside + "/" + os.path.relpath(victim / "deep" / "secret.png", app.folder),
        upload,
        yours,
        url,
    ]
    files = [str(path) for path in files]
    values = [_file(path) for path in files]
    values += [{"path": path} for path in files]
    values += [files[0], url, {"url": url}, {"path": "a.png", "url": url}]
    values += [_file("a.png") | {"url": url, "is_stream": True}, {"meta": {}}]
    values += [None, True, "text", 10**300, -1, 1.5, [], [[]], {}, [values[0]]]
    before = _snapshot(victim.parent)
    outside = {*app.folder.parent.iterdir()}
    answers = []
    for function in config["dependencies"]:
        count = len(function["inputs"])
        for value in values if count else values[:1]:
            gallery = [{"image": value, "caption": None}, {"video": value}]
            mixtures = [[value] * count, [gallery] * count]
            if function["inputs"] == paint["inputs"]:
                mixtures = [[value, *valid[1:]], [valid[0], gallery, *valid[2:]]]
            for mixture in mixtures if count else [[]]:
                answers.append(me.event(function, mixture))
        if function["inputs"] != paint["inputs"]:  # else it would only paint
            for event_data in ({"index": -1}, {"index": [0], "value": files}, [], 7):
                answers.append(me.event(function, [], event_data=event_data))
                data = valid[1:2] if count else []
                answers.append(me.event(function, data, event_data=event_data))
        answers.append(me.event(function, [0] * 50))
    said = b"".join(answers)
    assert len(answers) > 200 and b"no such picture on this page" in said
    assert b"nobody-was-given-this" not in said and b"yours" not in said
    assert not asked
    assert _snapshot(victim.parent) == before
    assert {*app.folder.parent.iterdir()} == outside
    assert Path(yours).exists()
    # Numbers come last: they reach what paints.
    for number in ("NaN", "1e999", "-1e999", "1" * 5000, '"1"', "[]", "{}", "true"):
        for place in range(3, len(valid)):
            data = [json.dumps(value) for value in valid]
            data[place] = number
            body = f'{{"fn_index": {paint["id"]}, "session_hash": "{me.hash}", "data": '
            body += f"[{', '.join(data)}]}}"
            status, said, _ = me.ask("POST", "/gradio_api/queue/join", body)
            if status == 200:
                path = f"/gradio_api/queue/data?session_hash={me.hash}"
                said = me.ask("GET", path)[1]
                assert b"must be" in said and b"Done" not in said, (number, place)
            else:
                assert status == 400
    assert b"Done in" in me.event(paint, valid)


def test_other_browsers_get_nothing(app, victim):
    me, you = Browser(app), Browser(app)
    paint, valid = _painting(you.config())
    (upload,) = you.upload("yours.png", png())[1]
    said = you.event(paint, [_file(upload), *valid[1:]]).decode()
    yours = set(re.findall(rf'{app.folder}/page-[^"]*?[.](?:png|zip|jpg)', said))
    assert {Path(path).suffix for path in yours} == {".png", ".zip", ".jpg"}
    for path in {upload, *yours}:
        assert you.ask("GET", f"/gradio_api/file={path}")[0] == 200
        assert me.ask("GET", f"/gradio_api/file={path}")[0] == 403
    # Your page's name is worth nothing in another browser.
    me.hash = you.hash
    you.event(paint, [_file(upload), *valid[1:]], wait=False)
    path = f"/gradio_api/queue/data?session_hash={you.hash}"
    said = me.ask("GET", path)[1]
    assert b"session_not_found" in said and b"page-" not in said
    assert b"no such picture" in me.event(paint, [_file(upload), *valid[1:]])
    assert b"Done in" in you.ask("GET", path)[1]
    for path in (
        victim / "secret.txt",
        "/etc/passwd",
        f"{app.folder}/../errors",
        f"{app.folder}/%2e%2e/errors",
        f"{app.folder}/tf_style_app.lock",
        f"{app.folder}/examples/../tf_style_app.lock",
        "../../../../etc/passwd",
        "file:///etc/passwd",
        app.folder,
        "http://127.0.0.1:9/",
    ):
        assert me.ask("GET", f"/gradio_api/file={path}")[0] == 403, path


ASKED = (
    ("GET", "/config"),
    ("GET", "/theme.css"),
    ("GET", "/gradio_api/file={folder}/examples/harbor.webp"),
    ("GET", "/gradio_api/heartbeat/abc"),
    ("GET", "/gradio_api/queue/data?session_hash=abc"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/run/predict"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/upload"),
    ("GET", "/gradio_api/upload_progress?upload_id=abc"),
)


def test_foreign_requests_are_refused_on_every_route(app):
    me, stranger = Browser(app), Browser(app, cookie=False)
    forged = {"Cookie": me.headers["Cookie"][:-1] + "x"}
    before = {*app.folder.iterdir()}
    for method, path in ASKED:
        path = path.format(folder=app.folder)
        for headers in FOREIGN:
            values = {
                k: v.format(port=app.port, other=app.port + 1)
                for k, v in headers.items()
            }
            status, said, answered = me.ask(method, path, "{}", values)
            assert (status, said) == (403, b"refused"), (path, headers)
            assert "access-control-allow-origin" not in answered
            status, *_ = me.ask("OPTIONS", path, headers=values)
            assert status == 403
        if path != "/theme.css":
            for headers in ({}, forged):
                assert stranger.ask(method, path, "{}", headers)[0] == 403, path
    origin = {"Origin": "https://elsewhere.example"}
    assert me.upload("a.png", png(), origin)[0] == 403
    assert {*app.folder.iterdir()} == before
    origin = {"Origin": f"http://127.0.0.1:{app.port}"}
    assert me.upload("a.png", png(), origin)[0] == 200


def test_large_requests_are_refused(app):
    me = Browser(app)
    body = json.dumps({"session_hash": "abc", "data": ["x" * (1 << 20)]})
    for path in ("queue/join", "run/predict", "cancel"):
        for parts in (body, iter([body.encode()])):
            assert me.ask("POST", f"/gradio_api/{path}", parts)[0] == 413
    for body in ("", "[" * 100_000, "{}", "[]", '{"session_hash": "../a"}', "\xff"):
        assert me.ask("POST", "/gradio_api/queue/join", body.encode())[0] == 400
    for chunked in (False, True):
        assert me.upload("a.png", bytes(33 << 20), chunked=chunked)[0] == 413
    endless = {"Content-Length": str(1 << 40)}
    status, *_ = me.ask("POST", "/gradio_api/upload", b"", endless)
    assert status == 413


def test_pages_that_requests_opened_lock_nobody_out(app):
    stop = next(
        d for d in Browser(app).config()["dependencies"] if d["api_name"] == "stop"
    )
    for _ in range(2):
        flood = Browser(app)
        for number in range(20):
            flood.hash = f"flood{number}"
            flood.event(stop, [])
    me = Browser(app)
    paint, valid = _painting(me.config())
    assert b"Done in" in me.event(paint, valid)


def test_link_from_elsewhere_keeps_the_cookie(app):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    status, said, headers = Browser(app, cookie=False).ask("GET", "/", headers=link)
    assert (status, "set-cookie" in headers) == (200, False)
    assert b'http-equiv="refresh"' in said
