"""The fast path: styles scaled, encoded, blended, and the model that `auto` means."""

import http.server
import shutil
import socket
import threading
from concurrent import futures

import numpy as np
import pytest
from PIL import Image

from tf_style import color, images
from tf_style.config import GatysConfig, HubConfig
from tf_style.fast import hub, magenta
from tf_style.fast.builtin import stylizer
from tf_style.fast.builtin.stylizer import Stylizer
from tf_style.system import fallback, files


@pytest.fixture(autouse=True)
def _no_loaded_models(builtin_at_hand):
    loaded, chosen = hub.load_model, hub.choose_model
    for remembered in (loaded, chosen):
        remembered.cache_clear()
    yield
    for remembered in (loaded, chosen):
        remembered.cache_clear()


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "size, style_size, expected",
    [
        ((45, 61), 90, (90, 122)),
        ((61, 45), 90, (122, 90)),
        ((45, 61), 45, (45, 61)),
        ((300, 200), 64, (96, 64)),
        ((16, 256), 43, (43, 688)),
        ((64, 128), 0, (256, 512)),
    ],
)
def test_the_styles_shorter_side_becomes_style_size(
    seen, content, size, style_size, expected
):
    style = np.full((1, *size, 3), [0.2, 0.5, 0.8], np.float32)
    hub.stylize(content, style, HubConfig(model="magenta", style_size=style_size))
    [(_, scaled)] = seen
    assert scaled.shape == (1, *expected, 3)
    np.testing.assert_allclose(scaled[0, 5, 5], [0.2, 0.5, 0.8], atol=1e-5)


@pytest.mark.parametrize(
    "size, style_size, expected",
    [
        ((45, 61), 0, (339, 460)),
        ((61, 45), 122, (122, 90)),
        ((16, 256), 64, (16, 256)),
    ],
)
def test_the_builtin_stylizer_measures_by_the_longest_side(
    content, monkeypatch, size, style_size, expected
):
    model, seen = hub.load_model("builtin"), []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda s: seen.append(s.shape) or encode(s))
    style = np.full((1, *size, 3), 0.5, np.float32)
    hub.encode(style, HubConfig(model="builtin", style_size=style_size))
    assert seen == [(1, *expected, 3)]


@pytest.mark.parametrize(
    "model, style_size, style_scale, expected",
    [
        ("magenta", 90, 2.0, (180, 244)),
        ("magenta", 0, 0.5, (128, 174)),
        ("magenta", 43, 0.25, (43, 58)),  # The network sees no less.
        ("builtin", 0, 0.5, (170, 230)),
        ("builtin", 61, 2.0, (90, 122)),
        ("builtin", 61, 0.25, (16, 22)),
    ],
)
def test_a_style_scale_multiplies_the_size_of_the_style(
    stub_model, monkeypatch, style, model, style_size, style_scale, expected
):
    config = HubConfig(model=model, style_size=style_size, style_scale=style_scale)
    if model == "magenta":
        loaded = hub.load_model(str(stub_model))
        monkeypatch.setattr(hub, "load_model", lambda _: loaded)
        [scaled] = hub.encode(style, config).parts
        assert scaled.shape == (1, *expected, 3)
    else:
        loaded, seen = hub.load_model("builtin"), []
        encode = loaded.encode
        monkeypatch.setattr(
            loaded, "encode", lambda s: seen.append(s.shape) or encode(s)
        )
        hub.encode(style, config)
        assert seen == [(1, *expected, 3)]


@pytest.mark.parametrize("way", ["luminance", "covariance", "histogram"])
def test_a_style_takes_the_photos_colours_before_it_is_encoded(
    seen, content, style, way
):
    config = HubConfig(model="magenta", style_size=45, preserve_color=way)
    hub.stylize(content, style, config)
    [(_, shown)] = seen
    np.testing.assert_array_equal(shown, color.prepare(style, content, config))
    assert np.abs(shown - style).mean() > 1e-3


def test_a_style_code_without_a_photo_has_the_styles_own_colours(stub_model, style):
    config = HubConfig(
        model=str(stub_model), style_size=45, preserve_color="covariance"
    )
    [part] = hub.encode(style, config).parts
    np.testing.assert_array_equal(part, style)


def test_of_several_photos_each_is_painted(stub_model, content, style):
    config = HubConfig(model=str(stub_model), strength=0.5)
    code = hub.encode([style, RED], config)
    photos = [content, content[:, ::-1], 0.5 * content]
    pictures = hub.stylize_batch(photos, code, config)
    assert [picture.shape for picture in pictures] == [content.shape] * 3
    for photo, picture in zip(photos, pictures):
        np.testing.assert_allclose(picture, hub.stylize(photo, code, config), atol=1e-6)


