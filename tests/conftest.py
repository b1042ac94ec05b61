"""What several test modules need: small pictures, small models, the real ones."""

import os
import signal
import types
from pathlib import Path

import numpy as np
import pytest
import vgg19_weights
from page_client import PATIENCE, free_port, start

# Nothing above imports TensorFlow, which reads these when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Keeps every test out of the user's caches."""
    monkeypatch.setenv("TF_STYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)


@pytest.fixture(scope="session")
def shared():
    """The folder of real weights and pictures; tests that need it skip without it."""
    folder = Path(os.environ.get("TF_STYLE_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real weights and pictures in {folder}")
    return folder


@pytest.fixture
def content():
    """A photo [1, 37, 50, 3]: no side is a multiple of 4, or equals another."""
    return np.random.default_rng(1).random((1, 37, 50, 3), np.float32)


@pytest.fixture
def style():
    """A painting [1, 45, 61, 3]."""
    return np.random.default_rng(2).random((1, 45, 61, 3), np.float32)


@pytest.fixture
def shallow():
    """Settings of layers that are fast and see any picture, at two scales."""
    return {
        "backbone": "builtin",
        "content_layers": ("block1_conv2",),
        "style_layers": ("block1_conv1", "block2_conv1"),
        "scales": 2,
    }


@pytest.fixture
def slow_job(tmp_path, content, style, shallow):
    """One photo in one painting on the slow path, as it is settled by `shallow`."""
    from tf_style import images
    from tf_style.config import GatysConfig, Job

    images.save_image(tmp_path / "photo.png", content)
    images.save_image(tmp_path / "painting.png", style)
    return Job(
        contents=(str(tmp_path / "photo.png"),),
        styles=(str(tmp_path / "painting.png"),),
        output=str(tmp_path / "out"),
        mode="gatys",
        gatys=GatysConfig(**shallow),
    )


@pytest.fixture(scope="session")
def vgg19(tmp_path_factory):
    """The path of a weights file of VGG-19 with seeded values."""
    folder = tmp_path_factory.mktemp("vgg19")
    return vgg19_weights.write(folder / "vgg19.weights.h5")


@pytest.fixture(scope="session")
def builtin_stylizer():
    """The built-in stylizer, traced once for all tests that paint with it."""
    from tf_style.fast.builtin import stylizer

    return stylizer.Stylizer()


@pytest.fixture(scope="module")
def builtin_at_hand(builtin_stylizer):
    """Has `hub.load_model` load that one in a module, however often it is called."""
    from tf_style.fast import hub
    from tf_style.fast.builtin import stylizer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stylizer, "load", lambda name: builtin_stylizer)
        hub.load_model.cache_clear()
        yield


@pytest.fixture(scope="session")
def stub_model(tmp_path_factory):
    """The folder of a SavedModel that is called as Magenta's and sized like it.

    It answers with the content, moved towards the style's mean colour by half.
    """
    import tensorflow as tf

    pictures = tf.TensorSpec([None, None, None, 3], tf.float32)

    class Stub(tf.train.Checkpoint):
        @tf.function(input_signature=[pictures, pictures])
        def __call__(self, placeholder, placeholder_1):
            # Like Magenta's: the next multiple of 4, not the content's size.
            rims = -tf.shape(placeholder)[1:3] % 4
            padded = tf.pad(placeholder, [(0, 0), (0, rims[0]), (0, rims[1]), (0, 0)])
            mean = tf.reduce_mean(placeholder_1, [1, 2], keepdims=True)
            return [(padded + mean) / 2]

    folder = tmp_path_factory.mktemp("stub")
    tf.saved_model.save(Stub(), str(folder))
    return folder


@pytest.fixture
def seen(stub_model, monkeypatch):
    """The pictures that the model is called with, as a list of pairs."""
    from tf_style.fast import hub

    calls = []
    model = hub.load_model(str(stub_model))

    def call(content, style):
        calls.append((content.numpy(), style.numpy()))
        return model.call(content, style)

    monkeypatch.setattr(hub, "load_model", lambda _: model._replace(call=call))
    return calls


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """The running program: its `url`, its `port`, and its `folder` of files."""
    pytest.importorskip("fastapi", reason="no FastAPI: pip install '.[app]'")
    folder = tmp_path_factory.mktemp("app")
    port = free_port()
    with open(folder / "errors", "w") as errors:
        process = start(folder, port, stderr=errors)
    said = process.stdout.readline()
    url = f"http://127.0.0.1:{port}/"
    ready = f"tf_style: the page is at {url}; Ctrl-C ends it\n"
    assert said == ready, (folder / "errors").read_text()
    (files,) = folder.glob("tf_style_app-*")
    yield types.SimpleNamespace(url=url, port=port, folder=files)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE / 1000) == 130
    assert (folder / "errors").read_text() == ""
    assert {path.name for path in folder.iterdir()} <= {"errors", "keras"}
