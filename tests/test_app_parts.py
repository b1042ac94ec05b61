"""The parts of the page, without a browser; and how it starts."""

import asyncio
import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import types
import zipfile
from pathlib import Path

import films
import numpy as np
import pytest
from page_client import PATIENCE, PROGRAM, free_port, png, wait_until
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

pytest.importorskip("fastapi", reason="no FastAPI: pip install '.[app]'")

from tf_style import images
from tf_style.app import bundle, errors, folder, forecast, routes, sessions, warmup
from tf_style.app.__main__ import main
from tf_style.app.errors import Refused
from tf_style.app.request import Settings, check_weights
from tf_style.app.waiting_queue import WaitingQueue
from tf_style.config import NeighborsConfig
from tf_style.jobs import manifest
from tf_style.video import writer


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "magic"},
        {"method": "compare"},
        {"strength": 1.01},
        {"strength": float("nan")},
        {"stroke": 0.1},
        {"stroke": float("inf")},
        {"colors": {}},
        {"side": 4096},
        {"side": 1.5},
        {"steps": -1},
        {"steps": 1001},
        {"nonsense": 1},
    ],
    ids=str,
)
def test_settings_out_of_bounds_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Settings(**changes)


@pytest.mark.parametrize(
    "weights", [(1.0,), (0.0, 0.0), (2.0, 1.0), (float("nan"), 1.0), (-1.0, 1.0)]
)
def test_weights_must_fit(weights):
    check_weights((), 2)
    check_weights((0.2, 1.0), 2)
    with pytest.raises(ValueError, match="weights are"):
        check_weights(weights, 2)


def test_settings_become_a_job():
    settings = Settings(
        method="gatys", strength=0.5, stroke=2, colors="luminance", side=256, steps=9
    )
    job = settings.to_job("a.png", ("b.png", "c.png"), "/tmp/there", (1, 3), "m.png")
    assert (job.contents, job.styles) == (("a.png",), ("b.png", "c.png"))
    assert (job.output, job.max_side, job.style_blend) == ("/tmp/there/", 256, True)
    assert (job.gatys.steps, job.gatys.init, job.masks) == (9, "hub", ("m.png",))
    assert job.gatys.style_weight == pytest.approx(1e-3 * 1e-3**0.5)
    assert job.hub.strength == 0.5
    for config in (job.gatys, job.hub):
        assert config.preserve_color == "luminance"
        assert (config.style_scale, config.style_weights) == (2, (1, 3))


@pytest.mark.parametrize("strength, weight", [(1, 0), (0.5, 0.3), (0, 0.6)])
def test_strength_of_neighbors_is_the_photos_share(strength, weight):
    settings = Settings(method="neighbors", strength=strength)
    job = settings.to_job("a.png", ("b.png",), "/tmp/there")
    assert (job.mode, job.methods, job.max_side) == ("neighbors", ("neighbors",), 1024)
    assert job.neighbors.content_weight == pytest.approx(weight)
    assert job.neighbors.steps == NeighborsConfig.steps


def test_languages_say_the_same():
    english, *others = (
        json.loads((errors.STATIC / f"{language}.json").read_text("utf-8"))
        for language in ("en", "fr")
    )
    page = (errors.STATIC / "page.html").read_text("utf-8")
    assert {*re.findall(r'data-t="(\w+)"', page)} < english.keys()
    for words in others:
        assert words.keys() == english.keys()
        for key, text in words.items():
            named = re.findall(r"{\w+}", english[key])
            assert sorted(re.findall(r"{\w+}", text)) == sorted(named), key