@pytest.mark.parametrize("size", [(16, 257), (257, 16)])
def test_a_style_more_than_16_times_as_long_as_wide_is_refused(
    stub_model, content, size
):
    style = np.zeros((1, *size, 3), np.float32)
    with pytest.raises(ValueError, match="too elongated") as error:
        hub.stylize(content, style, HubConfig(model=str(stub_model)))
    assert f"{size[1]}x{size[0]}" in one_line(error)


def test_a_model_is_loaded_once(stub_model):
    model = hub.load_model(str(stub_model))
    assert hub.load_model(str(stub_model)) is model
    assert model.source == str(stub_model)
    assert model.checksum == files.sha256(stub_model)


# The stub answers with the content moved half of the way to the style's mean colour.
RED, BLUE = (
    np.full((1, 64, 64, 3), colour, np.float32) for colour in ((1, 0, 0), (0, 0, 1))
)


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_of_other_models_the_picture_is_mixed_with_the_photo(
    stub_model, content, strength
):
    config = HubConfig(model=str(stub_model), strength=strength)
    expected = content + strength * (RED[:, :1, :1] - content) / 2
    np.testing.assert_allclose(hub.stylize(content, RED, config), expected, atol=1e-6)


@pytest.mark.parametrize(
    "weights, share",
    [((), 0.5), ((1.0, 1.0), 0.5), ((6.0, 2.0), 0.75), ((0.0, 3.0), 0)],
)
def test_of_other_models_pictures_of_several_styles_are_mixed(
    stub_model, content, weights, share
):
    config = HubConfig(model=str(stub_model), style_weights=weights)
    mixed = share * RED + (1 - share) * BLUE
    np.testing.assert_allclose(
        hub.stylize(content, [RED, BLUE], config),
        (content + mixed[:, :1, :1]) / 2,
        atol=1e-6,
    )


def test_there_is_one_weight_for_each_style(stub_model, content):
    config = HubConfig(model=str(stub_model), style_weights=(1.0, 2.0))
    with pytest.raises(ValueError, match="2 numbers for 1 styles"):
        hub.stylize(content, RED, config)


@pytest.mark.parametrize("builtin", [False, True])
def test_a_style_code_paints_as_its_style_and_survives_a_file(
    stub_model, content, style, builtin, tmp_path
):
    config = HubConfig(model="builtin" if builtin else str(stub_model))
    expected = hub.stylize(content, style, config)
    code = hub.encode(style, config)
    hub.save_code(tmp_path / "style.npz", code)
    assert (tmp_path / "style.npz").stat().st_size < 2e6
    read = hub.load_code(tmp_path / "style.npz")
    for known in (code, read):
        np.testing.assert_array_equal(hub.stylize(content, known, config), expected)


def test_a_code_of_another_model_is_refused(stub_model, content, style):
    code = hub.encode(style, HubConfig(model=str(stub_model)))
    with pytest.raises(ValueError, match="not made by model builtin"):
        hub.stylize(content, code, HubConfig(model="builtin"))


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04 no archive"])
def test_what_is_no_code_is_refused_by_name(tmp_path, data):
    path = tmp_path / "style.npz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is not a style code"):
        hub.load_code(path)


def test_an_array_is_no_code(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match="is not a style code"):
        hub.load_code(tmp_path / "array.npy")


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers 403 to everything."""

    def do_GET(self):
        self.send_error(403)

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing():
    """The port of a server that refuses all requests."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def silent():
    """A port where connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def magentas_home(monkeypatch, tmp_path):
    """Gives Magenta's model another address, and an empty cache."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))

    def move(address):
        for module in (hub, magenta):
            monkeypatch.setattr(module, "MAGENTA_HANDLE", address)

    return move


def test_auto_is_magenta_if_it_is_cached(magentas_home, stub_model, tmp_path, style):
    magentas_home("http://127.0.0.1:9/nobody/asks/1")
    shutil.copytree(stub_model, magenta.folder_of(magenta.MAGENTA_HANDLE))
    config, note = hub.choose(HubConfig(style_size=50))
    assert config == HubConfig(model="magenta", style_size=50)
    assert "Magenta" in note and "cache" in note and "--model=builtin" in note


