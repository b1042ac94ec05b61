"""Backbones: names, sizes and arithmetic of VGG-19, and weights that cannot be had."""

import contextlib
import functools
import hashlib
import http.server
import socket
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_style.networks import features
from tf_style.system import files


@pytest.fixture(scope="session")
def kernels(vgg19):
    """{layer: (kernel, bias)} of the weights file, as Keras reads it."""
    network = keras.applications.VGG19(include_top=False, weights=str(vgg19))
    return {name: network.get_layer(name).get_weights() for name in features.LAYERS}


def show(image):
    """What VGG-19 was trained on: BGR, 0..255, less ImageNet's mean of each channel."""
    return image[..., ::-1] * 255 - np.array([103.939, 116.779, 123.68])


def convolve(image, kernel, bias):
    """A 3x3 convolution with a rim of zeros, then ReLU."""
    height, width = image.shape[1:3]
    padded = np.pad(image, [(0, 0), (1, 1), (1, 1), (0, 0)])
    total = sum(
        padded[:, down : down + height, right : right + width] @ kernel[down, right]
        for down, right in np.ndindex(3, 3)
    )
    return np.maximum(total + bias, 0)


def pool(image, reduce):
    """Reduces each 2x2 pixels to one; an odd last row or column is left out."""
    batch, height, width, channels = image.shape
    even = image[:, : height // 2 * 2, : width // 2 * 2]
    return reduce(even.reshape(batch, height // 2, 2, width // 2, 2, channels), (2, 4))


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def test_first_layer_sees_bgr_from_0_to_255_without_the_channel_means(
    vgg19, kernels, content
):
    activations = features.load_backbone(str(vgg19), ("block1_conv1",))(content)
    expected = convolve(show(content), *kernels["block1_conv1"])
    assert list(activations) == ["block1_conv1"]
    np.testing.assert_allclose(
        activations["block1_conv1"], expected, rtol=1e-4, atol=1e-2
    )


@pytest.mark.parametrize("pooling, reduce", [("max", np.max), ("average", np.mean)])
def test_second_block_is_pooled_as_asked(vgg19, kernels, content, pooling, reduce):
    expected = show(content)
    for layer in ("block1_conv1", "block1_conv2"):
        expected = convolve(expected, *kernels[layer])
    expected = convolve(pool(expected, reduce), *kernels["block2_conv1"])
    backbone = features.load_backbone(str(vgg19), ("block2_conv1",), pooling)
    np.testing.assert_allclose(
        backbone(content)["block2_conv1"], expected, rtol=1e-3, atol=1e-2
    )


def test_average_pooling_reaches_the_deepest_block(vgg19, content):
    layers = ("block5_conv1",)
    by_max = features.load_backbone(str(vgg19), layers, "max")(content)
    by_mean = features.load_backbone(str(vgg19), layers, "average")(content)
    assert by_mean["block5_conv1"].shape == by_max["block5_conv1"].shape
    assert np.mean(by_mean["block5_conv1"]) < np.mean(by_max["block5_conv1"])


@pytest.mark.parametrize("name", ["block4_conv2", "conv4_2", "relu4_2"])
def test_all_spellings_name_one_layer(name):
    assert features.layer_name(name) == "block4_conv2"


def test_a_layer_in_another_spelling_has_the_same_activations(vgg19, content):
    plain = features.load_backbone(str(vgg19), ("block2_conv1", "block1_conv2"))
    mixed = features.load_backbone(str(vgg19), ("conv2_1", "relu1_2", "block2_conv1"))
    expected, found = plain(content), mixed(content)
    assert set(found) == set(expected) == {"block2_conv1", "block1_conv2"}
    for layer in expected:
        np.testing.assert_array_equal(found[layer], expected[layer])


@pytest.mark.parametrize(
    "name, guess",
    [
        ("block4conv2", "block4_conv2"),
        ("Block4_conv2", "block4_conv2"),
        ("conv4_5", "block4_conv"),
        ("relu5_0", "block5_conv"),
        ("mixed4", None),
        ("", None),
    ],
)
def test_an_unknown_layer_lists_the_choices_and_guesses(name, guess):
    with pytest.raises(ValueError, match="VGG-19 has no layer") as error:
        features.layer_name(name)
    message = one_line(error)
    assert repr(name) in message
    assert all(layer in message for layer in features.LAYERS)
    assert (f"did you mean '{guess}" in message) if guess else "mean" not in message


def test_each_block_halves_the_picture(vgg19, content):
    layers = tuple(f"block{block}_conv1" for block in range(1, 6))
    activations = features.load_backbone(str(vgg19), layers)(content)
    assert {name: tuple(a.shape) for name, a in activations.items()} == {
        "block1_conv1": (1, 37, 50, 64),
        "block2_conv1": (1, 18, 25, 128),
        "block3_conv1": (1, 9, 12, 256),
        "block4_conv1": (1, 4, 6, 512),
        "block5_conv1": (1, 2, 3, 512),
    }


@pytest.mark.parametrize(
    "layers, convolutions",
    [
        (("block1_conv1",), 1),
        (("block3_conv1", "block1_conv2"), 5),
        (("block5_conv1",), 13),
    ],
)
def test_nothing_beyond_the_deepest_layer_is_computed(vgg19, layers, convolutions):
    picture = tf.TensorSpec([1, 32, 32, 3])
    backbone = features.load_backbone(str(vgg19), layers)
    graph = tf.function(backbone).get_concrete_function(picture).graph
    types = [operation.type for operation in graph.get_operations()]
    assert types.count("Conv2D") == convolutions


@pytest.mark.parametrize(
    "layers, least",
    [
        (("block1_conv2",), 1),
        (("block2_conv1", "block1_conv1"), 2),
        (("block5_conv1",), 16),
    ],
)
def test_a_picture_too_small_for_the_deepest_layer_is_told_the_least_size(
    vgg19, layers, least
):
    backbone = features.load_backbone(str(vgg19), layers)
    fits = np.zeros((1, least, least + 1, 3), np.float32)
    assert backbone(fits)[layers[0]].shape[1] == 1
    with pytest.raises(ValueError, match=f"at least {least} pixels") as error:
        backbone(fits[:, 1:])
    assert f"{least + 1}x{least - 1}" in str(error.value)
    assert layers[0] in str(error.value)


def test_a_backbone_is_loaded_once(vgg19):
    layers = ("block1_conv1",)
    backbone = features.load_backbone(str(vgg19), layers)
    assert features.load_backbone(str(vgg19), layers) is backbone
    assert backbone.source == str(vgg19)
    assert backbone.checksum == hashlib.sha256(vgg19.read_bytes()).hexdigest()


def test_the_format_of_the_official_download_loads_to_the_same(
    vgg19, kernels, content, tmp_path
):
    import tf_keras  # writes HDF5 as Keras 2 did when that file was made

    old = tf_keras.applications.VGG19(include_top=False, weights=None)
    for name, weights in kernels.items():
        old.get_layer(name).set_weights(weights)
    old.save_weights(tmp_path / "old.h5")
    layers = ("block1_conv1", "block5_conv4")
    expected = features.load_backbone(str(vgg19), layers)(content)
    found = features.load_backbone(str(tmp_path / "old.h5"), layers)(content)
    for layer in layers:
        np.testing.assert_array_equal(found[layer], expected[layer])


def test_a_missing_weights_file_is_named():
    with pytest.raises(FileNotFoundError, match="nowhere.h5 does not exist") as error:
        features.load_backbone("nowhere.h5", ("block1_conv1",))
    assert "vgg19" in one_line(error)


@pytest.fixture
def wrong_file(vgg19, tmp_path, request):
    path = tmp_path / "wrong.weights.h5"
    if request.param == "text":
        path.write_text("these are not weights\n")
    elif request.param == "cut off":
        with vgg19.open("rb") as stream:
            path.write_bytes(stream.read(1 << 20))
    else:
        other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        other.save_weights(path)
    return path


@pytest.mark.filterwarnings("ignore:Skipping")  # Keras names each layer it misses
@pytest.mark.parametrize(
    "wrong_file", ["text", "cut off", "another network"], indirect=True
)
def test_a_file_of_anything_else_is_refused_in_one_line(wrong_file):
    with pytest.raises(ValueError, match="does not hold Keras weights") as error:
        features.load_backbone(str(wrong_file), ("block1_conv1",))
    assert str(wrong_file) in one_line(error)


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    """Keeps Keras out of the user's cache, and its waits short."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    bounded = functools.partial(files.bounded_network, 0.3)
    monkeypatch.setattr(files, "bounded_network", bounded)
    features.load_backbone.cache_clear()
    yield tmp_path / "models"
    features.load_backbone.cache_clear()


@contextlib.contextmanager
def serving(status, body=b""):
    """Answers every request alike; gives the address and the paths asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 30  # of its own, whatever the program sets for new sockets

        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def dead_end(request):
    """The address of a server that fails in some way."""
    if request.param == "forbids":
        with serving(403) as (address, _):
            yield address
    elif request.param == "is silent":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "dead_end, reason",
    [
        ("forbids", "the server answered 403, access refused"),
        ("is silent", "no answer"),
        ("is down", "no connection"),
    ],
    indirect=["dead_end"],
)
def test_a_failed_download_says_why_and_what_to_do(
    keras_cache, dead_end, reason, monkeypatch
):
    url = f"{dead_end}/vgg19.h5"
    monkeypatch.setattr(features, "VGG19_URL", url)
    with pytest.raises(OSError, match="cannot download VGG-19") as error:
        features.load_backbone("vgg19", ("block1_conv1",))
    message = one_line(error)
    assert url in message
    assert reason in message
    assert "--backbone=FILE" in message
    assert not list(keras_cache.iterdir())
    assert socket.getdefaulttimeout() is None


def test_a_download_of_other_bytes_is_refused(keras_cache, monkeypatch):
    with serving(200, b"not the weights") as (address, _):
        monkeypatch.setattr(features, "VGG19_URL", f"{address}/vgg19.weights.h5")
        with pytest.raises(OSError, match="cannot download VGG-19.*hash"):
            features.load_backbone("vgg19", ("block1_conv1",))


def test_the_weights_are_downloaded_once(keras_cache, vgg19, content, monkeypatch):
    body = vgg19.read_bytes()
    monkeypatch.setattr(features, "VGG19_MD5", hashlib.md5(body).hexdigest())
    with serving(200, body) as (address, asked):
        monkeypatch.setattr(features, "VGG19_URL", f"{address}/vgg19.weights.h5")
        first = features.load_backbone("vgg19", ("block1_conv1",))
        features.load_backbone.cache_clear()
        second = features.load_backbone("vgg19", ("block1_conv1",))
    assert asked == ["/vgg19.weights.h5"]
    assert first.name == second.name == "vgg19"
    assert second.source == str(keras_cache / "vgg19.weights.h5")
    given = features.load_backbone(str(vgg19), ("block1_conv1",))
    np.testing.assert_array_equal(
        second(content)["block1_conv1"], given(content)["block1_conv1"]
    )


@pytest.fixture
def undecided(keras_cache, monkeypatch):
    monkeypatch.setattr(files, "REACHED_WITHIN_S", 0.3)
    features.choose.cache_clear()
    yield keras_cache
    features.choose.cache_clear()


@pytest.mark.parametrize(
    "dead_end, reason",
    [("forbids", "403"), ("is silent", "no answer in time"), ("is down", "refused")],
    indirect=["dead_end"],
)
def test_auto_is_builtin_where_vgg19_cannot_be_had(
    undecided, dead_end, reason, monkeypatch
):
    monkeypatch.setattr(features, "VGG19_URL", f"{dead_end}/vgg19.weights.h5")
    name, note = features.choose()
    assert name == "builtin"
    assert reason in note and "--backbone=vgg19" in note


@pytest.mark.parametrize("cached", [False, True])
def test_auto_is_vgg19_if_it_can_be_had(undecided, vgg19, monkeypatch, cached):
    body = vgg19.read_bytes()
    monkeypatch.setattr(features, "VGG19_MD5", hashlib.md5(body).hexdigest())
    with serving(200, body) as (address, asked):
        monkeypatch.setattr(features, "VGG19_URL", f"{address}/vgg19.weights.h5")
        if cached:
            undecided.mkdir(parents=True)
            (undecided / "vgg19.weights.h5").write_bytes(body)
        name, note = features.choose()
    assert name == "vgg19"
    assert ("found in the cache" if cached else "downloaded") in note
    assert bool(asked) != cached
    assert (undecided / "vgg19.weights.h5").is_file()
