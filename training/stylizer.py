"""Trains the decoder of the built-in stylizer.

    python training/stylizer.py --photos 'photos/*.jpg' --paintings 'paintings/*.jpg' \
        --exact VGG.npz --distilled CD.npz --folder runs/stylizer

Stops and goes on: run the same command again. See README.md in this folder.
"""

import data
import loop
import numpy as np
import teacher
import tensorflow as tf

from tf_style.fast.builtin import decoder, encoder
from tf_style.networks import second_moments
from tf_style.networks.losses import gram_matrix
from tf_style.system import hardware

# A style is coded from a picture of this side, and its Gram matrices are those of one
# half as large again: what 256 pixels a shorter side are to 512 pixels a longer one.
CODED_SIDE, MEASURED_SIDE = 256, 384
CONTENT_LAYER = "block4_conv2"
STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
# Bounds of a crop's side before it is scaled, in shares of its photo's shorter side of
# about 384: most keep a photo's scale.
REACH = {128: (0.3, 0.8), 160: (0.35, 0.9), 192: (0.45, 0.95), 256: (0.6, 1)}
# Weight of the chessboard, whose mean square is 1e-4 in paintings.
CHECKS = 20.0
# Share of styles that are tiled from small copies, and of those mixed from two.
TILED, MIXED = 0.33, 0.3


class Judge:
    """What the losses are measured with: VGG-19, as far as we have it.

    Args:
        distilled: `teacher.Distilled`.
        exact: `teacher.Exact` for the styles of blocks 1 to 3: against the distilled
            network alone a decoder learns to please that rather than the eye.
    """

    def __init__(self, distilled, exact):
        self._distilled, self._exact = distilled, exact

    def __call__(self, image):
        """Returns Gram matrices of STYLE_LAYERS, and activations of CONTENT_LAYER."""
        values = self._distilled(image) | self._exact(image, "block3_conv1")
        values = {
            name: tf.cast(tf.nn.relu(values[name]), tf.float32)
            for name in (*STYLE_LAYERS, CONTENT_LAYER)
        }
        grams = [gram_matrix(values[name]) for name in STYLE_LAYERS]
        return grams, values[CONTENT_LAYER]


class Training(tf.Module):
    """Decoder, and what it must reach; see `loop.train`."""

    def __init__(self, judge, content_weight):
        policy = encoder.fastest_policy()
        self.encoder = encoder.build(policy)
        self.decoder = decoder.build(policy)
        self.judge = judge
        self.weights = {"style": 1.0, "content": content_weight, "checks": CHECKS}
        self.trained = self.decoder.trainable_variables
        self.kept = {str(i): v for i, v in enumerate(self.trained)}

    def start(self, batches):
        """Nothing is there to be fitted first."""

    def losses(self, photo, code, *targets):
        """Three scalars by name.

        style: mean over layers of 2 |G - G_s|^2 / (|G|^2 + |G_s|^2): near the goal the
            relative error, but bounded, since dark and flat styles have next to no G_s.
        content: |F - F_c|^2 / |F_c|^2.
        checks: mean square of what alternates as a chessboard does. Without it the
            decoder dithers, which Gram matrices allow.
        """
        transported, known = encoder.prepare(self.encoder, photo, code)
        _, content = self.judge(photo)
        seed = tf.random.uniform([], maxval=tf.int32.max, dtype=tf.int32)
        noise = encoder.noise(tf.shape(photo), seed)
        painted = self.decoder([*transported, *noise, known], training=True)
        grams, features = self.judge(painted)
        style = [bounded_error(g, t) for g, t in zip(grams, targets, strict=True)]
        return {
            "style": tf.add_n(style) / len(style),
            "content": relative_error(features, content),
            "checks": tf.reduce_mean(tf.square(alternating(painted))),
        }


