"""The models that ship: they load, and they see what they were made to see."""

from pathlib import Path

import numpy as np
import pytest

from tf_style import features, images
from tf_style.builtin import vgg
from tf_style.config import GatysConfig
from tf_style.losses import gram_matrix

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PHOTOS = ("harbor", "still_life")
STYLES = ("cubist", "mosaic", "swirls", "watercolor", "woodcut")


@pytest.fixture(scope="module")
def backbone():
    return features.load_backbone("builtin", vgg.LAYERS)


@pytest.fixture(scope="module")
def paintings():
    return [images.load_image(EXAMPLES / f"{name}.jpg", 256) for name in STYLES]


def test_layers_and_shapes_are_a_quarter_of_vgg19s(backbone, content):
    shapes = {name: f.shape.as_list() for name, f in backbone(content).items()}
    assert list(shapes) == [name for name in features.LAYERS if name <= "block5_conv1"]
    assert shapes["block1_conv2"] == [1, 37, 50, 16]
    assert shapes["block3_conv4"] == [1, 9, 12, 64]
    assert shapes["block5_conv1"] == [1, 2, 3, 128]


def test_the_default_settings_fit_it():
    config = GatysConfig(backbone="builtin")
    layers = (*config.content_layers, *config.style_layers)
    backbone = features.load_backbone("builtin", layers)
    assert backbone.source == str(vgg.WEIGHTS)
    assert vgg.WEIGHTS.stat().st_size < 2 << 20


def test_a_layer_beyond_its_last_lists_what_it_has():
    with pytest.raises(ValueError, match="no layer 'block5_conv2'.*block5_conv1$"):
        features.load_backbone("builtin", ("block5_conv2",))


@pytest.mark.parametrize("layer", GatysConfig.style_layers)
def test_no_painting_is_closer_in_style_than_its_mirror_image(
    backbone, paintings, layer
):
    pictures = [p for painting in paintings for p in (painting, painting[:, :, ::-1])]
    grams = np.stack([gram_matrix(backbone(p)[layer])[0] for p in pictures])
    distances = ((grams[:, None] - grams[None]) ** 2).sum((2, 3))
    np.fill_diagonal(distances, np.inf)
    expected = [index ^ 1 for index in range(len(pictures))]
    assert distances.argmin(1).tolist() == expected


@pytest.mark.parametrize("layer", GatysConfig.style_layers)
def test_no_channel_of_a_style_layer_is_dead(backbone, paintings, layer):
    photos = [images.load_image(EXAMPLES / f"{n}.jpg", 256) for n in PHOTOS]
    peaks = [backbone(p)[layer].numpy().max((0, 1, 2)) for p in paintings + photos]
    assert (np.max(peaks, 0) > 0).all()
