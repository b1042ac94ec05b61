"""Trains the decoder of the built-in stylizer.

    python training/stylizer.py --photos 'photos/*.jpg' --paintings 'paintings/*.jpg' \
        --distilled CD.npz --folder runs/stylizer

Stops and goes on: run the same command again. See README.md in this folder.
"""

import argparse
from pathlib import Path

import data
import keras
import loop
import numpy as np
import teacher
import tensorflow as tf

from tf_style.builtin import stylizer
from tf_style.losses import gram_matrix

BATCH = 4
WEIGHTS = {"style": 1.0, "content": 0.1, "range": 1.0}
# A style is coded from a picture of this side, and its Gram matrices are those of one
# half as large again: what 256 pixels a shorter side are to 512 pixels a longer one.
CODED_SIDE, MEASURED_SIDE = 256, 384
CONTENT_LAYER = "block4_conv2"
STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
# Bounds of a crop's side before it is scaled, in shares of its photo's shorter side of
# about 384: most keep a photo's scale.
REACH = {128: (0.3, 0.8), 160: (0.35, 0.9), 192: (0.45, 0.95), 256: (0.6, 1)}
# Share of styles that are mixed from two.
MIXED = 0.3


class Judge:
    """What the losses are measured with: VGG-19, as far as we have it.

    Args:
        distilled: `teacher.Distilled`.
        exact: `teacher.Exact` for the styles of blocks 1 to 3; None leaves them to the
            distilled network, which makes a step twice as fast.
    """

    def __init__(self, distilled, exact=None):
        self._distilled, self._exact = distilled, exact

    def __call__(self, image):
        """Returns Gram matrices of STYLE_LAYERS, and activations of CONTENT_LAYER."""
        values = self._distilled(image)
        if self._exact:
            values |= self._exact(image, "block3_conv1")
        grams = [gram_matrix(tf.nn.relu(values[name])) for name in STYLE_LAYERS]
        return grams, tf.nn.relu(values[CONTENT_LAYER])


