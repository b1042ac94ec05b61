"""The page in a real headless Chromium, on a desk and on a phone."""

import contextlib
import io
import json
import re
import shutil
import zipfile
from urllib.parse import urlparse

import numpy as np
import pytest
from page_client import PATIENCE, free_port, start, wait_until
from PIL import Image

from tf_style import images

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

# What a drop or a paste of files is, as far as scripts can make one.
GIVE = """([where, kind, files]) => {
    const data = new DataTransfer();
    for (const [name, type, base64] of files) {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], name, { type }));
    }
    const settings = { bubbles: true, cancelable: true };
    const event = kind === "paste"
        ? new ClipboardEvent(kind, { ...settings, clipboardData: data })
        : new DragEvent(kind, { ...settings, dataTransfer: data });
    return document.querySelector(where).dispatchEvent(event);
}"""


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


@pytest.fixture
def open_page(chromium, app):
    """A function that opens the page; nothing may come from elsewhere."""
    requested, complaints, contexts = set(), [], []

    def open_page(
        context=None, prepare=None, locale="en-US", viewport=DESK, **settings
    ):
        if context is None:
            context = chromium.new_context(
                locale=locale, viewport=viewport, reduced_motion="reduce", **settings
            )
            context.set_default_timeout(PATIENCE)
            contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requested.add(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        if prepare:
            prepare(page)
        page.goto(app.url)
        page.locator("body[data-ready]").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    places = {urlparse(url)[:2] for url in requested if not url.startswith("data:")}
    assert {host for scheme, host in places if scheme != "blob"} == {
        f"127.0.0.1:{app.port}"
    }
    bad = [t for t in complaints if "Content Security" in t or t.startswith("error")]
    assert not bad


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def photo(tmp_path):
    """A photo of 150x100 pixels, transparent at an edge."""
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(1).random((100, 150, 4))
    pixels[:, 10:, 3] = 1
    Image.fromarray(images.to_uint8(pixels)).save(path)
    return path


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "painting.jpg"
    images.save_image(path, np.random.default_rng(2).random((120, 90, 3)))
    return path


def _says(page, text):
    page.locator("#status", has_text=text).wait_for()


def _painted(page, width, height):
    _says(page, f"{width} \N{MULTIPLICATION SIGN} {height} pixels, painted in")


def _give(page, where, kind, *paths):
    """Drops or pastes files; returns whether the browser would do what it wants."""
    import base64

    files = [(p.name, "", base64.b64encode(p.read_bytes()).decode()) for p in paths]
    return page.evaluate(GIVE, [where, kind, files])


def _shown(page):
    """Waits for the picture of a result; returns its address."""
    picture = page.locator("#picture[src*='/results/']")
    picture.wait_for()
    return picture.get_attribute("src")


def _take(page, tmp_path, link="#download"):
    """Downloads; returns the path."""
    with page.expect_download() as download:
        page.locator(link).click()
    path = tmp_path / f"taken_{download.value.suggested_filename}"
    download.value.save_as(path)
    return path


def _details(page, **numbers):
    page.locator("summary").click()
    for name, number in numbers.items():
        page.locator(f"#{name}").fill(str(number))
    page.locator("summary").click()


def _server(page):
    """Returns what the server knows of this browser."""
    return page.request.get(page.url + "state").json()


def _improve(page, method="neighbors", steps=3, side=128):
    _details(page, steps=steps, side=side)
    page.locator(f"[data-method={method}]").click()


def test_opens_on_a_finished_example(page, tmp_path):
    picture = page.locator("#picture")
    assert picture.evaluate("image => image.naturalWidth") == 512
    _says(page, "An example")
    with Image.open(_take(page, tmp_path)) as image:
        assert image.size == (512, 384)
    page.locator("#before").click()
    assert page.locator("#original").is_visible() and not picture.is_visible()
    page.locator("#before").click()
    assert picture.is_visible()


def test_dropped_photo_is_painted_and_what_one_sees_is_what_one_gets(
    page, photo, tmp_path
):
    url = page.url
    assert not _give(page, "header", "drop", photo)  # else it would be navigated to
    _painted(page, 150, 100)
    shown = page.request.get(urlparse(page.url)._replace(path=_shown(page)).geturl())
    path = _take(page, tmp_path)
    assert path.name == "taken_photo_swirls.png"
    assert path.read_bytes() == shown.body()
    picture = images.load_picture(path)
    assert picture.pixels.shape == (1, 100, 150, 3) and picture.alpha is not None
    _details(page)
    page.locator("summary").click()
    with zipfile.ZipFile(_take(page, tmp_path, "#bundle")) as archive:
        names = sorted(archive.namelist())
        account = json.loads(archive.read("photo_swirls.png.json"))
    expected = ["photo_swirls.png", "photo_swirls.png.json", "style.webp"]
    assert names == ["content.png", *expected]
    assert [*account["files"].values()] == [picture.sha256]
    assert page.url == url


def test_pasted_photo_is_painted_and_a_dropped_painting_replaces_ours(
    page, photo, painting
):
    assert _give(page, "body", "paste", photo)
    _painted(page, 150, 100)
    before = _shown(page)
    assert not _give(page, "#paintings h3", "drop", painting)
    wait_until(lambda: _shown(page) != before)
    pressed = page.locator("#paintings [aria-pressed=true]")
    assert pressed.count() == 1 and pressed.get_attribute("title") == "painting.jpg"


@pytest.mark.slow
def test_paintings_are_mixed_by_weight(page, app):
    _details(page, side=128)
    page.locator("#mix").check()
    page.locator("#paintings [data-key=mosaic]").click()
    _says(page, "painted in")
    slider = page.locator("#weights input").nth(1)
    slider.fill("0.25")
    slider.dispatch_event("change")
    wait_until(lambda: page.locator("#strip li").count() == 2)
    wanted = _server(page)["results"][-1]["wanted"]
    assert (wanted["styles"], wanted["weights"]) == (["swirls", "mosaic"], [1, 0.25])


def test_choices_of_words_are_painted_at_once_and_gone_back_to(page):
    _details(page, side=128)
    page.get_by_label("Light").check()
    _says(page, "painted in")
    page.get_by_label("Broad").check()
    wait_until(lambda: page.locator("#strip li").count() == 2)
    page.get_by_label("The photo's").check()
    wait_until(lambda: page.locator("#strip li").count() == 3)
    page.locator("#strip button").nth(2).click()  # the first one
    assert page.get_by_label("Light").is_checked()
    assert page.get_by_label("Medium").nth(1).is_checked()
    assert page.get_by_label("The painting's").is_checked()


def test_several_photos_are_painted_into_one_zip(page, photo, painting, tmp_path):
    page.locator("#photo-file").set_input_files([photo, painting])
    wait_until(lambda: page.locator("#strip li").count() == 2)
    _painted(page, 90, 120)
    with zipfile.ZipFile(_take(page, tmp_path, "#all")) as archive:
        names = archive.namelist()
        sizes = [Image.open(io.BytesIO(archive.read(name))).size for name in names]
    assert names == ["01_photo_swirls.png", "02_painting_swirls.png"]
    assert sizes == [(150, 100), (90, 120)]


@pytest.mark.slow
def test_film_is_painted_whole_if_it_is_asked_for(page, tmp_path):
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (64, 48), (40 * i, 90, 200)) for i in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    _give(page, "main", "drop", path)
    _painted(page, 64, 48)
    assert Image.open(_take(page, tmp_path)).format == "PNG"
    page.locator("#paint-film").click()
    page.locator("#picture[src$='.gif']").wait_for()
    _says(page, "painted in")
    with Image.open(_take(page, tmp_path)) as image:
        assert image.n_frames == 3


