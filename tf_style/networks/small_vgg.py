"""The built-in backbone: VGG-19 with a quarter of its channels.

`training/distill.py` distilled it, so that its layers can replace VGG-19's layers of
the
same names, up to block5_conv1. See MODEL_CARD.md for their quality.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

# Kernels and biases as float16, with keys such as `block1_conv1/kernel`.
WEIGHTS = Path(__file__).with_name("small_vgg.npz")

CHANNELS = (16, 32, 64, 128, 128)  # channels of each block


def layer_names(convs: Sequence[int]) -> tuple[str, ...]:
    """Returns Keras' names for layers, from the numbers of convolutions in blocks."""
    return tuple(
        f"block{block}_conv{conv}"
        for block, count in enumerate(convs, start=1)
        for conv in range(1, count + 1)
    )


LAYERS = layer_names((2, 2, 4, 4, 1))


class ReflectedConv2D(keras.layers.Conv2D):
    """A 3x3 convolution of [B, H, W, C], mirrored at the border."""

    def call(self, inputs):
        """Returns as many positions as there are in `inputs`."""
        # Slices take half the time of a padding.
        rows = ops.concatenate([inputs[:, 1:2], inputs, inputs[:, -2:-1]], 1)
        columns = [rows[:, :, 1:2], rows, rows[:, :, -2:-1]]
        return super().call(ops.concatenate(columns, 2))


def build(
    border: str = "zeros",
    layers: Sequence[str] = LAYERS,
    dtype: str = "float32",
    start: str = "he_normal",
) -> keras.Model:
    """Builds the network, with Keras' names for VGG-19's layers.

    Args:
        border: padding: "zeros", as VGG-19 was trained, or "reflect", which leaves no
            trace at the border.
        layers: a leading part of `LAYERS`.
        dtype: see Keras' layers.
        start: initializer of the kernels.
    """
    features = image = keras.Input((None, None, 3))
    for name in layers:
        block = int(name[len("block")])
        if block > 1 and name.endswith("conv1"):
            pool = keras.layers.MaxPooling2D(
                2, name=f"block{block - 1}_pool", dtype=dtype
            )
            features = pool(features)
        kind = ReflectedConv2D if border == "reflect" else keras.layers.Conv2D
        features = kind(
            CHANNELS[block - 1],
            3,
            padding="valid" if border == "reflect" else "same",
            activation="relu",
            kernel_initializer=start,
            name=name,
            dtype=dtype,
        )(features)
    return keras.Model(image, features)


def load(*args, layers=LAYERS, **kwargs):
    """Builds the network with the shipped weights; for the arguments see `build`."""
    # Zeros, because drawing random kernels takes longer than reading the real ones.
    network = build(*args, layers=layers, start="zeros", **kwargs)
    with np.load(WEIGHTS) as weights:
        for name in layers:
            parts = [weights[f"{name}/{part}"] for part in ("kernel", "bias")]
            network.get_layer(name).set_weights([p.astype(np.float32) for p in parts])
    return network