class Training(tf.Module):
    """Decoder, and what it must reach; see `loop.train`."""

    def __init__(self, judge):
        self.encoder = stylizer.build_encoder()
        self.decoder = stylizer.build_decoder()
        self.judge, self.weights = judge, WEIGHTS
        self.trained = self.decoder.trainable_variables
        self.kept = {str(i): v for i, v in enumerate(self.trained)}

    def start(self, batches):
        """Nothing is there to be fitted first."""

    def losses(self, photo, code, *targets):
        """Three scalars by name.

        style: mean over layers of 2 |G - G_s|^2 / (|G|^2 + |G_s|^2): near the goal the
            relative error, but bounded, since dark and flat styles have next to no G_s.
        content: |F - F_c|^2 / |F_c|^2.
        range: mean square of what lies outside [0, 1].
        """
        (colours, *others), known = stylizer.prepare(self.encoder, photo, code)
        _, content = self.judge(photo)
        shape = tf.shape(photo)
        noise = [
            tf.random.normal([shape[0], shape[1] // s, shape[2] // s, 1])
            for s in (2, 4, 8)
        ]
        seen = tf.nest.map_structure(tf.stop_gradient, [colours, *others, *noise])
        painted = colours + self.decoder([*seen, known], training=True)
        outside = painted - tf.clip_by_value(painted, 0, 1)
        # The clipped picture is judged, as if clipping let gradients through.
        grams, features = self.judge(painted - tf.stop_gradient(outside))
        style = [bounded_error(g, t) for g, t in zip(grams, targets, strict=True)]
        return {
            "style": tf.add_n(style) / len(style),
            "content": relative_error(features, content),
            "range": tf.reduce_mean(tf.square(outside)),
        }


def relative_error(value, target):
    """Mean over the batch of |value - target|^2 / |target|^2."""
    return tf.reduce_mean(_square(value - target) / (_square(target) + 1e-6))


def bounded_error(value, target):
    """Mean over the batch of 2 |value - target|^2 / (|value|^2 + |target|^2)."""
    size = _square(value) + _square(target)
    return tf.reduce_mean(2 * _square(value - target) / (size + 1e-6))


def _square(values):
    """Sum of squares of each of a batch, [B]."""
    return tf.reduce_sum(tf.square(values), list(range(1, len(values.shape))))


def collect(pictures, count, model, path, rng):
    """Codes and Gram matrices of `count` styles, as rows of a list of arrays.

    They are kept in a file, since they take up to half a second each.
    """
    shapes = [(stylizer.CODE_SIZE,)]
    zeros, _ = model.judge(tf.zeros([1, 32, 32, 3]))
    shapes += [tuple(gram.shape[1:]) for gram in zeros]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if not path.exists():
        crops = data.crops(pictures, MEASURED_SIDE, rng, reach=(0.65, 1))
        encode = tf.function(lambda x: stylizer.encode(model.encoder, x))
        measure = tf.function(lambda x: model.judge(x)[0])
        rows = np.empty((count, sum(sizes)), np.float32)
        for row in rows:
            crop = next(crops)[None]
            small = tf.image.resize(crop, [CODED_SIDE] * 2, "area")
            parts = [encode(small), *measure(crop)]
            row[:] = np.concatenate([np.ravel(part) for part in parts])
        np.save(path, rows)
    return np.load(path, mmap_mode="r"), shapes, sizes


def batches(photos, styles, shapes, sizes, rng):
    """Yields (photos, codes, Gram matrices of each layer)."""
    while True:
        rows = styles[rng.integers(len(styles), size=BATCH)]
        others = styles[rng.integers(len(styles), size=BATCH)]
        share = rng.random((BATCH, 1)) * (rng.random((BATCH, 1)) < MIXED)
        rows = (rows + share * (others - rows)).astype(np.float32)
        parts = np.split(rows, np.cumsum(sizes)[:-1], 1)
        targets = [p.reshape(BATCH, *shape) for p, shape in zip(parts, shapes)]
        yield (np.stack([next(photos) for _ in range(BATCH)]), *targets)


def main():
    """Trains, and writes the weights that ship."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", nargs="+", required=True, help="globs")
    parser.add_argument("--paintings", nargs="+", required=True, help="globs")
    parser.add_argument("--distilled", required=True, help="distilled VGG-19, .npz")
    parser.add_argument("--exact", help="VGG-19's own kernels, for the last phase")
    parser.add_argument("--folder", type=Path, required=True, help="checkpoints, log")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--side", type=int, choices=REACH, default=192, help="of crops")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest of Adam's")
    parser.add_argument("--start", help="weights to start from, .npz")
    parser.add_argument("--styles", type=int, default=1200)
    parser.add_argument("--drawings", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    # Its own channels say little of VGG-19's here, and much in the other layers.
    distilled = teacher.Distilled(options.distilled, ("block3_conv1",))
    exact = options.exact and teacher.Exact(options.exact)
    judge = Judge(distilled, exact)
    model = Training(judge)
    if options.start:
        with np.load(options.start) as held:
            weights = [held[key].astype(np.float32) for key in held.files]
        model.decoder.set_weights(weights)
    paintings = data.read(options.paintings, 768)
    drawn = data.draw(options.drawings, options.seed, 512)
    kept = options.folder / f"styles{'_exact' if exact else ''}.npy"
    styles = collect(paintings + drawn, options.styles, model, kept, rng)
    # Paintings are contents too, for the variety that a few photos lack.
    photos = data.read(options.photos)
    share = len(photos) // 3
    contents = photos + [paintings[i] for i in rng.permutation(len(paintings))[:share]]
    crops = data.crops(contents, side := options.side, rng, reach=REACH[side])
    shapes = [(BATCH, side, side, 3), *[(BATCH, *shape) for shape in styles[1]]]
    dataset = tf.data.Dataset.from_generator(
        lambda: batches(crops, *styles, rng),
        output_signature=tuple(tf.TensorSpec(s, tf.float32) for s in shapes),
    )
    loop.train(
        model, iter(dataset.prefetch(4)), options.steps, options.rate, options.folder
    )
    values = [v.numpy().astype(np.float16) for v in model.trained]
    np.savez_compressed(options.folder / "stylizer.npz", *values)


if __name__ == "__main__":
    main()