def _changed(page, tmp_path):
    """Returns how much each pixel of the example was changed, in levels [384, 512]."""
    example = page.request.get(f"{page.url}static/harbor.webp").body()
    before, after = (
        np.asarray(Image.open(picture).convert("RGB"), float)
        for picture in (io.BytesIO(example), _take(page, tmp_path))
    )
    return np.abs(after - before).mean(-1)


def test_brush_marks_where_to_paint(page, tmp_path):
    page.locator("#mark").click()
    page.get_by_text("Brush over what is to be painted").wait_for()
    box = page.locator("#mask").bounding_box()
    x, y = box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 30, steps=3)
    page.mouse.up()
    _says(page, "painted in")
    changed = _changed(page, tmp_path)
    assert changed[:, :200].mean() < 2 < 20 < changed[180:220, 370:400].mean()
    page.locator("#unmark").click()
    wait_until(lambda: page.locator("#strip li").count() == 2)


def test_brush_is_moved_by_keyboard(page, tmp_path):
    page.locator("#mark").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "mask"
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("+")
    where = page.locator("#brush-at")
    assert (
        where.inner_text()
        == "Brush at 80 % from the left, 48 % from the top, 14 % wide"
    )
    page.keyboard.down(" ")
    page.keyboard.press("ArrowDown")
    assert where.inner_text().startswith("Painting at 80 % from the left, 50 %")
    page.keyboard.up(" ")
    _says(page, "painted in")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "mark"
    changed = _changed(page, tmp_path)
    assert changed[:, :200].mean() < 2 < 20 < changed[180:195, 400:420].mean()