@pytest.mark.parametrize(
    "server, reason", [("silent", "no answer in time"), ("refusing", "403")]
)
def test_auto_is_builtin_where_magenta_cannot_be_had(
    magentas_home, content, style, monkeypatch, request, server, reason
):
    monkeypatch.setattr(files, "REACHED_WITHIN_S", 0.3)
    magentas_home(f"http://127.0.0.1:{request.getfixturevalue(server)}/magenta/1")
    config, note = hub.choose(HubConfig())
    assert config.model == "builtin"
    assert "built-in" in note and "--model=magenta" in note
    assert reason in note
    painted = hub.stylize(content, style, HubConfig())
    expected = hub.stylize(content, style, HubConfig(model="builtin"))
    np.testing.assert_array_equal(painted, expected)


def test_a_damaged_copy_of_magenta_out_of_reach_makes_auto_builtin(
    magentas_home, stub_model
):
    magentas_home("http://127.0.0.1:9/nobody/answers/1")
    folder = magenta.folder_of(magenta.MAGENTA_HANDLE)
    shutil.copytree(stub_model, folder)
    (folder / "saved_model.pb").write_bytes(b"\xff broken")
    config, note = hub.choose(HubConfig())
    assert config.model == "builtin"
    assert "is damaged" in note


def test_a_model_that_was_asked_for_is_not_replaced(magentas_home, content, style):
    magentas_home("http://127.0.0.1:9/nobody/answers/1")
    assert hub.choose(HubConfig(model="magenta")) == (HubConfig(model="magenta"), "")
    with pytest.raises(OSError, match="cannot download"):
        hub.stylize(content, style, HubConfig(model="magenta"))


@pytest.fixture
def halves(content):
    """Two masks, of the left half and of the right."""
    left = np.zeros((1, *content.shape[1:3], 1), np.float32)
    left[:, :, :25] = 1
    return [left, 1 - left]


def frames_of(content):
    """Two frames whose light is not alike."""
    return [content, np.clip(0.3 * content + 0.6, 0, 1)]


def test_of_frames_each_style_of_a_blend_remembers_its_own(content, style, halves):
    config, frames = HubConfig(model="builtin", style_size=64), frames_of(content)
    both = hub.encode([style, RED], config)
    memory = {}
    pictures = [
        hub.stylize_batch([frame], both, config, masks=halves, memory=memory)[0]
        for frame in frames
    ]
    sides = ((style, np.s_[:, :, :25]), (RED, np.s_[:, :, 25:]))
    for painting, side in sides:
        alone, own = hub.encode(painting, config), {}
        for frame, picture in zip(frames, pictures):
            (expected,) = hub.stylize_batch([frame], alone, config, memory=own)
            np.testing.assert_allclose(picture[side], expected[side], atol=1e-5)


def test_a_memory_changes_the_frame_after_and_not_the_first(content, style):
    config, frames = HubConfig(model="builtin", style_size=64), frames_of(content)
    code, memory = hub.encode(style, config), {}
    found = [hub.stylize_batch([f], code, config, memory=memory)[0] for f in frames]
    afresh = [hub.stylize_batch([f], code, config, memory={})[0] for f in frames]
    np.testing.assert_array_equal(found[0], afresh[0])
    assert np.abs(found[1] - afresh[1]).mean() > 0.02


@pytest.mark.parametrize("way", ["none", "covariance"])
def test_a_picture_of_a_batch_is_finished_to_what_it_is_alone(
    stub_model, content, style, halves, way
):
    config = HubConfig(model=str(stub_model), preserve_color=way)
    for regions in (None, halves[:1]):
        code = hub.encode(style, config, content=content)
        (raw,) = hub.stylize_batch([content], code, config, masks=regions)
        picture = hub.finish(raw, content, config, masks=regions)
        expected = hub.stylize(content, style, config, masks=regions)
        np.testing.assert_allclose(picture, expected, atol=1e-6)
        right = np.s_[:, :, 25:]
        kept = np.array_equal(picture[right], content[right])
        assert kept == bool(regions)


