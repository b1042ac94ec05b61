"""Measures how well the built-in backbone's style losses agree with VGG-19's.

    python training/evaluate_backbone.py --pictures 'validation/*.jpg' --exact VGG.npz \
        --distilled CD.npz

For every layer, over all ordered pairs of pictures: Spearman's rank correlation of the
relative style losses |G_i - G_j|^2 / |G_j|^2 of both networks; and the number of
channels that never fire. Do not use training pictures.
"""

import argparse

import data
import numpy as np
import teacher
import tensorflow as tf

from tf_style.networks import features, small_vgg
from tf_style.networks.losses import gram_matrix


def relative_losses(grams):
    """Relative style losses of all ordered pairs of [N, C, C], as a vector."""
    flat = np.reshape(grams, [len(grams), -1])
    norms = (flat**2).sum(1)
    distances = norms[:, None] + norms[None] - 2 * flat @ flat.T
    return (distances / norms[None])[~np.eye(len(grams), dtype=bool)]


def rank_correlation(values, others):
    """Spearman's rank correlation of two vectors without ties."""
    ranks = (np.argsort(np.argsort(v)) for v in (values, others))
    return np.corrcoef(*ranks)[0, 1]


def main():
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", nargs="+", required=True, help="globs")
    parser.add_argument("--exact", required=True, help="VGG-19's own kernels, .npz")
    parser.add_argument("--distilled", required=True, help="distilled VGG-19, .npz")
    parser.add_argument("--side", type=int, default=256, help="longest side, in pixels")
    options = parser.parse_args()
    exact = teacher.Exact(options.exact)
    distilled = teacher.Distilled(options.distilled)
    backbone = features.load_backbone("builtin", small_vgg.LAYERS)
    grams = {name: ([], []) for name in small_vgg.LAYERS}
    peaks = dict.fromkeys(small_vgg.LAYERS, 0.0)
    for picture in data.read(options.pictures, options.side):
        image = tf.constant(picture[None] / np.float32(255))
        values = distilled(image) | exact(image)
        for name, activations in backbone(image).items():
            taught, own = grams[name]
            taught.append(gram_matrix(tf.nn.relu(values[name]))[0].numpy())
            own.append(gram_matrix(activations)[0].numpy())
            peaks[name] = np.maximum(peaks[name], tf.reduce_max(activations, [0, 1, 2]))
    print("| layer | rank correlation | channels | dead |\n| --- | --- | --- | --- |")
    for name, (taught, own) in grams.items():
        agreement = rank_correlation(relative_losses(taught), relative_losses(own))
        dead = int((peaks[name] <= 0).sum())
        print(f"| {name} | {agreement:.3f} | {len(peaks[name])} | {dead} |")


if __name__ == "__main__":
    main()