@pytest.mark.parametrize(
    "error, code",
    [
        (ValueError("a.png: not enough memory for 9x9 pixels; --tile"), "no_memory"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no_space"),
        (ImportError("No module named 'tensorflow'"), "no_models"),
        (Refused("bad_film", "a.mp4 has no frames", name="a.mp4"), "bad_film"),
        (ValueError("a.png is too elongated"), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_have_codes_that_the_page_translates(error, code):
    told = errors.explain(error)
    assert told["code"] == code
    assert errors.LINES[code].format(**told["values"])


def test_all_that_is_refused_has_a_line():
    # Requests of programs, which the page's words do not concern.
    codes = {*errors.STATUS, *errors.CAUSES} - {"refused", "token"}
    assert codes < errors.LINES.keys()


def test_forecast_is_what_pictures_of_that_size_took():
    known = forecast.Forecast()
    assert known.seconds("gatys", (500, 400), 10) is None
    known.learn_trial("gatys", (100, 100), 10, 3.0)
    assert known.seconds("gatys", (100, 100), 20) == pytest.approx(6)
    # Four times the pixels take less than four times as long.
    assert 6 < known.seconds("gatys", (200, 200), 10) < 10
    # From now on pictures count: the first of a size took 9 s, and others 3.
    for seconds in (9.0, 3.0, 3.2, 2.8):
        known.learn("gatys", (200, 100), 20, seconds)
    assert known.seconds("gatys", (200, 100), 20) == pytest.approx(3)
    assert known.seconds("gatys", (200, 100), 40) == pytest.approx(6)
    assert known.seconds("gatys", (100, 200), 20) == pytest.approx(9)
    assert known.seconds("neighbors", (200, 100), 20) is None


def test_forecast_goes_by_the_last_pictures_that_are_nearest_in_size():
    known = forecast.Forecast()
    for side, seconds in ((100, 5.0), (100, 1.0), (1000, 20.0)):
        for _ in range(4):
            known.learn("hub", (side, side), 1, seconds)
    assert known.seconds("hub", (100, 100), 1) == pytest.approx(1)
    assert known.seconds("hub", (1000, 1000), 1) == pytest.approx(20)


@pytest.fixture
def session(tmp_path):
    """A `Session` in a folder of its own."""
    return sessions.Sessions(tmp_path).get("me")


def test_queue_is_served_in_order(session):
    queue, tasks = WaitingQueue(2), [session.add_task(None) for _ in range(4)]
    first, second, third, fourth = tasks

    def wait(task):
        with queue.turn(task) as comes:
            task.update(comes=comes)

    with queue.turn(first) as comes:
        assert comes and first.state["status"] == "painting"
        threads = []
        for ahead, task in enumerate((second, third), 1):
            threads.append(threading.Thread(target=wait, args=(task,)))
            threads[-1].start()
            wait_until(lambda: task.state.get("ahead") == ahead)
        with pytest.raises(Refused, match="Too many pictures"):
            wait(fourth)
        second.abandon()
        wait_until(lambda: third.state["ahead"] == 1)
    for thread in threads:
        thread.join()
    assert (second.state["comes"], third.state["comes"]) == (False, True)
    wait(fourth)
    assert fourth.state["comes"]


def _add(session, name, data=None, kind="photo"):
    """Returns the `Picture` of an upload."""
    picture = session.add_picture(io.BytesIO(data or png()), name, kind)
    assert session.pictures[picture.key] == picture
    return picture


@pytest.mark.parametrize("name", ["photo", "a.svg", "photo.2024", "..", "", "a/b.c"])
def test_upload_with_any_name_is_a_picture(session, name):
    picture = _add(session, name)
    assert picture.path.suffix == ".png" and picture.path.read_bytes() == png()
    assert picture.path.parent.parent == session.folder
    assert (picture.size, picture.film) == ((60, 50), None)
    assert sorted(path.suffix for path in session.folder.iterdir()) == [""]


def test_heic_can_be_shown(session):
    heif = pytest.importorskip("pillow_heif", reason="pip install '.[heif]'")
    stream = io.BytesIO()
    heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(stream)
    picture = _add(session, "a.heic", stream.getvalue())
    with Image.open(picture.shown) as image:
        assert (image.format, image.size) == ("JPEG", (64, 48))
    assert picture.size == (64, 48)


def test_size_is_of_the_picture_as_it_is_seen(session):
    stream = io.BytesIO()
    image = Image.new("RGB", (3000, 200))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(stream, "JPEG", exif=exif)
    picture = _add(session, "turned.jpg", stream.getvalue())
    assert picture.size == (200, 3000)
    assert max(Image.open(picture.shown).size) == sessions.SHOWN_SIDE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "MPO"])
def test_no_upload_keeps_the_place_where_it_was_taken(session, kind):
    image, stream = Image.new("RGB", (30, 20), "red"), io.BytesIO()
    image.paste("blue", (0, 0, 10, 10))
    exif = image.getexif()
    exif[Base.Artist], exif[Base.Orientation] = "Me", 6
    exif[IFD.GPSInfo] = {int(GPS.GPSLatitude): (48.0, 31.0, 12.0)}
    both = {"save_all": True, "append_images": [image]} if kind == "MPO" else {}
    image.save(stream, kind, exif=exif.tobytes(), **both)
    (session.folder / "before").write_bytes(stream.getvalue())
    before = images.load_picture(session.folder / "before")
    picture = _add(session, f"a.{kind.lower()}", stream.getvalue())
    after = images.load_picture(picture.path)
    with Image.open(picture.path) as found:
        assert IFD.GPSInfo not in found.getexif()
        assert found.getexif()[Base.Artist] == "Me"
    np.testing.assert_array_equal(after.pixels, before.pixels)
    assert picture.size == (20, 30)


def test_xmp_of_an_upload_does_not_tell_the_place(session):
    stream = io.BytesIO()
    xmp = b"<x:xmpmeta exif:GPSLatitude='48,31.2N'/>"
    Image.new("RGB", (30, 20), "red").save(stream, "JPEG", xmp=xmp)
    path = _add(session, "a.jpg", stream.getvalue()).path
    assert path.suffix == ".jpg" and b"GPS" not in path.read_bytes()


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_no_uploaded_film_keeps_the_place_where_it_was_taken(session, tmp_path, ending):
    av = pytest.importorskip("av")
    pytest.importorskip("cv2")
    source, path = tmp_path / "source.mp4", tmp_path / f"a{ending}"
    h264 = {"codec": "libx264", "pix_fmt": "yuv420p"}
    films.write(source, films.pan(3, 48, 64), **h264)
    with av.open(str(source)) as original, av.open(str(path), "w") as film:
        film.metadata.update({"location": "+48.5200+009.0575/", "title": "A walk"})
        copy = film.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                film.mux(packet)
    with av.open(str(path)) as film:
        assert {"location", "LOCATION"} & {*film.metadata}
    kept = _add(session, path.name, path.read_bytes()).film
    with av.open(str(kept)) as film:
        assert film.metadata.get("title", film.metadata.get("TITLE")) == "A walk"
        tags = {k.lower(): v.strip() for k, v in film.metadata.items()}
        assert not tags.get("location")
        assert len([*film.decode(video=0)]) == 3
    assert b"+48.5" not in kept.read_bytes()


@pytest.mark.parametrize("ending", [".mov", ".mkv"])
def test_blanking_a_place_of_one_letter_changes_no_frame(tmp_path, ending):
    av = pytest.importorskip("av")
    path = tmp_path / f"a{ending}"
    with av.open(str(path), "w") as film:
        film.metadata["location"] = "a"
        stream = film.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for image in films.pan(3, 48, 64):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        film.mux(stream.encode())

    def frames():
        with av.open(str(path)) as film:
            return [frame.to_ndarray() for frame in film.decode(video=0)]

    before = frames()
    writer.blank_place(path)
    np.testing.assert_array_equal(frames(), before)


@pytest.mark.parametrize("name", ["moving.gif", "moving.png"])
def test_of_an_animation_the_first_frame_is_the_photo(session, name):
    stream = io.BytesIO()
    first, second = (Image.new("RGB", (20, 10), colour) for colour in ("red", "blue"))
    kind = Path(name).suffix[1:].upper()
    first.save(stream, kind, save_all=True, append_images=[second])
    picture = _add(session, name, stream.getvalue())
    with Image.open(picture.path) as image, Image.open(picture.film) as film:
        assert (image.format, getattr(image, "n_frames", 1)) == ("PNG", 1)
        assert image.getpixel((0, 0)) == (255, 0, 0)
        assert film.n_frames == 2
    style = _add(session, name, stream.getvalue(), "style")
    with Image.open(style.path) as image:
        assert getattr(image, "n_frames", 1) == 1


def test_refused_upload_leaves_nothing(session):
    with pytest.raises(Refused, match="is not a picture that can be read"):
        _add(session, "a.png", b"text")
    assert [*session.folder.iterdir()] == []


def test_oldest_pictures_and_results_make_room(session, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_PICTURES", 2)
    monkeypatch.setattr(sessions, "MAX_TASKS", 2)
    first, *others = (_add(session, f"{i}.png") for i in range(3))
    assert [*session.pictures.values()] == others and not first.path.parent.exists()
    tasks = []
    for _ in range(3):
        tasks.append(session.add_task(None))
        tasks[-1].update(status="done")
    assert [*session.tasks.values()] == tasks[1:] and not tasks[0].folder.exists()


def test_session_that_is_not_heard_of_leaves_no_files(tmp_path, monkeypatch):
    opened = sessions.Sessions(tmp_path)
    session = opened.get("me")
    _add(session, "a.png")
    task = session.add_task(None)
    monkeypatch.setattr(sessions, "MAX_UNHEARD", 2)
    for _ in range(2):
        opened.sweep()
    opened.get("me")
    for _ in range(2):
        opened.sweep()
    assert session.folder.exists()
    opened.sweep()
    assert task.abandoned and task.stop.requested
    assert [*tmp_path.iterdir()] == []
    assert opened.get("me") is not session


def test_idle_sessions_make_room_and_busy_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 1)
    opened = sessions.Sessions(tmp_path)
    assert opened.get("a") is opened.get("a")
    task = opened.get("a").add_task(None)
    with pytest.raises(Refused, match="Too many pictures"):
        opened.get("b")
    task.update(status="done")
    opened.get("b")
    assert len([*tmp_path.iterdir()]) == 1


def test_few_pictures_of_one_session_are_painted_at_a_time(session):
    tasks = [session.add_task(None) for _ in range(5)]
    with pytest.raises(Refused, match="Too many pictures"):
        session.add_task(None)
    tasks[2].update(status="stopped")
    session.add_task(None)


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


@pytest.mark.parametrize("place", ["/tmp", "/tmp/my files/x"])
def test_errors_name_files_as_the_user_does(place):
    there = f"{place}/tf_style_app-x/session-1/picture-2"
    error = ValueError(f"{there}/my photo.jpg is\nempty")
    assert errors.describe(error) == "my photo.jpg is empty"


def test_without_tensorflow_a_request_is_answered_in_one_line(tmp_path):
    ready, sent = warmup.Warmup(), []
    ready.work.set_exception(ImportError("No module named 'tensorflow'"))
    app = routes.build(sessions.Sessions(tmp_path), ready)
    scope = {"type": "http", "method": "POST", "path": "/results", "owner": "me"}

    async def receive():
        body = b'{"photo": "harbor", "styles": ["swirls"]}'
        return {"type": "http.request", "body": body}

    kind = [(b"content-type", b"application/json")]

    async def send(message):
        sent.append(message)

    asyncio.run(app({**scope, "headers": kind, "query_string": b""}, receive, send))
    start, body = sent
    assert start["status"] == 503
    assert (
        json.loads(body["body"])["error"]["message"] == "No module named 'tensorflow'"
    )


def test_bundle_can_be_repeated_where_it_is_unpacked(tmp_path, monkeypatch):
    photo, style = tmp_path / "in" / "photo.JPG", tmp_path / "in" / "paint.png"
    for path in (photo, style, tmp_path / "out.png"):
        images.save_image(path.with_suffix(path.suffix.lower()), np.ones((1, 8, 8, 3)))
    photo.with_suffix(".jpg").rename(photo)
    job = Settings().to_job(photo, [style], tmp_path)
    inputs = {"content": (str(photo), "1"), "style": (str(style), "2")}
    model = types.SimpleNamespace(name="builtin", source="here", checksum="3")
    account = manifest.describe(job, inputs, {"hub": model})
    with manifest.publishing(account, [tmp_path / "out.png"], {}) as (temporary,):
        temporary.write_bytes((tmp_path / "in" / "paint.png").read_bytes())
    bundle.write(tmp_path / "out.zip", tmp_path / "out.png")
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


def test_without_fastapi_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['fastapi'] = None; "
        "from tf_style.app.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    said = "tf_style: the server needs FastAPI: pip install 'tf_style[app]'\n"
    assert done.stderr == said


@pytest.mark.parametrize("argument", ["--port=99999", "--port=x", "--nonsense"])
def test_bad_usage_is_one_line(argument, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tf_style.app", argument])
    with pytest.raises(SystemExit) as ended:
        main()
    out, said = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert re.fullmatch(r"tf_style: .*; see --help\n", said)


def test_start_removes_what_a_killed_page_left(tmp_path):
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
            [*PROGRAM, f"--port={free_port()}"],
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


def test_port_that_is_taken_is_one_line(app):
    done = subprocess.run(
        [*PROGRAM, f"--port={app.port}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"tf_style: .*port.*\n", done.stderr)