def test_photos_of_several_sizes_come_back_in_their_order(stub_model, content, style):
    config = HubConfig(model=str(stub_model))
    code = hub.encode(style, config)
    photos = [content, content[:, :, :30], 1 - content, content[:, :, 5:35]]
    left = np.arange(50) < 20
    mask = np.tile(left, (37, 1))
    for masks in (None, mask):
        usable = photos if masks is None else [photos[0], photos[2]]
        pictures = hub.stylize_batch(usable, code, config, masks=masks)
        assert len(pictures) == len(usable)
        for photo, picture in zip(usable, pictures):
            [alone] = hub.stylize_batch([photo], code, config, masks=masks)
            np.testing.assert_allclose(picture, alone, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_photos_may_come_in_one_array(stub_model, content, style, dtype):
    config = HubConfig(model=str(stub_model))
    code = hub.encode(style, config)
    photos = np.concatenate([content, 1 - content])
    photos = images.to_uint8(photos) if dtype is np.uint8 else photos
    found = hub.stylize_batch(photos, code, config)
    expected = hub.stylize_batch([photos[0], photos[1]], code, config)
    np.testing.assert_array_equal(found, expected)


def test_frames_with_a_memory_are_of_one_size(content, style):
    config = HubConfig(model="builtin", style_size=64)
    code = hub.encode(style, config)
    with pytest.raises(ValueError, match="^contents have several sizes; frames of"):
        hub.stylize_batch([content, content[:, :30]], code, config, memory={})
    with pytest.raises(
        ValueError, match="there are 1 motions for 2 contents; give one for"
    ):
        hub.stylize_batch([content] * 2, code, config, memory={}, motions=[None])


def code_of(shape, **changes):
    part = np.full(shape, 0.5, np.float32)
    return hub.StyleCode("", [part], [1.0])._replace(**changes)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"parts": []}, r"has weights \[1.0\] for 0 styles; give one for each"),
        ({"weights": [0.5]}, r"has weights \[0.5\] for 1 styles"),
        ({"weights": [2.0, -1.0]}, "has weights"),
        ({"weights": [np.nan]}, "has weights"),
        ({"weights": "1"}, "has weights"),
        (
            {"parts": [np.full((1, 50, 50, 3), np.nan)]},
            "parts that are not finite floats",
        ),
        (
            {"parts": [np.zeros((1, 50, 50, 3), int)]},
            "parts that are not finite floats",
        ),
        ({"parts": [None]}, "parts that are not finite floats"),
        (
            {"parts": [np.zeros((50, 50, 3))]},
            r"a part \[50, 50, 3\], whose shape or type does not fit",
        ),
        (
            {"parts": [np.zeros((1, 50, 50, 3), np.uint8)]},
            r"a part \[1, 50, 50, 3\], whose shape or type does not fit model",
        ),
        (
            {"parts": [np.zeros((1, 50, 42, 3))]},
            r"a part \[1, 50, 42, 3\], whose shape",
        ),
        (
            {"parts": [np.zeros((1, 50, 50, 4))]},
            r"a part \[1, 50, 50, 4\], whose shape",
        ),
    ],
)
def test_a_code_that_is_none_is_refused(stub_model, content, changes, reason):
    config = HubConfig(model=str(stub_model))
    checksum = hub.load_model(config.model).checksum
    code = code_of((1, 50, 50, 3), model=checksum)
    assert hub.stylize(content, code, config).shape == content.shape
    with pytest.raises(ValueError, match=f"^the style code .*{reason}") as error:
        hub.stylize(content, code._replace(**changes), config)
    one_line(error)


def test_a_code_of_floats_is_none_of_the_builtin_stylizer(content, style):
    config = HubConfig(model="builtin", style_size=64)
    code = hub.encode(style, config)
    floats = code._replace(parts=[np.float32(part) for part in code.parts])
    with pytest.raises(ValueError, match="whose shape or type does not fit model b"):
        hub.stylize(content, floats, config)


def test_what_is_no_code_at_all_is_refused(stub_model, content, style):
    config = HubConfig(model=str(stub_model))
    with pytest.raises(
        ValueError, match="^code is ndarray; it must be a StyleCode from"
    ):
        hub.stylize_batch([content], style, config)


def test_a_file_with_unsound_parts_is_no_code(tmp_path):
    hub.save_code(tmp_path / "a.npz", code_of((3,), weights=[0.2]))
    with pytest.raises(ValueError, match="a.npz is not a style code of tf_style"):
        hub.load_code(tmp_path / "a.npz")


def test_a_code_is_saved_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    hub.save_code("~/a.npz", code_of((3,)))
    assert (tmp_path / "a.npz").is_file()
    assert hub.load_code("~/a.npz").weights == [1]


