"""Real weights: Magenta's mobile model and the first three blocks of VGG-19.

They are not part of the repository; without them these tests are skipped.
"""

import itertools
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub
import vgg19_weights

from tf_style import images
from tf_style.config import MAGENTA_HANDLE, GatysConfig, HubConfig
from tf_style.fast import hub
from tf_style.networks import features, losses
from tf_style.optimization import gatys

# Losses are means over pairs of channels, of which the built-in backbone has 1 in 16.
SHARE_OF_CHANNELS = 16
# What tensorflow_hub calls the folder of MAGENTA_HANDLE: the handle's SHA-1.
CACHED_AS = "f843094219bf78a99e8ea6c8d71f1bc74f07101a"


@pytest.fixture
def magenta(shared, tmp_path, monkeypatch):
    """The model as `tensorflow_hub` loads it, from a cache that holds it already."""
    folder = shared / "weights" / "magenta_mobile_savedmodel"
    shutil.copytree(folder, tmp_path / "hub" / CACHED_AS)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    hub.load_model.cache_clear()
    yield tensorflow_hub.load(MAGENTA_HANDLE)
    hub.load_model.cache_clear()


@pytest.fixture
def tubingen(shared):
    return shared / "data" / "dev" / "content" / "tubingen.jpg"


@pytest.fixture
def starry_night(shared):
    return shared / "data" / "dev" / "style" / "starry_night.jpg"


@pytest.fixture(scope="module")
def real_vgg19(shared, tmp_path_factory):
    """A weights file whose blocks 1 to 3 are ImageNet's; the others are seeded."""
    return vgg19_weights.write(
        tmp_path_factory.mktemp("real") / "vgg19.weights.h5",
        shared / "weights" / "vgg19_imagenet_block1to3.npz",
    )


def rank_correlation(values, others):
    """Spearman's, of vectors without ties."""
    ranks = [np.argsort(np.argsort(v)) for v in (values, others)]
    return np.corrcoef(*ranks)[0, 1]


def test_the_builtin_backbone_ranks_styles_as_vgg19_does(real_vgg19, shared):
    layers = ("block1_conv1", "block2_conv1", "block3_conv1")
    paintings = [
        images.load_image(path, 160)
        for path in sorted((shared / "data" / "dev" / "style").iterdir())
    ]

    def distances(name, layer):
        backbone = features.load_backbone(name, layers)
        grams = [losses.gram_matrix(backbone(p)[layer])[0] for p in paintings]
        pairs = itertools.combinations(grams, 2)
        return [float(tf.reduce_sum((a - b) ** 2)) for a, b in pairs]

    for layer in layers:
        found, expected = (distances(n, layer) for n in ("builtin", str(real_vgg19)))
        assert rank_correlation(found, expected) > 0.8
        # And of the same size, so that weights of losses mean the same.
        assert 0.5 < np.median(np.divide(found, expected)) * SHARE_OF_CHANNELS < 2


@pytest.mark.parametrize("backbone", ["vgg19", "builtin"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_gradients_in_few_bits_point_where_those_in_float32_do(
    real_vgg19, tubingen, starry_night, backbone, precision
):
    content, style = (images.load_image(p, 128) for p in (tubingen, starry_night))

    def gradient(precision):
        config = GatysConfig(
            backbone=str(real_vgg19) if backbone == "vgg19" else backbone,
            precision=precision,
            content_layers=("block3_conv2",),
            style_layers=("block1_conv1", "block2_conv1", "block3_conv1"),
        )
        size = content.shape[1:3]
        objective = gatys.load_objective(config, size)
        encoded = gatys.encode(style, config)
        targets = gatys.measure_targets(objective, content, encoded, size, config)
        picture = tf.constant(0.9 * content + 0.05)
        _, found = objective.differentiate(picture, targets)
        return tf.reshape(found, [-1]).numpy()

    found, exact = gradient(precision), gradient("float32")
    cosine = found @ exact / np.linalg.norm(found) / np.linalg.norm(exact)
    assert cosine > 0.99
    assert 0.98 < np.linalg.norm(found) / np.linalg.norm(exact) < 1.02


def test_magentas_answer_is_passed_on_unchanged(magenta, tubingen, starry_night):
    content = images.load_image(tubingen, 256)
    assert content.shape == (1, 192, 256, 3)
    style = images.resize(images.load_image(starry_night), 256, 410)
    raw = magenta(tf.constant(content), tf.constant(style))[0]
    found = hub.stylize(
        content, images.load_image(starry_night), HubConfig(model="magenta")
    )
    np.testing.assert_array_equal(found, raw)
    assert np.abs(found - content).mean() > 0.05  # it did paint


def test_magenta_returns_an_odd_photo_at_its_size(magenta, tubingen, starry_night):
    content = images.load_image(tubingen)[:, :253, :255]
    style = images.resize(images.load_image(starry_night), 256, 410)
    # Down to 256x256, the photo's last pixels in reverse.
    rows, columns = [*range(253), 251, 250, 249], [*range(255), 253]
    padded = content[:, rows][:, :, columns]
    raw = magenta(tf.constant(padded), tf.constant(style))[0]
    found = hub.stylize(
        content, images.load_image(starry_night), HubConfig(model="magenta")
    )
    assert found.shape == (1, 253, 255, 3)
    np.testing.assert_array_equal(found, raw[:, :253, :255])


def test_vgg19_sees_a_real_picture_as_its_published_weights_do(
    shared, real_vgg19, tubingen
):
    layers = ("block1_conv1", "block2_conv2", "block3_conv1")
    picture = images.load_image(tubingen, 128)
    found = features.load_backbone(str(real_vgg19), layers)(picture)

    weights = np.load(shared / "weights" / "vgg19_imagenet_block1to3.npz")
    here = picture[..., ::-1] * 255 - np.float32([103.939, 116.779, 123.68])
    for name in features.LAYERS[:5]:
        if name in ("block2_conv1", "block3_conv1"):
            here = tf.nn.max_pool2d(here, 2, 2, "VALID")
        here = tf.nn.conv2d(here, weights[f"{name}/kernel"], 1, "SAME")
        here = tf.nn.relu(here + weights[f"{name}/bias"])
        if name in layers:
            scale = float(tf.reduce_max(here))
            np.testing.assert_allclose(found[name], here, atol=1e-5 * scale)


def test_a_few_steps_bring_the_style_much_closer(real_vgg19, tubingen, starry_night):
    content = images.load_image(tubingen, 96)
    style = images.load_image(starry_night)
    config = GatysConfig(
        backbone=str(real_vgg19),
        content_layers=("block3_conv2",),
        style_layers=("block1_conv1", "block2_conv1", "block3_conv1"),
        steps=12,
        scales=1,
    )
    *_, last = steps = list(gatys.iterate(content, style, config))
    assert last.losses["style"] < steps[0].losses["style"] / 5
    painted = gatys.finish(last, content, config)
    assert 0.01 < np.abs(painted - content).mean() < 0.3  # another picture, not noise