def test_painted_grows_from_the_quick_picture(page, photo):
    _give(page, "main", "drop", photo)
    _says(page, "painted in")
    _improve(page)
    _says(page, re.compile("Step|painted in"))
    wait_until(lambda: page.locator("#strip li").count() == 2)
    _painted(page, 128, 85)
    page.locator("summary").click()
    assert page.locator("#chart polyline").count() == 1
    assert "builtin" in page.locator("#facts").inner_text()
    # What is chosen next is painted quickly again.
    page.locator("#paintings [data-key=mosaic]").click()
    page.locator("[data-method=hub][aria-pressed=true]").wait_for()


def test_stop_keeps_the_best_and_continue_goes_on(page, tmp_path):
    _improve(page, "gatys", 1000)
    _says(page, re.compile("Step [1-9]"))
    assert 0 < page.locator("#progress").evaluate("bar => bar.value") < 1
    page.locator("#stop").click()
    _says(page, "Stopped. This is the best")
    assert Image.open(_take(page, tmp_path)).size == (128, 96)
    last = _server(page)["results"][-1]["step"]
    page.locator("#continue").click()
    _says(page, re.compile("Step [1-9]"))
    assert _server(page)["results"][-1]["step"] >= last
    page.locator("#stop").click()
    _says(page, "Stopped. This is the best")
    assert page.locator("#strip li").count() == 1


def test_reload_and_second_tab_find_all_there_was(page, open_page, photo):
    _give(page, "main", "drop", photo)
    _painted(page, 150, 100)
    _improve(page, "gatys", 1000)
    _says(page, re.compile("Step [1-9]"))
    page.reload()
    _says(page, re.compile("Step [1-9]"))
    assert page.locator("#photos [title='photo.png'][aria-pressed=true]").count() == 1
    other = open_page(page.context)
    _says(other, re.compile("Step [1-9]"))
    other.locator("#stop").click()
    for tab in (page, other):
        _says(tab, "Stopped. This is the best")


def test_one_can_look_at_another_result_meanwhile(page):
    _details(page, side=128, steps=1000)
    page.locator("#paintings [data-key=mosaic]").click()
    _says(page, "painted in")
    page.locator("[data-method=gatys]").click()
    _says(page, re.compile("Step [1-9]"))
    page.locator("#strip button").click()
    _says(page, "painted in")
    quick = page.locator("#picture").get_attribute("src")
    page.locator("#stop").click()
    wait_until(lambda: page.locator("#strip li").count() == 2)
    assert page.locator("#picture").get_attribute("src") == quick


@pytest.mark.slow
def test_lost_connection_is_said_and_mended(page):
    _improve(page, "gatys", 1000)
    _says(page, re.compile("Step [1-9]"))
    page.context.set_offline(True)
    page.locator("#lost", has_text="The connection to tf_style is lost").wait_for()
    page.context.set_offline(False)
    page.locator("#lost").wait_for(state="hidden")
    page.locator("#stop").click()
    _says(page, "Stopped. This is the best")


def _is_sent_again(page):
    """Waits until a server that had forgotten it has painted the photo again."""
    page.locator("#lost", has_text="tf_style had forgotten this page").wait_for()
    _painted(page, 150, 100)
    wait_until(lambda: page.locator("#strip li").count() == 1)
    pressed = page.locator("#photos [aria-pressed=true]")
    assert pressed.get_attribute("title") == "photo.png"
    page.locator("#paintings [data-key=cubist]").click()
    page.locator("#lost").wait_for(state="hidden")


def test_photo_is_sent_again_to_a_server_that_does_not_know_this_browser(page, photo):
    _give(page, "main", "drop", photo)
    _painted(page, 150, 100)
    page.context.clear_cookies()
    page.locator("#paintings [data-key=mosaic]").click()
    _is_sent_again(page)


def test_photo_is_sent_again_to_a_server_that_has_removed_it(page, photo):
    _give(page, "main", "drop", photo)
    _painted(page, 150, 100)
    # As after ten minutes without a call.
    page.request.post(f"{page.url}forget")
    page.locator("#paintings [data-key=mosaic]").click()
    _is_sent_again(page)


@pytest.mark.slow
def test_what_is_deleted_in_one_tab_does_not_come_back_by_another(open_page, photo):
    page = open_page()
    _give(page, "main", "drop", photo)
    _painted(page, 150, 100)
    _improve(page, "gatys", 1000)
    _says(page, re.compile("Step [1-9]"))
    other = open_page(page.context)
    other.locator("#forget").click()
    _says(other, "An example")
    _says(page, "This picture is no longer there")
    assert _server(page)["results"] == []