def test_the_fast_path_takes_what_callers_have(stub_model, content, style):
    config = HubConfig(model=str(stub_model))
    photo, painting = images.to_uint8(content[0]), images.to_uint8(style[0])
    expected = hub.stylize(photo / np.float32(255), painting / np.float32(255), config)
    np.testing.assert_allclose(
        hub.stylize(photo, painting, config), expected, atol=1e-6
    )
    pair = Image.fromarray(photo), Image.fromarray(painting)
    np.testing.assert_allclose(hub.stylize(*pair, config), expected, atol=1e-6)


def test_arguments_of_the_fast_path_are_checked(content, style):
    def refused(reason, call, *arguments, **more):
        with pytest.raises(ValueError, match=reason) as error:
            call(*arguments, **more)
        one_line(error)

    slow, halved = GatysConfig(), content[:, :20]
    refused(
        "^config is a GatysConfig; it must be a HubConfig$", hub.encode, style, slow
    )
    refused("^config is a Gatys", hub.stylize, content, style, slow)
    refused("^config is a Gatys", hub.finish, content, content, slow)
    refused("^config is a Gatys", hub.stylize_batch, [content], None, slow)
    refused("^content is ndarray", hub.stylize, content * 255, style)
    refused(r"^style\[1\] is ndarray", hub.stylize, content, [style, style - 1])
    refused(r"^contents\[1\] is None", hub.stylize_batch, [content, None], None)
    refused("^masks is 'a.png'", hub.stylize, content, style, masks="a.png")
    refused("^picture has 50x20 pixels, but content has", hub.finish, halved, content)
    with pytest.raises(TypeError):
        hub.stylize(content, style, HubConfig(), [content])


@pytest.mark.slow
def test_threads_paint_what_calls_one_after_the_other_paint(
    builtin_stylizer, monkeypatch
):
    """Stills, frames and large pictures share layers, and are traced at once."""
    for limit, holder in (("MOST_PIXELS", stylizer), ("batch_pixels", Stylizer)):
        monkeypatch.setattr(holder, limit, 48 * 48)
    config, draw = HubConfig(model="builtin"), np.random.default_rng(0)
    sizes = [(32, 40), (57, 50), (32, 40)]
    photos = [draw.random((1, *size, 3), np.float32) for size in sizes]
    styles = [draw.random((1, 45, 61, 3), np.float32) for _ in photos]

    def paint(photo, style):
        code = hub.encode(style, config)
        frames = hub.stylize_batch([photo], code, config, memory={})
        return np.concatenate([hub.stylize(photo, code, config), *frames])

    untraced = Stylizer()
    monkeypatch.setattr(stylizer, "load", lambda name: untraced)
    with futures.ThreadPoolExecutor(len(photos)) as pool:
        painted = list(pool.map(paint, photos, styles))
    monkeypatch.setattr(stylizer, "load", lambda name: builtin_stylizer)
    hub.load_model.cache_clear()
    for together, alone in zip(painted, map(paint, photos, styles)):
        # Rounding may turn one of two places that are alike into the other.
        assert np.abs(together - alone).mean() < 1 / 255


def test_several_large_photos_are_painted_one_by_one(monkeypatch, content, style):
    config = HubConfig(model="builtin")
    code = hub.encode(style, config)
    for limit, holder in (("MOST_PIXELS", stylizer), ("batch_pixels", Stylizer)):
        monkeypatch.setattr(holder, limit, 1000)
    batch = np.concatenate([content, 1 - content])
    expected = [hub.stylize(photo[None], code, config) for photo in batch]
    painted = hub.stylize_batch(batch, code, config)
    np.testing.assert_array_equal(np.concatenate(painted), np.concatenate(expected))


def test_auto_asks_again_after_a_while(monkeypatch, content, style, stub_model):
    """A code of the meantime is still good, though another model paints by then."""
    asked, now, network = [], [1000.0], [False]

    def reach(_):
        asked.append(now[0])
        if not network[0]:
            raise OSError("no network")

    monkeypatch.setattr(fallback.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(files, "reach", reach)
    monkeypatch.setattr(magenta, "fetch", lambda *_: stub_model)
    expected = hub.stylize(content, style, HubConfig(model="builtin"))
    code = hub.encode(style)
    np.testing.assert_array_equal(hub.stylize(content, style), expected)
    assert asked == [1000]
    now[0], network[0] = 1299.0, True
    assert hub.choose(None)[0].model == "builtin"
    assert asked == [1000]
    now[0] = 1300.0
    assert hub.choose(None)[0].model == "magenta"
    now[0] = 90_000.0
    assert hub.stylize(content, style).mean() != expected.mean()
    assert asked == [1000, 1300]
    np.testing.assert_array_equal(hub.stylize(content, code), expected)
