"""Exported models: other runtimes paint what TensorFlow paints."""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tf_style import images
from tf_style.cli.export import FORMATS
from tf_style.fast import export
from tf_style.fast.builtin import stylizer
from tf_style.system import hardware

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Of 255, in the mean.
LEVELS = 2
SIZES = [(285, 384), (64, 48)]
# Where all places of a photo look alike, rounding says which of the painting they find.
FEW_PIXELS = [(7, 3), (1, 1)]

# As a stranger would write it.
THREE_LINES = """
import tensorflow_hub as hub
picture = hub.load(sys.argv[1])(content, style)[0]
numpy.save(sys.argv[2], picture)
"""


def run(*arguments):
    """Runs `tf-style export`."""
    command = [sys.executable, "-m", "tf_style", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def levels(one, other):
    """Mean difference of two pictures, of 255."""
    return 255 * np.abs(np.asarray(one) - np.asarray(other)).mean()


def photo(height, width):
    return images.resize(images.load_image(EXAMPLES / "harbor.jpg"), height, width)


@pytest.fixture(scope="module")
def painting():
    return images.load_image(EXAMPLES / "swirls.jpg", 300)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The SavedModel, loaded by tensorflow_hub."""
    import tensorflow_hub

    folder = tmp_path_factory.mktemp("model")
    for name, data in export.to_saved_model().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return tensorflow_hub.load(str(folder))


@pytest.fixture(scope="module")
def stylize(painting):
    """The package's own pictures in float32, of a style that is not scaled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "fastest_dtype", lambda: "float32")
        ours = stylizer.Stylizer()
    return lambda content: ours.paint(content, [ours.encode(painting)], [1], 1.0)


@pytest.mark.parametrize("size", SIZES)
def test_the_saved_model_paints_what_the_package_does(model, stylize, painting, size):
    content = photo(*size)
    (picture,) = model(content, painting)
    assert picture.shape == content.shape
    assert levels(picture, stylize(content)) < LEVELS


def test_the_saved_model_is_called_as_magentas(model, painting):
    signature = model.signatures["serving_default"]
    _, inputs = signature.structured_input_signature
    assert {*inputs} == {"placeholder", "placeholder_1"}
    assert {*signature.structured_outputs} == {"output_0"}
    content = photo(64, 48)
    found = signature(
        placeholder=np.concatenate([content, 1 - content]),
        placeholder_1=painting,
    )
    for picture, alone in zip(found["output_0"], (content, 1 - content)):
        assert levels(picture, model(alone, painting)[0]) < 0.1


@pytest.mark.parametrize("size", [(1, 1), (3, 20)])
def test_pictures_of_a_few_pixels_are_painted_too(model, size):
    content = photo(*size)
    (picture,) = model(content, content)
    assert picture.shape == content.shape
    assert np.isfinite(picture).all()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "takes one PATH and got 0"),
        (["out"], "--format is missing: give one of savedmodel, onnx, litert"),
        (["--format=pt", "out"], "--format=pt"),
        (["--format=onnx", "--model=magenta", "out"], "--model=magenta"),
        (["--format=onnx", "one", "two"], "takes one PATH and got 2"),
        (["--format=onnx", "one", "--output=two"], "remove one"),
        (["--format=onnx", "--size=9x9", "out"], "onnx takes pictures of any size"),
        (["--format=litert", "--size=9", "out"], "--size is '9'"),
    ],
)
def test_wrong_arguments_end_with_one_line(arguments, said):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("tf_style: ") and said in line


@pytest.mark.parametrize("form", FORMATS)
def test_what_others_made_is_not_overwritten(tmp_path, form):
    mine = tmp_path / "model" / "mine"
    mine.parent.mkdir()
    mine.write_text("mine")
    for path in (mine, mine.parent):
        done = run(f"--format={form}", path)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 1 and "was not made by tf_style" in line
    assert [*tmp_path.rglob("*")] == [mine.parent, mine]
    assert mine.read_text() == "mine"


@pytest.mark.slow
def test_what_we_made_is_overwritten_unless_it_has_changed(tmp_path):
    path = tmp_path / "model"
    for _ in range(2):
        done = run("--format=savedmodel", path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"wrote {path}, ")
    (path / "fingerprint.pb").write_text("mine")
    done = run("--format=savedmodel", path)
    assert done.returncode == 1 and "fingerprint.pb has changed" in done.stderr
    assert (path / "fingerprint.pb").read_text() == "mine"


