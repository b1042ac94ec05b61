"""The page in the browser: its parts, and all of it in a real headless Chromium."""

import http.client
import http.server
import io
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
import zipfile
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image

from tf_style import images
from tf_style.app import bundle, chart, folder, guard, line, sessions
from tf_style.app.__main__ import main
from tf_style.app.wish import MOST_SIDE, MOST_STYLES, Wish
from tf_style.jobs import manifest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = (sys.executable, "-m", "tf_style.app", "--no_browser")
# Milliseconds that anything may take on a machine that others use too.
PATIENCE = 60_000


# Its parts, without a browser.


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"photo": None}, "Choose a photo first"),
        ({"styles": ()}, "Choose a style first"),
        ({"styles": ("a.png",) * 5}, "5 styles are too many; mix at most 4"),
        ({"side": 4096}, "size is 4096; it must be from 128 to 2048"),
        ({"mode": "gatys", "side": 2048}, "it must be from 128 to 1024"),
        ({"steps": 0}, "steps is 0; it must be from 1 to 1000"),
        ({"strength": "1"}, "strength is '1'; it must be from 0 to 1"),
        ({"strength": math.nan}, "strength is nan; it must be from 0 to 1"),
        ({"strength": True}, "strength is True; it must be from 0 to 1"),
        ({"steps": math.inf}, "steps is inf; it must be from 1 to 1000"),
        ({"side": "256"}, "size is '256'; it must be from 128 to 2048"),
        ({"side": [256]}, "size is [256]; it must be from 128 to 2048"),
        ({"seed": None}, "seed is None"),
        ({"seed": -(10**400)}, "seed is -1000"),
        ({"colors": {}}, "colours is {}; it must be one of"),
        ({"init": ["hub"]}, "beginning is ['hub']; it must be one of"),
        ({"mode": "magic"}, "mode is 'magic'; it must be one of hub, gatys, compare"),
    ],
)
def test_wish_out_of_bounds_is_refused(changes, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        Wish(**{"photo": "a.png", "styles": ("b.png",), "mode": "hub"} | changes)


def test_wish_becomes_a_job():
    wish = Wish("a.png", ("b.png", "c.png"), "gatys", 0.5, "luminance", 256, 9, "noise")
    job = wish.to_job("gatys", "/tmp/there")
    assert (job.contents, job.styles) == (("a.png",), ("b.png", "c.png"))
    assert (job.output, job.max_side, job.style_blend) == ("/tmp/there/", 256, True)
    assert (job.gatys.steps, job.gatys.init) == (9, "noise")
    assert job.gatys.style_weight == pytest.approx(1e-3 * 1e-3**0.5)
    assert job.hub.strength == 0.5
    assert job.gatys.preserve_color == job.hub.preserve_color == "luminance"


class _Task:
    abandoned = False


def test_line_is_served_in_order():
    queue, first, second = line.Line(1), _Task(), _Task()
    with queue.place(first) as before_first, queue.place(second) as before_second:
        assert (before_first(), before_second()) == (0, 1)
        first.abandoned = True
        assert before_second() == 0


def test_full_line_is_refused():
    queue = line.Line(1)
    with queue.place(_Task()), queue.place(_Task()):
        with pytest.raises(ValueError, match="1 pictures are waiting already"):
            with queue.place(_Task()):
                pass
    with queue.place(_Task()) as before:
        assert before() == 0


@pytest.fixture
def opened(tmp_path):
    """`Sessions` in a folder of their own, with one example."""
    root = tmp_path / "root"
    (root / "examples").mkdir(parents=True)
    images.save_image(root / "examples" / "ours.png", np.ones((1, 8, 8, 3)))
    return sessions.Sessions(root, [root / "examples" / "ours.png"])


def _uploaded(opened, name, owner="me", content=None):
    """Returns the path of a file that is there as if a browser had uploaded it."""
    path = opened.root / ("ab" * 32) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content or _png())
    opened.note_upload(owner, path)
    return str(path)