@pytest.mark.slow
def test_sleep_of_the_computer_is_survived(open_page):
    page = open_page(prepare=lambda page: page.clock.install())
    _improve(page, "gatys", 1000)
    _says(page, re.compile("Step [1-9]"))
    page.context.set_offline(True)
    page.clock.fast_forward("02:00:00")
    page.context.set_offline(False)
    step = _server(page)["results"][-1]["step"]
    wait_until(lambda: _shown_step(page) > step)
    assert not page.locator("#lost").is_visible()
    page.locator("#stop").click()
    _says(page, "Stopped. This is the best")


def _shown_step(page):
    return int((re.search(r"Step (\d+)", page.inner_text("#status")) or [0, 0])[1])


@pytest.mark.slow
def test_killed_server_is_said_and_the_next_one_goes_on(chromium, tmp_path, photo):
    port = free_port()
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)

    @contextlib.contextmanager
    def running():
        process = start(tmp_path, port)
        assert "the page is at" in process.stdout.readline()
        try:
            yield
        finally:
            process.kill()
            process.wait()

    with running():
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("body[data-ready]").wait_for()
        _give(page, "main", "drop", photo)
        _painted(page, 150, 100)
        _improve(page, "gatys", 1000)
        _says(page, re.compile("Step [1-9]"))
    page.locator("#lost", has_text="The connection to tf_style is lost").wait_for()
    with running():
        page.locator("#lost", has_text="tf_style had forgotten this page").wait_for()
        wait_until(lambda: _server(page)["results"])
        wanted = _server(page)["results"][-1]["wanted"]
        assert wanted["settings"]["method"] == "gatys"
        assert wanted["photo"] != "harbor"
        _says(page, re.compile("Step [1-9]"))
    page.close()


@pytest.mark.slow
def test_one_slow_picture_at_a_time(open_page):
    first, second, third = open_page(), open_page(), open_page()
    _improve(first, "gatys", 1000)
    _says(first, "Step")
    _improve(second, "gatys", 1000)
    _says(second, "Waiting for 1 other")
    third.locator("#paintings [data-key=mosaic]").click()
    _says(third, "painted in")
    first.locator("#stop").click()
    _says(first, "Stopped. This is the best")
    _says(second, "Step")
    second.locator("#stop").click()
    _says(second, "Stopped. This is the best")
    first.locator("#forget").click()
    _says(first, "An example")


def test_bad_files_are_refused_and_all_stays_as_it_was(page, tmp_path):
    path = tmp_path / "text.png"
    path.write_bytes(b"no picture at all")
    _give(page, "main", "drop", path)
    _says(page, "text.png is not a picture that can be read")
    assert page.locator("#photos [data-key=harbor][aria-pressed=true]").count() == 1
    _give(page, "#paintings", "drop", path)
    assert page.locator("#paintings [data-key=swirls][aria-pressed=true]").count() == 1
    assert str(tmp_path) not in page.content()


def test_size_is_bounded_and_said(page, tmp_path):
    path = tmp_path / "large.png"
    Image.new("RGB", (2100, 60), "teal").save(path)
    _give(page, "main", "drop", path)
    _painted(page, 2048, 59)
    _says(page, "this method paints at most 2048 a side")


def test_all_can_be_done_by_keyboard(page):
    page.locator("#paintings [data-key=mosaic]").focus()
    page.keyboard.press("Enter")
    _says(page, "painted in")
    assert page.evaluate("document.activeElement.dataset.key") == "mosaic"
    page.locator("#before").focus()
    page.keyboard.press("Space")
    assert page.locator("#original").is_visible()
    reached = set()
    page.locator("#language").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || ''"))
    assert {"before", "download", "forget", "photo-file", "style-file", "mix"} < reached


@pytest.mark.parametrize(
    "viewport, colours",
    [
        (DESK, "light"),
        (PHONE, "dark"),
        pytest.param(DESK, "dark", marks=pytest.mark.slow),
        pytest.param(PHONE, "light", marks=pytest.mark.slow),
    ],
    ids=["desk", "phone", "desk in the dark", "phone in the light"],
)
def test_no_serious_rule_of_axe_fails(open_page, viewport, colours):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install '.[browser]'"
    ).Axe()
    page = open_page(viewport=viewport, color_scheme=colours)

    def check(state):
        found = axe.run(page).response["violations"]
        serious = [
            (rule["id"], [node["html"] for node in rule["nodes"]])
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]
        assert not serious, state

    check("example")
    page.locator("#mix").check()
    page.locator("#paintings [data-key=mosaic]").click()
    _says(page, "painted in")
    page.locator("#mark").click()
    page.locator("summary").click()
    check("mixed, with the brush and details")
    page.locator("#steps").fill("1000")
    page.locator("#side").fill("128")
    page.locator("[data-method=neighbors]").click()
    _says(page, "Step")
    check("painting")
    page.locator("#stop").click()
    _says(page, "Stopped.")
    page.evaluate("document.querySelector('#lost').hidden = false")
    check("stopped")