@pytest.mark.slow
def test_three_lines_without_our_package_paint(tmp_path, stylize, painting):
    assert run("--format=savedmodel", tmp_path / "model").returncode == 0
    content = photo(64, 48)
    np.savez(tmp_path / "pictures.npz", content=content, style=painting)
    lines = [
        "import sys, numpy",
        "sys.modules['tf_style'] = None",
        "held = numpy.load(sys.argv[3])",
        "content, style = held['content'], held['style']",
        THREE_LINES,
    ]
    names = ("model", "picture.npy", "pictures.npz")
    command = [sys.executable, "-c", "\n".join(lines), *names]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert levels(np.load(tmp_path / "picture.npy"), stylize(content)) < LEVELS


@pytest.mark.slow
def test_onnx_runtime_paints_what_tensorflow_does(tmp_path, model, painting):
    runtime = pytest.importorskip(
        "onnxruntime", reason="no ONNX Runtime: pip install '.[export]'"
    )
    pytest.importorskip("tf2onnx", reason="no tf2onnx: pip install '.[export]'")
    done = run("--format=onnx", tmp_path / "model.onnx")
    assert (done.returncode, done.stderr) == (0, "")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    flat = np.full_like(painting, 0.3)
    for style in (painting, painting[:, :7, :3], flat):
        for size in SIZES + FEW_PIXELS:
            content = photo(*size)
            feeds = {"placeholder": content, "placeholder_1": style}
            (picture,) = session.run(["output_0"], feeds)
            assert picture.shape == content.shape
            assert np.isfinite(picture).all()
            if size in SIZES:
                assert levels(picture, model(content, style)[0]) < LEVELS


@pytest.mark.slow
def test_litert_paints_what_tensorflow_does(tmp_path, model, painting):
    interpreter = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="no LiteRT: pip install '.[export]'"
    )
    height, width = painting.shape[1:3]
    sizes = ("--size=384x285", f"--style_size={width}x{height}")
    done = run("--format=litert", *sizes, tmp_path / "model.tflite")
    assert (done.returncode, done.stderr) == (0, "")
    runtime = interpreter.Interpreter(str(tmp_path / "model.tflite"))
    content = photo(285, 384)
    found = runtime.get_signature_runner()(placeholder=content, placeholder_1=painting)
    assert levels(found["output_0"], model(content, painting)[0]) < LEVELS


@pytest.fixture
def page(tmp_path):
    """The address of the built page for browsers, on a server of static files."""
    pytest.importorskip("tf2onnx", reason="no tf2onnx: pip install '.[export]'")
    if not shutil.which("npm"):
        pytest.skip("no npm, which gets the runtime")
    build = [sys.executable, ROOT / "docs" / "browser" / "build.py", tmp_path / "page"]
    done = subprocess.run(build, capture_output=True, text=True)
    if "npm cannot get" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=tmp_path / "page")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
def test_the_page_paints_in_the_browser_and_asks_no_other_host(tmp_path, page, model):
    api = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright: pip install '.[browser]'"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    photo_path, painting_path = tmp_path / "photo.png", tmp_path / "painting.png"
    images.save_image(photo_path, photo(189, 256))
    painting = images.load_image(EXAMPLES / "mosaic.jpg", 300)
    images.save_image(painting_path, painting)
    asked, complaints = set(), []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        context = browser.new_context()
        context.on("request", lambda request: asked.add(request.url))
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(page)
        tab.get_by_text("painting.jpg, 640x640 pixels").wait_for()
        tab.get_by_label("Photo", exact=True).set_input_files(
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"notes"}
        )
        tab.get_by_text("notes.txt is not a picture").wait_for()
        tab.get_by_label("Photo", exact=True).set_input_files(photo_path)
        tab.get_by_text("photo.png, 256x189 pixels").wait_for()
        tab.get_by_label("Painting", exact=True).set_input_files(painting_path)
        tab.get_by_text("painting.png, 300x300 pixels").wait_for()
        tab.get_by_label("Longest side").select_option("256")
        tab.get_by_role("button", name="Paint", exact=True).click()
        tab.get_by_text("256x189 pixels in").wait_for()
        print(tab.get_by_role("status").inner_text())
        with tab.expect_download() as download:
            tab.get_by_role("link", name="Save the picture").click()
        download.value.save_as(tmp_path / "painted.png")
        browser.close()
    expected = model(images.load_image(photo_path), images.load_image(painting_path))[0]
    assert levels(images.load_image(tmp_path / "painted.png"), expected) < LEVELS
    assert all(url.startswith((page, f"blob:{page}", "data:")) for url in asked)
    assert {f"{page}model.onnx", f"{page}ort-wasm-simd-threaded.wasm"} <= asked
    assert complaints == []
