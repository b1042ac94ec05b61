"""The page in a real headless Chromium."""

import io
import json
import re
import shutil
import zipfile
from urllib.parse import urlparse

import numpy as np
import pytest
from page_client import PATIENCE, png, wait_until
from PIL import Image

from tf_style import images
from tf_style.app.request import MAX_SIDE, MAX_STYLES
from tf_style.methods import METHODS

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


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
def browsers(chromium):
    """Three separate browsers; each loads Gradio's scripts only once."""
    size = {"width": 1280, "height": 900}
    contexts = [chromium.new_context(viewport=size) for _ in range(3)]
    for context in contexts:
        context.set_default_timeout(PATIENCE)
    yield contexts
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(browsers, app):
    """A function that opens the page in a new tab; nothing may come from elsewhere.

    Chromium opens 6 connections to a host at a time, of which a tab that paints holds
    2. So more than two that paint shall be each `of` another browser.
    """
    requested, complaints, pages = set(), [], []

    def open_page(of=0):
        page = browsers[of].new_page()
        pages.append(page)
        page.on("request", lambda request: requested.add(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(app.url)
        page.get_by_text("Optimising with the built-in backbone").wait_for()
        return page

    yield open_page
    for page in pages:
        page.close()
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
        wait_until(lambda: _fill(field, number) or slider.input_value() == str(number))


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
    _paint_slowly(page, 1000, 256)


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
    page.locator("#one-paint:enabled").wait_for()


def test_neighbors_shows_its_steps_and_its_loss(page):
    _set(page, side=128, neighbors_steps=3)
    page.get_by_label("Painted: nearest neighbours").check()
    page.locator("#one-paint").click()
    _says(page, "one", "Done in")
    page.locator("#slider img[src*='/slow/']").wait_for()
    assert page.locator("#one-chart polyline").count() == 1


def test_stop_keeps_the_best_picture(page, tmp_path):
    _paint_slowly(page, 1000)
    _says(page, "one", re.compile("Step [1-9]"))
    page.locator("#one-stop").click()
    _says(page, "one", "Stopped at step")
    _names, account, size = _unpack(_take(page, "#one-bundle", tmp_path))
    assert (account["interrupted"], account["settings"]["mode"]) == (True, "gatys")
    assert 0 < account["steps"] < 1000 and size == (128, 96)
    page.locator("#one-stop").wait_for(state="hidden")


def test_side_by_side(page, tmp_path):
    _set(page, side=128, steps=3)
    page.get_by_role("tab", name="Side by side").click()
    page.locator("#pair-paint").click()
    _says(page, "pair", "Done in")
    for method in METHODS:
        page.locator(f"img[src$='harbor_swirls_{method}.png']").wait_for()
    # Seconds, two losses and three distances of each.
    assert page.locator("#pair-chart td").count() == 6 * len(METHODS)
    page.get_by_text("judges itself").wait_for()
    names, account, _ = _unpack(_take(page, "#pair-bundle", tmp_path))
    assert {f"harbor_swirls_{method}.png" for method in METHODS} < {*names}
    assert account["results"].keys() == METHODS.keys()


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
        (lambda: png()[:-30], "cannot be decoded"),
        (lambda: b"", "is empty"),
        (lambda: png(8_001, 8_000), "has more than 64 million pixels"),
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


def test_bad_style_is_refused_and_the_others_stay(page, tmp_path):
    (tmp_path / "bad.png").write_bytes(png()[:-30])
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
    assert page.locator("#styles img").count() == MAX_STYLES


def test_photo_without_an_ending_is_painted(page, photo, tmp_path):
    path = photo.rename(tmp_path / "photo")
    data = {"name": path.name, "mimeType": "image/png", "buffer": path.read_bytes()}
    _upload(page, "#photo", data)
    _shows(page, "#photo img", "photo.png")
    page.locator("#one-paint").click()
    _says(page, "one", "Done in")
    names, *_ = _unpack(_take(page, "#one-bundle", tmp_path))
    assert {"content.png", "style.webp"} < {*names}


def test_settings_out_of_bounds_are_refused(page):
    _set(page, side=MAX_SIDE["gatys"] + 32)
    page.get_by_label("Slow: optimise the picture").check()
    page.locator("#one-paint").click()
    _says(page, "one", "side is 1056; it must be from 128 to 1024")
    page.locator("#photo").get_by_label("Remove Image").click()
    page.locator("#one-paint").click()
    _says(page, "one", "Choose a photo first")
    for number in range(1, 5):
        page.locator("#paintings button").nth(number).click()
        if number < MAX_STYLES:
            page.locator("#styles img").nth(number).wait_for()
    page.get_by_text("At most 4 styles can be mixed").first.wait_for()
    assert page.locator("#styles img").count() == MAX_STYLES


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
    wait_until(lambda: len([*app.folder.glob("page-*")]) < pages)
    second.close()
    third.close()
    wait_until(lambda: not [*app.folder.glob("page-*")])


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
    pages = [open_page(of=number) for number in range(3)]
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
    page.locator("#pair-hub img").wait_for()
