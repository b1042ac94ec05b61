"""Beside other users of Keras: the same pictures, and their settings as they were.

Keras is set before it is imported and once in a process, so each test starts one.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tf_style import images
from tf_style.system import errors

# Paints by both methods under one setting after the other, with networks that were
# built before and with ones that are built under it.
ALL_SETTINGS = """
import sys

import keras
import numpy as np

from tf_style import features, gatys, hub
from tf_style.config import GatysConfig, HubConfig

content, style = (np.load(path) for path in sys.argv[1:3])
shallow = GatysConfig(backbone="builtin", content_layers=("block1_conv2",),
                      style_layers=("block2_conv1",), steps=2, scales=1)


def settings():
    config = keras.config
    return config.floatx(), config.image_data_format(), config.dtype_policy().name


def paint():
    before = settings()
    frames = hub.stylize_batch(
        [content], hub.encode(style, HubConfig(model="builtin")),
        HubConfig(model="builtin"), memory={})
    fast = hub.stylize(content, style, HubConfig(model="builtin"))
    slow = gatys.stylize(content, style, shallow)
    assert settings() == before, (settings(), before)
    return np.concatenate([fast, slow, *frames])


expected = paint()
for policy, floatx, order in [
    ("mixed_float16", "float32", "channels_first"),
    ("float64", "float64", "channels_last"),
]:
    keras.config.set_floatx(floatx)
    keras.config.set_image_data_format(order)
    keras.config.set_dtype_policy(policy)
    hub.load_model.cache_clear()
    features.load_backbone.cache_clear()
    painted = paint()
    assert painted.dtype == np.float32
    np.testing.assert_allclose(painted, expected, atol=1e-5, err_msg=policy)
    dense = keras.layers.Dense(1)
    assert dense.dtype_policy.name == policy
"""


def _run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | environment,
    )


@pytest.fixture
def pair(tmp_path, content, style):
    paths = tmp_path / "content.npy", tmp_path / "style.npy"
    for path, picture in zip(paths, (content, style)):
        np.save(path, picture)
    return paths


@pytest.mark.slow
def test_pictures_are_the_same_under_all_settings_and_settings_stay(pair):
    done = _run("-c", ALL_SETTINGS, *pair)
    assert done.returncode == 0, done.stderr


def test_command_line_knows_no_keras_json_and_no_other_backend(
    tmp_path, content, style
):
    """The user's own file and variable are for other programs."""
    settings = {
        "floatx": "float64",
        "image_data_format": "channels_first",
        "backend": "jax",
    }
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    paths = [tmp_path / f"{name}.png" for name in ("photo", "painting", "out")]
    for path, picture in zip(paths, (content, style)):
        images.save_image(path, picture)
    flags = zip(("content", "style", "output"), paths)
    done = _run(
        *("-m", "tf_style", "--model=builtin"),
        *(f"--{name}={path}" for name, path in flags),
        KERAS_HOME=str(tmp_path),
        KERAS_BACKEND="jax",
    )
    assert done.returncode == 0, done.stderr
    from tf_style import hub
    from tf_style.config import HubConfig

    photo, painting, painted = map(images.load_image, paths)
    wanted = hub.stylize(photo, painting, HubConfig(model="builtin"))
    np.testing.assert_array_equal(images.to_uint8(painted), images.to_uint8(wanted))
    assert json.loads((tmp_path / "keras.json").read_text()) == settings


def test_library_refuses_another_backend_in_one_line():
    done = _run("-c", "from tf_style import gatys", KERAS_BACKEND="jax")
    *_, line = done.stderr.strip().splitlines()
    start = "tf_style.system.errors.MissingPackage: tf_style needs Keras on TensorFlow"
    assert line.startswith(f"{start}, and its backend is jax")
    assert issubclass(errors.MissingPackage, ImportError)
    assert "set KERAS_BACKEND=tensorflow before" in line
