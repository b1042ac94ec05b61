"""What the page refuses: foreign requests, files of others, and too much."""

import json

import numpy as np
import pytest
from page_client import JSON, Browser, multipart, png

pytest.importorskip("fastapi", reason="no FastAPI: pip install '.[app]'")

from tf_style import images
from tf_style.app import security

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
ASKED = (
    ("GET", "/"),
    ("GET", "/state"),
    ("GET", "/pictures/harbor"),
    ("GET", "/results/abc"),
    ("GET", "/results/abc/1.png"),
    ("GET", "/all.zip"),
    ("POST", "/pictures"),
    ("POST", "/results"),
    ("POST", "/results/abc/stop"),
    ("POST", "/results/abc/continue"),
    ("POST", "/forget"),
    ("GET", "/nothing"),
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
    assert not security.is_allowed(_scope(path="/state", **link), 7860)
    origin = {"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}
    assert security.is_allowed(_scope("POST", **origin), 7860)
    assert security.is_allowed(_scope(Host="localhost"), 80)
    twice = _scope()
    twice["headers"] *= 2
    assert not security.is_allowed(twice, 7860)


def test_foreign_requests_are_refused_on_every_route(app):
    me, stranger = Browser(app), Browser(app, cookie=False)
    forged = {"Cookie": me.headers["Cookie"][:-1] + "x"}
    before = {*app.folder.iterdir()}
    for method, path in ASKED:
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
        if path != "/":
            for headers in ({}, forged):
                assert stranger.ask(method, path, "{}", headers)[0] == 403, path
    assert {*app.folder.iterdir()} == before
    origin = {"Origin": f"http://127.0.0.1:{app.port}"}
    body, kind = multipart([("file", png())])
    assert me.ask("POST", "/pictures?kind=photo", body, kind | origin)[0] == 201


def test_only_our_own_may_be_loaded_by_the_page(app):
    status, said, headers = Browser(app).ask("GET", "/")
    assert (status, b"<script src=" in said) == (200, True)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert b"http" not in said and b"//" not in said


@pytest.fixture
def victim(tmp_path):
    """A folder with a picture and a text that nobody was given."""
    there = tmp_path / "victim"
    there.mkdir(parents=True)
    images.save_image(there / "secret.png", np.ones((1, 90, 97, 3)) / 3)
    (there / "secret.txt").write_text("nobody-was-given-this")
    return there


def test_no_request_reaches_a_file_by_its_path(app, victim):
    me = Browser(app)
    result = me.paint()
    (session,) = app.folder.glob("session-*/result-" + result["key"])
    inside = session.parent
    paths = [
        str(victim / "secret.png"),
        str(inside),
        f"{inside}/../../errors",
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:9/a.png",
        "~",
        "",
        "a\0b",
    ]
    for path in paths:
        quoted = path.replace("\0", "%00")
        for route in (
            "/static/",
            "/pictures/",
            "/results/",
            f"/results/{result['key']}/",
        ):
            if route + quoted == f"/results/{result['key']}/":
                continue
            status, said, _ = me.ask("GET", route + quoted)
            assert status in (307, 404, 405), (route, path)
            assert b"root:" not in said and b"nobody" not in said
        for wanted in ({"photo": path}, {"styles": [path]}, {"mask": path}):
            status, said = me.order(**wanted)
            assert status in (404, 422), wanted
            assert str(app.folder) not in str(said)
    # What an upload is called is where it goes, but only for its last part.
    before = {*app.folder.parent.rglob("*")}
    for name in ("../../../x.png", "/tmp/x.png", "..", ".hidden.png", "a/b\\c.png"):
        status, said = me.upload(png(), name)
        assert (status, str(app.folder) in str(said)) == (201, False)
    added = {*app.folder.parent.rglob("*")} - before
    assert all(path.is_relative_to(inside) for path in added)
    assert (victim / "secret.txt").exists() and (victim / "secret.png").exists()


def test_other_browsers_get_nothing(app):
    me, you = Browser(app), Browser(app)
    picture = you.upload(png(300, 200), "yours.png")[1]["key"]
    result = you.paint(photo=picture)
    assert result["status"] == "done"
    paths = [
        f"/pictures/{picture}",
        f"/results/{result['key']}",
        f"/results/{result['key']}/{result['picture']}",
        f"/results/{result['key']}/bundle.zip",
    ]
    for path in paths:
        assert you.ask("GET", path)[0] == 200, path
        assert me.ask("GET", path)[0] == 404, path
    for what in ("stop", "continue"):
        assert me.ask("POST", f"/results/{result['key']}/{what}")[0] == 404
    assert me.order(photo=picture)[0] == 404
    assert me.state()["results"] == []
    assert me.ask("POST", "/forget")[0] == 200
    assert you.ask("GET", paths[0])[0] == 200
    assert you.ask("POST", "/forget")[0] == 200
    assert {you.ask("GET", path)[0] for path in paths} == {404}


BAD_ORDERS = (
    "",
    "[" * 10_000,
    "[]",
    "{}",
    "null",
    "\xff",
    '{"photo": "harbor"}',
    '{"photo": "harbor", "styles": []}',
    '{"photo": "harbor", "styles": ["swirls"], "nonsense": 1}',
    '{"photo": "harbor", "styles": ["swirls"], "film": true}',
    '{"photo": {"path": "/etc/passwd"}, "styles": ["swirls"]}',
    '{"photo": "harbor", "styles": ["swirls"], "weights": [NaN]}',
    '{"photo": "harbor", "styles": ["swirls", "mosaic"], "weights": [1]}',
    '{"photo": "harbor", "styles": ["swirls", "mosaic"], "weights": [0, 0]}',
)
SETTINGS = ("method", "strength", "stroke", "colors", "side", "steps")
VALUES = ("NaN", "1e999", "-1", "1" * 5000, '"x"', "[]", "{}", "null", "1.5e9")


def test_orders_that_are_none_are_refused_in_one_line(app):
    me = Browser(app)
    orders = [*BAD_ORDERS]
    for name in SETTINGS:
        settings = ['{"photo": "harbor", "styles": ["swirls"], "settings": {"%s": %s}}']
        orders += [settings[0] % (name, value) for value in VALUES]
    for order in orders:
        status, said, _ = me.ask("POST", "/results", order.encode("latin-1"), JSON)
        assert status in (400, 422), order[:99]
        assert "\n" not in json.loads(said)["error"]["message"]
    assert me.paint()["status"] == "done"


def test_large_requests_are_refused(app):
    me = Browser(app)
    before = {*app.folder.glob("session-*/picture-*")}
    body = json.dumps({"photo": "x" * (1 << 17)})
    assert me.ask("POST", "/results", body, JSON)[0] == 413
    status, said = me.upload(bytes((64 << 20) + 1))
    assert (status, said["error"]["values"]) == (413, {"most": 64})
    for path in ("/results", "/pictures"):
        endless = {"Content-Length": str(1 << 40)}
        status, _said, headers = me.ask("POST", path, b"", endless)
        assert (status, headers["x-content-type-options"]) == (413, "nosniff")
        # Who does not say how much comes is not listened to.
        assert me.ask("POST", path, iter([b"{}"]))[0] == 411
    assert {*app.folder.glob("session-*/picture-*")} <= before


@pytest.mark.parametrize(
    "data, line",
    [
        (b"no picture at all", "is not a picture that can be read"),
        (png()[:-30], "cannot be decoded"),
        (b"", "is empty"),
        (png(8_001, 8_000), "has more than 64 million pixels"),
    ],
    ids=["text", "cut off", "empty", "pixels"],
)
@pytest.mark.parametrize("kind", ["photo", "style", "mask"])
def test_bad_upload_is_refused_and_leaves_nothing(app, data, line, kind):
    me = Browser(app)
    status, said = me.upload(data, "mine.png", kind)
    assert status == 400
    assert said["error"]["message"].startswith("mine.png") and line in str(said)
    assert not [*app.folder.glob("session-*/*/mine*")]


def test_one_browser_paints_a_few_at_a_time(app):
    me = Browser(app)
    slow = {"settings": {"method": "gatys", "steps": 1000}}
    said = [me.order(**slow) for _ in range(6)]
    assert [status for status, _ in said] == [202] * 5 + [503]
    assert said[-1][1]["error"]["code"] == "busy"
    assert me.ask("POST", "/forget")[0] == 200


def test_sessions_that_requests_opened_lock_nobody_out(app):
    for _ in range(40):
        Browser(app).state()
    assert Browser(app).paint()["status"] == "done"
    # What tasks of others wrote after their session had been removed goes as well.
    Browser(app).state()
    assert len([*app.folder.glob("session-*")]) <= 32


def test_link_from_elsewhere_keeps_the_cookie(app):
    me = Browser(app)
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    status, _said, headers = me.ask("GET", "/", headers=link)
    assert (status, "set-cookie" in headers) == (200, False)
    assert me.ask("GET", "/state")[0] == 200