def test_phone_has_large_targets_and_a_bar_that_stays(open_page):
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True)
    page.locator("#paintings [data-key=mosaic]").click()
    _says(page, "painted in")
    small = page.evaluate("""[...document.querySelectorAll(
        "button, a, select, summary, label.button, label.check, .cards label")]
        .map((node) => [node.id || node.outerHTML, node.getBoundingClientRect()])
        .filter(([, box]) => box.width && (box.width < 44 || box.height < 44))
        .map(([name]) => name)""")
    assert small == []
    page.evaluate("scrollTo(0, 1e6)")
    for name in ("#before", "#download"):
        box = page.locator(name).bounding_box()
        assert 0 < box["y"] < PHONE["height"] - box["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_what_goes_wrong_is_in_sight_on_a_phone(open_page, tmp_path):
    page = open_page(viewport=PHONE)
    (tmp_path / "text.png").write_bytes(b"no picture at all")
    page.evaluate("scrollTo(0, 1e6)")
    _give(page, "main", "drop", tmp_path / "text.png")
    _says(page, "is not a picture that can be read")
    box = page.locator("#status").bounding_box()
    assert 0 <= box["y"] < PHONE["height"] - box["height"]
    page.evaluate("scrollTo(0, 1e6)")
    page.context.set_offline(True)
    page.locator("#paintings [data-key=mosaic]").click()
    page.locator("#lost").wait_for()
    assert 0 <= page.locator("#lost").bounding_box()["y"] < PHONE["height"] / 2


def test_page_speaks_french(open_page):
    page = open_page(locale="fr-CA")
    _says(page, "Un exemple")
    assert page.evaluate("document.documentElement.lang") == "fr"
    page.locator("#language").select_option("en")
    _says(page, "An example")
    page.reload()
    _says(page, "An example")


@pytest.fixture
def french(open_page):
    page = open_page(locale="fr-CA")
    _says(page, "Un exemple")
    return page


@pytest.mark.slow
def test_usual_errors_are_said_in_french(french, tmp_path):
    (tmp_path / "texte.png").write_bytes(b"no picture at all")
    _give(french, "main", "drop", tmp_path / "texte.png")
    _says(french, "texte.png n'est pas une image lisible")
    Image.new("1", (8_001, 8_000)).save(tmp_path / "grande.png")
    _give(french, "main", "drop", tmp_path / "grande.png")
    _says(french, "grande.png a plus de 64 millions de pixels")
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(99))
    _give(french, "main", "drop", tmp_path / "film.mp4")
    _says(french, "film.mp4 n'est pas un film lisible")
    _details(french, side=5000)
    _says(
        french,
        "Plus grand c\u00f4t\u00e9, en pixels : cette valeur n'est pas utilisable",
    )
    _details(french, side=64)
    # One that fails only on its way.
    Image.new("1", (4000, 10)).save(tmp_path / "long.png")
    _give(french, "#paintings", "drop", tmp_path / "long.png")
    _says(french, "Impossible de peindre cette image")
    french.locator("#paintings [data-key=mosaic]").click()
    _says(french, "peints en")


@pytest.mark.parametrize(
    "code, values, line",
    [
        ("busy", {}, "Trop d'images sont en cours"),
        ("too_large", {"most": 64}, "Ce fichier d\u00e9passe 64 Mo"),
        ("no_memory", {}, "La m\u00e9moire ne suffit pas"),
        ("no_space", {}, "Le disque est plein"),
        ("no_models", {}, "TensorFlow, ou une autre partie"),
        ("failed", {"reason": "odd"}, "Le programme dit, en anglais : odd"),
    ],
)
def test_errors_of_the_server_are_said_in_french(french, code, values, line):
    error = {"code": code, "message": "A raw line", "values": values}
    told = {"status": 503, "json": {"error": error}}
    french.route("**/results", lambda route: route.fulfill(**told))
    french.locator("#paintings [data-key=mosaic]").click()
    _says(french, line)
    assert "A raw line" not in french.inner_text("body")