def alternating(picture):
    """Convolves [B, H, W, C] with [-1, 2, -1] / 4 along rows and along columns."""
    rows = (2 * picture[:, 1:-1] - picture[:, :-2] - picture[:, 2:]) / 4
    return (2 * rows[:, :, 1:-1] - rows[:, :, :-2] - rows[:, :, 2:]) / 4


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

    They are kept in a file, since they take up to a tenth of a second each.
    """
    shapes = [(second_moments.CODE_SIZE,)]
    zeros, _ = model.judge(tf.zeros([1, 32, 32, 3]))
    shapes += [tuple(gram.shape[1:]) for gram in zeros]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if not path.exists():
        crops = data.crops(pictures, MEASURED_SIDE, rng, reach=(0.65, 1))
        encode = tf.function(lambda x: encoder.encode(model.encoder, x))
        measure = tf.function(lambda x: model.judge(x)[0])
        rows = np.empty((count, sum(sizes)), np.float32)
        for row in rows:
            crop = next(crops)
            crop = (data.tile(crop, rng) if rng.random() < TILED else crop)[None]
            small = tf.image.resize(crop, [CODED_SIDE] * 2, "area")
            parts = [encode(small), *measure(crop)]
            row[:] = np.concatenate([np.ravel(part) for part in parts])
        np.save(path, rows)
    return np.load(path, mmap_mode="r"), shapes, sizes


def batches(photos, styles, shapes, sizes, size, rng):
    """Yields (photos, codes, Gram matrices of each layer), `size` of each."""
    while True:
        rows = styles[rng.integers(len(styles), size=size)]
        others = styles[rng.integers(len(styles), size=size)]
        share = rng.random((size, 1)) * (rng.random((size, 1)) < MIXED)
        rows = (rows + share * (others - rows)).astype(np.float32)
        parts = np.split(rows, np.cumsum(sizes)[:-1], 1)
        targets = [p.reshape(size, *shape) for p, shape in zip(parts, shapes)]
        yield (np.stack([next(photos) for _ in range(size)]), *targets)


def main():
    """Trains, and writes the weights that ship."""
    flags = loop.parser(__doc__.splitlines()[0], steps=6000, drawings=300)
    flags.add_argument("--photos", nargs="+", required=True, help="globs")
    flags.add_argument("--paintings", nargs="+", required=True, help="globs")
    flags.add_argument("--side", type=int, choices=REACH, default=128, help="of crops")
    flags.add_argument("--batch", type=int, default=8)
    flags.add_argument("--rate", type=float, default=1.5e-3, help="highest of Adam's")
    flags.add_argument("--content_weight", type=float, default=0.1)
    flags.add_argument("--styles", type=int, default=3000)
    flags.add_argument("--start", help="weights to start from, .npz")
    options = loop.begin(flags)
    rng = np.random.default_rng(options.seed)
    dtype = hardware.fastest_dtype()
    # Its own channels say little of VGG-19's here, and much in the other layers.
    distilled = teacher.Distilled(options.distilled, ("block3_conv1",), dtype)
    exact = teacher.Exact(options.exact, dtype)
    model = Training(Judge(distilled, exact), options.content_weight)
    if options.start:
        decoder.read(model.decoder, options.start)
    paintings = data.read(options.paintings, 768)
    drawn = data.draw(options.drawings, options.seed, 512)
    kept = options.folder / "styles.npy"
    styles = collect(paintings + drawn, options.styles, model, kept, rng)
    # Paintings are contents too, for the variety that a few photos lack.
    photos = data.read(options.photos)
    share = len(photos) // 3
    contents = photos + [paintings[i] for i in rng.permutation(len(paintings))[:share]]
    crops = data.crops(contents, side := options.side, rng, reach=REACH[side])
    size = options.batch
    shapes = [(size, side, side, 3), *[(size, *shape) for shape in styles[1]]]
    dataset = tf.data.Dataset.from_generator(
        lambda: batches(crops, *styles, size, rng),
        output_signature=tuple(tf.TensorSpec(s, tf.float32) for s in shapes),
    )
    loop.train(
        model, iter(dataset.prefetch(4)), options.steps, options.rate, options.folder
    )
    values = [v.numpy().astype(np.float16) for v in model.trained]
    np.savez_compressed(options.folder / "stylizer.npz", *values)


if __name__ == "__main__":
    main()
