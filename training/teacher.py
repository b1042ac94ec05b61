"""The teacher networks: VGG-19, exact as far as we have it.

Blocks 1 to 3 are VGG-19's own; above them is the distilled VGG-19 of Wang et al.,
"Collaborative Distillation for Ultra-Resolution Universal Style Transfer" (CVPR 2020),
https://arxiv.org/abs/2003.08436, with its maps to VGG-19's channels.
"""

import numpy as np
from keras import ops

from tf_style.networks import small_vgg

MEAN_BGR = np.float32([103.939, 116.779, 123.68])


class Exact:
    """VGG-19's first three blocks.

    Args:
        path: .npz file with kernels and biases, keyed `block1_conv1/kernel` and so on.
    """

    def __init__(self, path, dtype="float32"):
        weights = np.load(path)
        self._weights = {
            key: ops.cast(np.float32(weights[key]), dtype) for key in weights.files
        }
        self._dtype = dtype
        self.layers = sorted({key.split("/")[0] for key in self._weights})

    def __call__(self, image, deepest=None):
        """Maps [B, H, W, 3] in [0, 1] to {layer name: values before ReLU}."""
        features, values = image[..., ::-1] * 255 - MEAN_BGR, {}
        features = ops.cast(features, self._dtype)
        for name in self.layers:
            if name.endswith("conv1") and name != "block1_conv1":
                features = ops.max_pool(features, 2, 2, data_format="channels_last")
            kernel = self._weights[f"{name}/kernel"]
            features = _convolve(features, kernel, "same")
            values[name] = features + self._weights[f"{name}/bias"]
            if name == deepest:
                break
            features = ops.relu(values[name])
        return values


class Distilled:
    """The distilled VGG-19, with 128 channels in blocks 4 and 5.

    Args:
        path: .npz file with kernels and biases, keyed `e5/conv11.weight` and so on.
        mapped: which of the first layers of blocks are mapped to VGG-19's channels.
    """

    def __init__(self, path, mapped=("block4_conv1", "block5_conv1"), dtype="float32"):
        self._mapped, self._dtype = mapped, dtype
        weights = np.load(path)
        self._weights = {
            key.removeprefix("e5/"): ops.cast(np.float32(weights[key]), dtype)
            for key in weights.files
            if key.startswith("e5/")
        }
        self.layers = small_vgg.LAYERS

    def __call__(self, image, deepest=None):
        """Maps [B, H, W, 3] in [0, 1] to {layer name: values before ReLU}."""
        features, values = self._convolve(ops.cast(image, self._dtype), "conv0"), {}
        for name in self.layers:
            if name.endswith("conv1") and name != "block1_conv1":
                features = ops.max_pool(features, 2, 2, data_format="channels_last")
            conv = f"conv{name[5]}{name[-1]}"
            features = ops.pad(features, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
            values[name] = self._convolve(features, conv)
            if name == deepest:
                break
            features = ops.relu(values[name])
            if name in self._mapped:
                values[name] = self._convolve(features, f"{conv}_aux")
        return values

    def _convolve(self, features, name):
        kernel, bias = (self._weights[f"{name}.{part}"] for part in ("weight", "bias"))
        return _convolve(features, kernel, "valid") + bias


def _convolve(features, kernel, padding):
    return ops.conv(features, kernel, padding=padding, data_format="channels_last")
