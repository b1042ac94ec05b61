"""Makes a file of VGG-19 weights for tests and benchmarks.

    python tests/vgg19_weights.py vgg19.weights.h5 [--blocks=FILE.npz]

Seeded He-normal kernels keep activations and gradients in a healthy range, which is all
that shapes, speed and plumbing need. `--blocks` puts real kernels, keyed
`block1_conv1/kernel` and so on, where the file has them.
"""

import argparse
from pathlib import Path

import numpy as np


def write(path, blocks=None):
    """Writes a Keras weights file of VGG-19 without its top, and returns its path."""
    import keras

    known = np.load(blocks) if blocks else {}
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    rng = np.random.default_rng(19)
    for layer in vgg.layers:
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            if name in known:
                variable.assign(known[name])
            elif variable.name == "kernel":
                height, width, channels, _ = variable.shape
                deviation = np.sqrt(2 / (height * width * channels))
                values = rng.standard_normal(variable.shape, np.float32)
                variable.assign(deviation * values)
    vgg.save_weights(path)
    return Path(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--blocks", type=Path)
    arguments = parser.parse_args()
    print(write(arguments.path, arguments.blocks))