def test_closed_page_leaves_no_files(opened):
    session = opened.find("me.page")
    before = {*opened.root.iterdir()} - {session.folder}
    opened.admit("me.page", _uploaded(opened, "photo.png"))
    task = session.begin("one")
    opened.close("me.page")
    assert task.abandoned and task.stop.requested
    assert {*opened.root.iterdir()} - before == {opened.root / ("ab" * 32)}
    task.folder.mkdir(parents=True)  # written by what had not ended yet
    task.end()
    assert not session.folder.exists()


def test_admitted_are_examples_own_files_and_own_uploads(opened):
    ours = str(opened.root / "examples" / "ours.png")
    assert opened.admit("me.page", ours) == ours
    assert opened.admit("me.page", {"path": ours, "url": "http://x/"}) == ours
    mine = opened.admit("me.page", {"path": _uploaded(opened, "a.PNG")})
    assert Path(mine).parent.parent == opened.find("me.page").folder
    assert Path(mine).read_bytes() == _png()
    assert opened.admit("me.page", mine) == mine
    assert opened.may_read("me", mine) and not opened.may_read("you", mine)


@pytest.mark.parametrize("name", ["photo", "a.svg", "a.mp4", "photo.2024"])
def test_upload_with_any_ending_is_a_picture(opened, name):
    mine = opened.admit("me.page", _uploaded(opened, name))
    assert Path(mine).name == f"{name}.png"


NO_FILES = (
    None,
    True,
    0,
    math.nan,
    "",
    "a\0b",
    [],
    {},
    {"path": None},
    {"path": ["a"]},
    {"path": {"path": "a"}},
    {"url": "http://127.0.0.1:9/a.png"},
    "http://127.0.0.1:9/a.png",
    "file:///etc/hostname",
    "data:image/png;base64,AAAA",
    "examples/ours.png",
    "/",
    "~",
)


@pytest.mark.parametrize("given", NO_FILES, ids=repr)
def test_what_is_no_file_is_not_admitted(opened, given):
    with pytest.raises(ValueError, match="no such picture on this page"):
        opened.admit("me.page", given)
    assert not opened.may_read("me", given)


def test_files_of_others_are_not_admitted(opened, tmp_path):
    victim = tmp_path / "victim.png"
    victim.write_bytes(_png())
    me, you = opened.find("me.page"), opened.find("you.page")
    yours = opened.admit("you.page", _uploaded(opened, "yours.png", "you"))
    (me.folder / "link.png").symlink_to(victim)
    (me.folder / "way").symlink_to(tmp_path)
    (opened.root / "plain").mkdir()
    (opened.root / "plain" / "a.png").write_bytes(_png())
    opened.note_upload("me", opened.root / "plain" / "a.png")
    opened.note_upload("me", victim)
    refused = (
        victim,
        tmp_path,
        yours,
        you.folder,
        me.folder,
        opened.root,
        opened.root / "plain" / "a.png",
        opened.root / ("ab" * 32) / "yours.png",
        me.folder / ".." / you.folder.name / Path(yours).relative_to(you.folder),
        f"{me.folder}/../../victim.png",
        f"{opened.root}/examples/../../victim.png",
        f"{me.folder}-else",
        me.folder / "link.png",
        me.folder / "way" / "victim.png",
    )
    for path in refused:
        for given in (str(path), {"path": str(path)}):
            with pytest.raises(ValueError, match="no such picture on this page"):
                opened.admit("me.page", given)
        assert not opened.may_read("me", str(path)), path
    # One browser's pages are apart, but may show each other's files.
    with pytest.raises(ValueError, match="no such picture"):
        opened.admit("you.other", yours)
    assert opened.may_read("you", yours)


def test_large_style_is_kept_smaller(opened):
    content = _png(4100, 10)
    photo = opened.admit("me.page", _uploaded(opened, "a.bmp", content=content))
    style = _uploaded(opened, "a.bmp", content=content)
    style = opened.admit("me.page", style, "style")
    assert Path(photo).read_bytes() == content
    assert (Path(style).name, Image.open(style).size) == ("a.png", (2048, 5))
    assert len([*Path(style).parent.iterdir()]) == 1


