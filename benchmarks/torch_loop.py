"""The tutorial's objective and optimizer in PyTorch, as its users write them.

See `peer.py` for the protocol. --weights is an .npz of VGG-19's kernels and biases that
`gatys.py` exports, with keys such as `block1_conv1/kernel`.
"""

import os

import numpy as np
import peer
import torch
from torch.nn import functional

# Of ImageNet, blue first.
MEANS = (103.939, 116.779, 123.68)


class Loop:
    """Adam on the pixels, step by step.

    Args:
        network: a function from a picture to {layer name: activations}.
        content: photo, [1, H, W, 3] in [0, 1].
        style: painting, [1, H', W', 3] in [0, 1].
    """

    def __init__(self, network, content, style):
        self._network = network
        self._content = _to_torch(content)
        with torch.no_grad():
            layers = network(_to_torch(style))
            self._grams = [_gram_matrix(layers[name]) for name in peer.STYLE_LAYERS]
            self._target = network(self._content)[peer.CONTENT_LAYER]
        self.reset()

    def reset(self):
        """Starts again from the content."""
        self._image = self._content.clone().requires_grad_()
        # Torch adds epsilon to a root that is free of bias and Keras before that, so
        # the first steps may differ where gradients are small.
        self._optimizer = torch.optim.Adam(
            [self._image], lr=0.02, betas=(0.99, 0.999), eps=1e-1
        )
        return []

    def step(self):
        """Makes one step and returns the loss before it."""
        self._optimizer.zero_grad()
        loss = self._loss()
        loss.backward()
        self._optimizer.step()
        with torch.no_grad():
            self._image.clamp_(0, 1)
        return loss.item()

    def picture(self):
        """Returns the picture as it is now."""
        return self._image.detach().permute(0, 2, 3, 1).numpy()

    def _loss(self):
        layers = self._network(self._image)
        terms = [
            functional.mse_loss(_gram_matrix(layers[name]), target)
            for name, target in zip(peer.STYLE_LAYERS, self._grams)
        ]
        loss = peer.STYLE_WEIGHT * sum(terms) / len(terms)
        content = layers[peer.CONTENT_LAYER]
        loss += peer.CONTENT_WEIGHT * functional.mse_loss(content, self._target)
        rows = self._image[:, :, 1:] - self._image[:, :, :-1]
        columns = self._image[:, :, :, 1:] - self._image[:, :, :, :-1]
        variation = rows.abs().sum() + columns.abs().sum()
        return loss + peer.VARIATION_WEIGHT * variation


class Network:
    """VGG-19 down to the content layer."""

    def __init__(self, path, dtype):
        arrays = np.load(path)
        names = sorted({key.partition("/")[0] for key in arrays})
        self._layers = {
            name: (
                _channels_last(arrays[f"{name}/kernel"].transpose(3, 2, 0, 1)),
                torch.from_numpy(arrays[f"{name}/bias"]),
            )
            for name in names[: names.index(peer.CONTENT_LAYER) + 1]
        }
        self._means = torch.tensor(MEANS).reshape(1, 3, 1, 1)
        self._dtype = dtype

    def __call__(self, image):
        features = image.flip(1) * 255 - self._means
        found = {}
        low = self._dtype != torch.float32
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            for name, (kernel, bias) in self._layers.items():
                if name.endswith("conv1") and name != "block1_conv1":
                    features = functional.max_pool2d(features, 2)
                features = functional.conv2d(features, kernel, bias, padding=1)
                features = functional.relu(features, inplace=True)
                if name in (*peer.STYLE_LAYERS, peer.CONTENT_LAYER):
                    # As in `tutorial_loop.py`: losses are float32.
                    found[name] = features.float()
        return found


def _gram_matrix(layer):
    flat = layer.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def _to_torch(picture):
    return _channels_last(picture.transpose(0, 3, 1, 2))


def _channels_last(array):
    return torch.from_numpy(array).contiguous(memory_format=torch.channels_last)


def main():
    """Loads and serves."""
    parser = peer.parser(__doc__)
    parser.add_argument("--weights", required=True)
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = Network(options.weights, getattr(torch, options.precision))
    peer.serve(Loop(network, options.content, options.style), options.steps)


if __name__ == "__main__":
    main()
