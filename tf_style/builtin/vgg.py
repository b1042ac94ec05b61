"""The built-in backbone: VGG-19's shape at a quarter of its channels.

It was distilled from VGG-19 by `training/distill.py`, so that its layers can stand in
for VGG-19's of the same names, up to block5_conv1. MODEL_CARD.md says how well they do.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

# Kernels and biases as float16, keyed `block1_conv1/kernel` and so on.
WEIGHTS = Path(__file__).with_name("vgg.npz")

CHANNELS = (16, 32, 64, 128, 128)  # of each block


def layer_names(convs):
    """Returns Keras' names for layers, from the numbers of convolutions in blocks."""
    return tuple(
        f"block{block}_conv{conv}"
        for block, count in enumerate(convs, start=1)
        for conv in range(1, count + 1)
    )


LAYERS = layer_names((2, 2, 4, 4, 1))


def reflect(features):
    """Mirrors [B, H, W, C] by one position at each rim."""
    return tf.pad(features, [(0, 0), (1, 1), (1, 1), (0, 0)], "REFLECT")


def build(border="zeros"):
    """Builds the network, with Keras' names for VGG-19's layers and random weights.

    Args:
        border: what layers see beyond a picture's rim: "zeros", as VGG-19 was trained,
            or "reflect", which leaves no trace at the rim.
    """
    features = image = keras.Input((None, None, 3))
    for name in LAYERS:
        block = int(name[len("block")])
        if block > 1 and name.endswith("conv1"):
            pool = keras.layers.MaxPooling2D(2, name=f"block{block - 1}_pool")
            features = pool(features)
        if border == "reflect":
            features = keras.layers.Lambda(reflect)(features)
        features = keras.layers.Conv2D(
            CHANNELS[block - 1],
            3,
            padding="valid" if border == "reflect" else "same",
            activation="relu",
            kernel_initializer="he_normal",
            name=name,
        )(features)
    return keras.Model(image, features)


def load(border="zeros"):
    """Builds the network with the weights that ship; `border` as for `build`."""
    network = build(border)
    with np.load(WEIGHTS) as weights:
        for name in LAYERS:
            parts = [weights[f"{name}/{part}"] for part in ("kernel", "bias")]
            network.get_layer(name).set_weights([p.astype(np.float32) for p in parts])
    return network