def test_uploads_of_a_page_are_counted(opened, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_UPLOADS", 1)
    upload = _uploaded(opened, "a.png")
    opened.admit("me.page", upload)
    with pytest.raises(ValueError, match="1 files were uploaded on this page"):
        opened.admit("me.page", upload)


def test_refused_upload_leaves_nothing(opened):
    with pytest.raises(ValueError, match="is not a picture that can be read"):
        opened.admit("me.page", _uploaded(opened, "a.png", content=b"text"))
    assert [*opened.find("me.page").folder.iterdir()] == []


def test_only_direct_children_are_removed(tmp_path):
    root, victim = tmp_path / "root", tmp_path / "victim"
    for made in (root / "deep" / "deeper", victim):
        made.mkdir(parents=True)
        (made / "kept").touch()
    (root / "link").symlink_to(victim)
    (tmp_path / "other").symlink_to(root)
    for child in (
        root,
        tmp_path,
        victim,
        root / "deep" / "deeper",
        root / "..",
        root / "link" / "kept",
        root / "deep" / ".." / ".." / "victim",
        "/",
        "",
        "deep",
    ):
        with pytest.raises(ValueError, match="does not lie directly in"):
            folder.remove(root, child)
    with pytest.raises(ValueError, match="does not lie directly in"):
        folder.remove(tmp_path / "other", root / "deep")
    assert (root / "deep" / "deeper" / "kept").exists()
    for name in ("link", "deep", "nothing"):
        folder.remove(root, root / name)
    assert [*root.iterdir()] == [] and (victim / "kept").exists()


def test_what_nobody_claims_goes_after_a_while(opened, monkeypatch):
    upload = Path(_uploaded(opened, "a.png"))
    (opened.root / "tmpabc").touch()
    (opened.root / "tmp").mkdir()
    opened.connect("me.shown")
    shown, left = opened.find("me.shown"), opened.find("me.left")
    opened.sweep()
    assert upload.exists() and not left.closed
    monkeypatch.setattr(sessions, "PATIENCE", -1)
    opened.sweep()
    assert not upload.parent.exists() and not (opened.root / "tmpabc").exists()
    assert (left.closed, shown.closed) == (True, False)
    assert (opened.root / "examples" / "ours.png").exists()
    assert (opened.root / "tmp").exists()
    opened.disconnect("me.shown")
    opened.sweep()
    assert shown.closed


def test_new_task_takes_the_place_of_the_last(tmp_path):
    session = sessions.Sessions(tmp_path).find("name")
    first, other, second = map(session.begin, ("one", "pair", "one"))
    assert first.stop.requested and not first.folder.exists()
    assert other.folder.exists() and not other.stop.requested
    assert second.folder != first.folder


def test_too_many_pages_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_PAGES", 1)
    opened = sessions.Sessions(tmp_path)
    assert opened.find("a") is opened.find("a")
    opened.connect("a")
    with pytest.raises(ValueError, match="1 pages are open already"):
        opened.find("b")
    opened.disconnect("a")  # who is gone makes place
    opened.find("b")
    assert len([*tmp_path.glob("page-*")]) == 1


def test_errors_name_files_as_the_user_does(tmp_path):
    opened = sessions.Sessions(tmp_path)
    error = ValueError(f"{tmp_path}/page-1/upload-2/my photo.jpg is\nempty")
    assert opened.plain(error) == "my photo.jpg is empty"


def test_chart_breaks_the_line_where_the_size_changes():
    losses = {"style": 100.0, "content": 1.0, "total": 101.0}
    sizes = [(64, 48)] * 2 + [(128, 96)] * 2
    points = [chart.Point(i, size, losses) for i, size in enumerate(sizes)]
    drawing = chart.draw(points, 10)
    assert drawing.count("<polyline") == 2 * len(chart.COLOURS)
    assert "128 px" in drawing and "10²" in drawing


@pytest.mark.parametrize("losses", [{}, {"style": np.nan, "content": 0.0}])
def test_chart_of_nothing_is_empty(losses):
    points = [chart.Point(i, (8, 8), losses) for i in range(2 if losses else 0)]
    assert chart.draw(points, 10) == ""


def test_bundle_can_be_repeated_where_it_is_unpacked(tmp_path, monkeypatch):
    photo, style = tmp_path / "in" / "photo.JPG", tmp_path / "in" / "paint.png"
    for path in (photo, style, tmp_path / "out.png"):
        images.save_image(path.with_suffix(path.suffix.lower()), np.ones((1, 8, 8, 3)))
    photo.with_suffix(".jpg").rename(photo)
    job = Wish(str(photo), (str(style),), "hub").to_job("hub", tmp_path)
    inputs = {"content": (str(photo), "1"), "style": (str(style), "2")}
    model = types.SimpleNamespace(name="builtin", source="here", checksum="3")
    account = manifest.describe(job, inputs, {"hub": model})
    with manifest.publishing(account, [tmp_path / "out.png"], {}) as (temporary,):
        temporary.write_bytes((tmp_path / "in" / "paint.png").read_bytes())
    bundle.write(tmp_path / "out.zip", [tmp_path / "out.png"])
    there = tmp_path / "there"
    zipfile.ZipFile(tmp_path / "out.zip").extractall(there)
    assert sorted(path.name for path in there.iterdir()) == [
        "content.jpg",
        "out.png",
        "out.png.json",
        "style.png",
    ]
    monkeypatch.chdir(there)
    again = manifest.read("out.png.json")
    assert (again.contents, again.styles) == (("content.jpg",), ("style.png",))


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
def test_foreign_requests_are_not_welcome(headers):
    assert not guard.is_welcome(_scope(**headers), 7860)


def test_page_and_its_links_are_welcome():
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert guard.is_welcome(_scope(**link), 7860)
    assert not guard.is_welcome(_scope("POST", **link), 7860)
    assert not guard.is_welcome(_scope(path="/config", **link), 7860)
    origin = {"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}
    assert guard.is_welcome(_scope("POST", **origin), 7860)
    assert guard.is_welcome(_scope(Host="localhost"), 80)
    twice = _scope()
    twice["headers"] *= 2
    assert not guard.is_welcome(twice, 7860)


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
    assert guard.route(method, path) == (None, None)


def test_without_gradio_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['gradio'] = None; "
        "from tf_style.app.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    said = "tf_style: the page needs Gradio: pip install 'tf_style[app]'\n"
    assert done.stderr == said


@pytest.mark.parametrize("argument", ["--port=99999", "--port=x", "--nonsense"])
def test_bad_usage_is_one_line(argument, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tf_style.app", argument])
    with pytest.raises(SystemExit) as ended:
        main()
    out, said = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert re.fullmatch(r"tf_style: .*; see --help\n", said)


# All of it, in a browser.


def _until(done):
    """Waits until `done()`."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not done():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright: pip install '.[browser]'"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The running program: its `url`, its `port`, and its `folder` of files."""
    pytest.importorskip("gradio", reason="no Gradio: pip install '.[app]'")
    folder = tmp_path_factory.mktemp("app")
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | {
        "TMPDIR": str(folder),
        "TF_STYLE_CACHE": str(folder / "cache"),
        "TFHUB_CACHE_DIR": str(folder / "cache"),
        "KERAS_HOME": str(folder / "keras"),
        # As on a machine without a network.
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
    }
    port = _free_port()
    with open(folder / "errors", "w") as errors:
        process = subprocess.Popen(
            [*PROGRAM, f"--port={port}"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    said = process.stdout.readline()
    url = f"http://127.0.0.1:{port}/"
    ready = f"tf_style: the page is at {url}; Ctrl-C ends it\n"
    assert said == ready, (folder / "errors").read_text()
    (files,) = folder.glob("tf_style_app-*")
    yield types.SimpleNamespace(url=url, port=port, folder=files)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE / 1000) == 130
    assert (folder / "errors").read_text() == ""
    assert {path.name for path in folder.iterdir()} == {"errors", "keras"}


class _Browser:
    """Sends to the page at `app` whatever it likes, with a cookie or without."""

    def __init__(self, app, cookie=True):
        self.port, self.hash = app.port, "h" + os.urandom(5).hex()
        self.headers = {}
        if cookie:
            status, said, headers = self.ask("GET", "/")
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
        if len(d["inputs"]) == len(Wish.__dataclass_fields__)
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
    me, you = _Browser(app), _Browser(app)
    config = me.config()
    paint, valid = _painting(config)
    (upload,) = you.upload("yours.png", _png(), chunked=True)[1]
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
            body += f'[{", ".join(data)}]}}'
            status, said, _ = me.ask("POST", "/gradio_api/queue/join", body)
            if status == 200:
                path = f"/gradio_api/queue/data?session_hash={me.hash}"
                said = me.ask("GET", path)[1]
                assert b"must be" in said and b"Done" not in said, (number, place)
            else:
                assert status == 400
    assert b"Done in" in me.event(paint, valid)


def test_other_browsers_get_nothing(app, victim):
    me, you = _Browser(app), _Browser(app)
    paint, valid = _painting(you.config())
    (upload,) = you.upload("yours.png", _png())[1]
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
    me, stranger = _Browser(app), _Browser(app, cookie=False)
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
    assert me.upload("a.png", _png(), origin)[0] == 403
    assert {*app.folder.iterdir()} == before
    origin = {"Origin": f"http://127.0.0.1:{app.port}"}
    assert me.upload("a.png", _png(), origin)[0] == 200


def test_large_requests_are_refused(app):
    me = _Browser(app)
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
        d for d in _Browser(app).config()["dependencies"] if d["api_name"] == "stop"
    )
    for _ in range(2):
        flood = _Browser(app)
        for number in range(20):
            flood.hash = f"flood{number}"
            flood.event(stop, [])
    me = _Browser(app)
    paint, valid = _painting(me.config())
    assert b"Done in" in me.event(paint, valid)


def test_link_from_elsewhere_keeps_the_cookie(app):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    status, said, headers = _Browser(app, cookie=False).ask("GET", "/", headers=link)
    assert (status, "set-cookie" in headers) == (200, False)
    assert b'http-equiv="refresh"' in said


def test_start_removes_what_a_killed_page_left(tmp_path):
    pytest.importorskip("gradio", reason="no Gradio: pip install '.[app]'")
    for name in ("plain", "empty"):
        (tmp_path / f"tf_style_app-{name}").mkdir()
    (tmp_path / "tf_style_app-plain" / "photo.png").touch()
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / folder.MARKER).touch()
    (tmp_path / "tf_style_app-link").symlink_to(target)
    kept = {*tmp_path.rglob("*")}
    wrong = {
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "SSL_CERT_FILE": str(tmp_path / "none.pem"),
    }
    for end in (signal.SIGKILL, signal.SIGHUP):
        process = subprocess.Popen(
            [*PROGRAM, f"--port={_free_port()}"],
            cwd=tmp_path,
            env=os.environ | wrong | {"TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "the page is at" in process.stdout.readline()
        assert len({*tmp_path.glob("tf_style_app-*")} - kept) == 1
        process.send_signal(end)
        assert process.wait(PATIENCE / 1000) == {signal.SIGHUP: 130}.get(end, -end)
    assert {*tmp_path.rglob("*")} == kept


def test_pages_that_live_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(folder.tempfile, "tempdir", str(tmp_path))
    mine = folder.create()
    code = "from tf_style.app import folder; folder.remove_leftovers(); "
    code += "print(folder.create())"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    for _ in range(2):  # each removes what the one before it left
        done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=-1)
        left = Path(done.stdout.decode().strip())
        assert {*tmp_path.iterdir()} == {mine, left}


@pytest.fixture
def open_page(chromium, app):
    """A function that opens the page in a new tab; nothing may come from elsewhere.

    Chromium opens 6 connections to a host at a time, of which a tab that paints holds
    2. So more than two that paint shall be `apart`, as if in other browsers.
    """
    requested, complaints, contexts = set(), [], []

    def open_page(apart=False):
        if apart or not contexts:
            context = chromium.new_context(viewport={"width": 1280, "height": 900})
            context.set_default_timeout(PATIENCE)
            context.on("request", lambda request: requested.add(request.url))
            context.on("console", lambda message: complaints.append(message.text))
            contexts.append(context)
        page = contexts[-1].new_page()
        page.goto(app.url)
        page.get_by_text("Optimising with our built-in backbone").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    places = {urlparse(url)[:2] for url in requested if not url.startswith("data:")}
    assert {host for scheme, host in places if scheme != "blob"} == {
        f"127.0.0.1:{app.port}"
    }
    assert not [text for text in complaints if "Content Security Policy" in text]


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def photo(tmp_path):
    """A photo of 150x100 pixels, transparent at an edge."""
    path, pixels = tmp_path / "photo.png", np.random.default_rng(1).random(
        (100, 150, 4)
    )
    pixels[:, 10:, 3] = 1
    Image.fromarray(images.to_uint8(pixels)).save(path)
    return path


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "painting.jpg"
    images.save_image(path, np.random.default_rng(2).random((120, 90, 3)))
    return path


def _upload(page, where, path):
    with page.expect_response(lambda answer: "/upload?" in answer.url):
        page.locator(f"{where} input[type=file]").first.set_input_files(path)


def _choose(page, photo, painting):
    """Uploads a photo and a style in place of what is there."""
    _upload(page, "#photo", photo)
    _shows(page, "#photo img", photo.name)
    page.locator("#styles").get_by_label("Clear").click()
    _upload(page, "#styles", painting)
    _shows(page, "#styles img", painting.name)


def _shows(page, where, name):
    """Waits until the server has taken over an upload that is to be seen somewhere."""
    page.locator(f"{where}[src*='upload-'][src$='{name}']").wait_for()


def _set(page, **numbers):
    if not page.locator("#side").is_visible():
        page.get_by_role("button", name="Settings").click()
    for name, number in numbers.items():
        # A field that has just appeared may take its old value once more.
        field, slider = (
            page.locator(f"#{name} input[type={kind}]") for kind in ("number", "range")
        )
        _until(lambda: _fill(field, number) or slider.input_value() == str(number))


def _fill(field, number):
    field.fill(str(number))
    field.blur()


def _says(page, kind, text):
    page.locator(f"#{kind}-status").get_by_text(text).wait_for()


def _paint_slowly(page, steps, side=128):
    _set(page, side=side, steps=steps)
    page.get_by_label("Slow: optimise the picture").check()
    page.locator("#one-paint").click()


def _paint_for_long(page):
    _paint_slowly(page, 1000, 512)


def _take(page, button, tmp_path):
    """Downloads; returns the path."""
    with page.expect_download() as download:
        page.locator(button).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def _unpack(path):
    """Returns the names in a ZIP, its manifest, and the size of its picture."""
    with zipfile.ZipFile(path) as archive:
        account = json.loads(archive.read(f"{path.stem}.png.json"))
        picture = Image.open(io.BytesIO(archive.read(f"{path.stem}.png")))
        return sorted(archive.namelist()), account, picture.size


def test_fast_path_from_upload_to_download(page, photo, painting, tmp_path):
    _choose(page, photo, painting)
    page.locator("#one-paint").click()
    _says(page, "one", "Done in")
    picture = images.load_picture(_take(page, "#one-picture", tmp_path))
    assert picture.pixels.shape == (1, 100, 150, 3)
    assert picture.alpha is not None
    names, account, size = _unpack(_take(page, "#one-bundle", tmp_path))
    assert names == [
        "content.png",
        "photo_painting.png",
        "photo_painting.png.json",
        "style.jpg",
    ]
    assert (account["settings"]["mode"], size) == ("hub", (150, 100))
    assert [*account["files"].values()] == [picture.sha256]
    assert account["models"]["hub"]["name"] == "builtin"
    before, after = page.locator("#slider img").all()
    assert before.get_attribute("src").endswith("before.jpg")
    assert after.get_attribute("src").endswith("photo_painting.png")


def test_slow_path_shows_the_fast_picture_and_the_losses(page, photo, painting):
    _choose(page, photo, painting)
    _paint_slowly(page, 3)
    page.locator("#slider img[src*='/fast/']").wait_for()
    _says(page, "one", "Done in")
    page.locator("#slider img[src*='/slow/']").wait_for()
    assert page.locator("#one-chart polyline").count() == 2
    assert page.locator("#one-paint").is_enabled()


def test_stop_keeps_the_best_picture(page, tmp_path):
    _paint_slowly(page, 1000)
    _says(page, "one", re.compile("Step [1-9]"))
    page.locator("#one-stop").click()
    _says(page, "one", "Stopped at step")
    names, account, size = _unpack(_take(page, "#one-bundle", tmp_path))
    assert (account["interrupted"], account["settings"]["mode"]) == (True, "gatys")
    assert 0 < account["steps"] < 1000 and size == (128, 96)
    page.locator("#one-stop").wait_for(state="hidden")


def test_side_by_side(page, tmp_path):
    _set(page, side=128, steps=3)
    page.get_by_role("tab", name="Side by side").click()
    page.locator("#pair-paint").click()
    _says(page, "pair", "Done in")
    for path in ("hub", "gatys"):
        page.locator(f"img[src$='harbor_swirls_{path}.png']").wait_for()
    assert page.locator("#pair-chart td").count() == 6
    names, account, _ = _unpack(_take(page, "#pair-bundle", tmp_path))
    assert {"harbor_swirls_hub.png", "harbor_swirls_gatys.png"} < {*names}
    assert account["fast"]["losses"].keys() == account["slow"]["losses"].keys()


def test_ours_are_picked_by_a_click(page):
    page.locator("#photos button").nth(1).click()
    page.locator("#photo img[src$='still_life.webp']").wait_for()
    page.locator("#paintings button").nth(1).click()
    page.locator("#styles img[src$='mosaic.webp']").wait_for()
    page.locator("#paintings button").nth(0).click()
    page.locator("#styles img[src$='swirls.webp']").wait_for(state="detached")


@pytest.mark.parametrize(
    "make, line",
    [
        (lambda: b"no picture at all", "is not a picture that can be read"),
        (lambda: _png()[:-30], "cannot be decoded"),
        (lambda: b"", "is empty"),
        (lambda: _png(8_001, 8_000), "has more than 64 million pixels"),
        (lambda: bytes(33 << 20), "exceed the maximum allowed size of 32"),
    ],
    ids=["text", "cut off", "empty", "pixels", "bytes"],
)
def test_bad_upload_is_refused(page, tmp_path, make, line):
    path = tmp_path / "photo.png"
    path.write_bytes(make())
    page.locator("#photo input[type=file]").first.set_input_files(path)
    page.get_by_test_id("toast-body").get_by_text(line).wait_for()
    assert str(tmp_path) not in page.content()
    if len(path.read_bytes()) < 32 << 20:  # else Gradio's script takes it away
        page.locator("#photo img[src$='harbor.webp']").wait_for()


def _png(width=60, height=50):
    stream = io.BytesIO()
    Image.new("1", (width, height)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def test_bad_style_is_refused_and_the_others_stay(page, tmp_path):
    (tmp_path / "bad.png").write_bytes(_png()[:-30])
    _upload(page, "#styles", tmp_path / "bad.png")
    page.get_by_test_id("toast-body").get_by_text(
        "bad.png cannot be decoded"
    ).wait_for()
    page.locator("#styles img[src$='bad.png']").wait_for(state="detached")
    assert page.locator("#styles img[src$='swirls.webp']").count() == 1


def test_no_more_styles_than_can_be_mixed_are_kept(page, painting, tmp_path):
    paths = [tmp_path / f"style{number}.jpg" for number in range(5)]
    for path in paths:
        shutil.copy(painting, path)
    page.locator("#styles").get_by_label("Clear").click()
    _upload(page, "#styles", paths)
    page.get_by_test_id("toast-body").get_by_text(
        "At most 4 styles can be mixed; the first 4 of 5 are kept"
    ).wait_for()
    page.locator("#styles img").nth(4).wait_for(state="detached")
    assert page.locator("#styles img").count() == MOST_STYLES


def test_photo_without_an_ending_is_painted(page, photo, tmp_path):
    path = photo.rename(tmp_path / "photo")
    data = {"name": path.name, "mimeType": "image/png", "buffer": path.read_bytes()}
    _upload(page, "#photo", data)
    _shows(page, "#photo img", "photo.png")
    page.locator("#one-paint").click()
    _says(page, "one", "Done in")
    names, *_ = _unpack(_take(page, "#one-bundle", tmp_path))
    assert {"content.png", "style.webp"} < {*names}


def test_wishes_out_of_bounds_are_refused(page):
    _set(page, side=MOST_SIDE["gatys"] + 32)
    page.get_by_label("Slow: optimise the picture").check()
    page.locator("#one-paint").click()
    _says(page, "one", "size is 1056; it must be from 128 to 1024")
    page.locator("#photo").get_by_label("Remove Image").click()
    page.locator("#one-paint").click()
    _says(page, "one", "Choose a photo first")
    for number in range(1, 5):
        page.locator("#paintings button").nth(number).click()
        if number < MOST_STYLES:
            page.locator("#styles img").nth(number).wait_for()
    page.get_by_text("At most 4 styles can be mixed").first.wait_for()
    assert page.locator("#styles img").count() == MOST_STYLES


def test_one_slow_picture_at_a_time(open_page, app):
    first, second = open_page(), open_page()
    _paint_for_long(first)
    _says(first, "one", "Step")
    _paint_for_long(second)
    _says(second, "one", "Waiting for 1 other picture")
    third = open_page()
    third.locator("#one-paint").click()
    _says(third, "one", "Done in")
    # An abandoned one ends, and leaves nothing.
    pages = len([*app.folder.glob("page-*")])
    first.close()
    _says(second, "one", "Step")
    _until(lambda: len([*app.folder.glob("page-*")]) < pages)
    second.close()
    third.close()
    _until(lambda: not [*app.folder.glob("page-*")])


def test_who_waits_can_stop(open_page):
    first, second = open_page(), open_page()
    _paint_for_long(first)
    _says(first, "one", "Step")
    _paint_for_long(second)
    _says(second, "one", "Waiting for 1 other picture")
    second.locator("#one-stop").click()
    _says(second, "one", "Stopped before its turn")
    assert second.locator("#one-picture").is_enabled()


def test_no_more_than_a_few_wait(open_page):
    pages = [open_page(apart=True) for _ in range(3)]
    for number, page in enumerate(pages):
        _paint_for_long(page)
        _says(
            page, "one", re.compile(f"Waiting for {2 * number}" if number else "Step")
        )
        page.get_by_role("tab", name="Side by side").click()
        page.locator("#pair-paint").click()
        if page is not pages[-1]:
            _says(page, "pair", f"Waiting for {2 * number + 1}")
    _says(page, "pair", "4 pictures are waiting already, and no more may")
    page.locator("#pair-fast img").wait_for()


def test_port_that_is_taken_is_one_line(app):
    done = subprocess.run(
        [*PROGRAM, f"--port={app.port}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"tf_style: .*port.*\n", done.stderr)
