"""Backbones: from a picture to the activations of named layers.

Only this module knows the network's input format (BGR, 0..255, minus ImageNet's channel
means).
"""

from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from tf_style.networks import small_vgg
from tf_style.system.errors import InvalidInput

# Simonyan and Zisserman (2015), configuration E.
LAYERS = small_vgg.layer_names((2, 2, 4, 4, 4))
# Key of a block's pooled output.
PASSED_ON = "pool"


class Block:
    """The part of a network between two poolings.

    Attributes:
        layers: names of the layers that it returns.
        sees: its input, a `tf.TensorSpec` of [1, None, None, C].
        channels: channels of its convolutions, in order.
        is_first: whether its input is a picture.
        itemsize: bytes per number in its computations.
    """

    def __init__(
        self, network: keras.Model, preprocess: Callable[[tf.Tensor], tf.Tensor]
    ) -> None:
        self._network = network
        self._preprocess = preprocess
        self.layers = tuple(name for name in network.output if name != PASSED_ON)
        seen = network.input
        self.is_first = seen.shape[-1] == 3
        self.sees = tf.TensorSpec([1, None, None, seen.shape[-1]], seen.dtype)
        convolutions = [
            layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)
        ]
        self.channels = [layer.filters for layer in convolutions]
        self.itemsize = tf.as_dtype(convolutions[-1].compute_dtype).size

    def __call__(
        self, features: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
        """Runs the block.

        Args:
            features: [B, H, W, C], the previous block's output, or the picture.

        Returns:
            {layer name: activations after ReLU, [B, H, W, C']}, and the pooled output,
            [B, H // 2, W // 2, C'], or None.
        """
        activations = dict(self._network(self._preprocess(features)))
        return activations, activations.pop(PASSED_ON, None)


class Backbone:
    """A frozen network that maps a picture to {layer name: activations}.

    Attributes:
        blocks: its `Block`s, each of which takes the previous one's output.
        name: the requested name.
        source: origin of the weights.
        checksum: SHA-256 of the weights file.
        least_size: shortest side in pixels that the deepest layer accepts.
    """

    def __init__(
        self, blocks: list[Block], name: str, source: str, checksum: str
    ) -> None:
        self.blocks = blocks
        self.name = name
        self.source = source
        self.checksum = checksum
        self._deepest = max(blocks[-1].layers, key=LAYERS.index)
        # Each block but the first halves the picture, rounding down.
        self.least_size = 2 ** (len(blocks) - 1)

    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Measures a picture.

        Args:
            image: [B, H, W, 3], RGB in [0, 1].

        Returns:
            {layer name: activations after ReLU, [B, H', W', C], of the type that the
            network computes in}.

        Raises:
            ValueError: the picture is too small for the deepest layer.
        """
        if None not in image.shape[1:3]:  # as in graphs for pictures of any size
            height, width = image.shape[1:3]
            self.check_size(height, width, "a picture")
        features, found = image, {}
        for block in self.blocks:
            activations, features = block(features)
            found |= activations
        return found

    def check_size(self, height: int, width: int, what: str) -> None:
        """Raises ValueError if the deepest layer cannot see pictures of this size."""
        if min(height, width) < self.least_size:
            raise InvalidInput(
                f"{what} of {width}x{height} pixels is too small for {self._deepest}: "
                f"each side must be at least {self.least_size} pixels"
            )


def block_number(layer: str) -> int:
    """Returns in which block a layer of Keras' name is, from 1."""
    return int(layer[len("block")])


def cut(network: keras.Model, layers: Sequence[str]) -> Iterator[Block]:
    """Cuts a network after each pooling, down to the deepest of `layers`."""
    deepest = max(layers, key=LAYERS.index)
    last = block_number(deepest)
    entry, preprocess = network.input, _show
    for number in range(1, last + 1):
        outputs = {
            layer: network.get_layer(layer).output
            for layer in layers
            if block_number(layer) == number
        }
        if number < last:
            outputs[PASSED_ON] = network.get_layer(f"block{number}_pool").output
        yield Block(keras.Model(entry, outputs), preprocess)
        entry, preprocess = outputs.get(PASSED_ON), tf.identity


def _show(image):
    """Turns RGB in [0, 1] into what the network was trained on."""
    values = tf.cast(image, tf.float32) * 255
    return keras.applications.vgg19.preprocess_input(values, "channels_last")
