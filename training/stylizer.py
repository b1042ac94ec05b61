"""Trains the decoder of the built-in stylizer.

    KERAS_BACKEND=jax python training/stylizer.py --photos 'photos/*.jpg' \
        --paintings 'paintings/*.jpg' --exact VGG.npz --distilled CD.npz \
        --folder runs/stylizer

It runs on any Keras backend. To continue an interrupted run, run the same command
again. See README.md in this folder.
"""

import contextlib
import itertools
import math
import time

import commands
import data
import keras
import losses
import numpy as np
import teacher
from keras import ops

from tf_style.fast.builtin import decoder, encoder, neighbours
from tf_style.networks import matrix_power, second_moments

WARMUP = 200
# Gradients of a batch with an odd picture in it can be a hundred times the usual.
CLIP_NORM = 1.0
# Of the moving average of the weights, which ships.
AVERAGE = 0.998
# Bounds of a crop's side, as shares of its picture's shorter one of about 400 pixels.
REACH = (0.6, 1)
# Crops of paintings from which the principal components of activations are found.
COMPONENT_CROPS = 96


class Painter(keras.Model):
    """Encoder, neighbour branch and decoder; a picture's losses beside it.

    Args:
        judge: a `losses.Judge`.
        projection: see `neighbours.keys`.
        weights: a number for each loss by its name.
    """

    def __init__(self, judge, projection, weights=losses.WEIGHTS):
        super().__init__()
        policy = "mixed_bfloat16"
        self.encoder = encoder.build(policy)
        self.decoder = decoder.build(policy)
        self.copy = neighbours.Copy()
        self.copy.build()
        self.judge = judge
        self.projection = ops.convert_to_tensor(projection)
        # Variables, so that what is tried need not be compiled anew.
        self.importance = self.add_weight(
            (len(losses.NAMES),), "zeros", trainable=False, name="importance"
        )
        self.importance.assign([weights[name] for name in losses.NAMES])
        self.seeds = keras.random.SeedGenerator(1)
        self.means = [keras.metrics.Mean(name) for name in losses.NAMES]
        self.built = True

    def call(self, pictures, training=False):
        """Paints crops of photos in crops of styles.

        Args:
            pictures: uint8 [B, side, side, 3] each.

        Returns:
            Photos, styles and pictures, [B, side, side, 3] in [0, 1]. The first photo
            is its style.
        """
        photo, style = (vary_colours(x, self.seeds) for x in pictures)
        photo = ops.concatenate([style[:1], photo[1:]])
        theirs = encoder.measure(self.encoder, style)
        code = encoder.moments(theirs)
        with roots():
            colours = encoder.recolour(photo, code)
            own = [colours, *encoder.transport(self.encoder, colours, code)]
        values = [ops.cast(value, "bfloat16") for value in neighbours.cut(theirs)]
        height, width = theirs[-1].shape[1:3]
        beside = neighbours.beside(height, width)
        places, likeness = self._find(own, theirs, beside)
        first = height * width * ops.arange(ops.shape(photo)[0], dtype="int32")
        places = places + first[:, None, None]
        beside = ops.reshape(beside + first[:, None, None], (-1, beside.shape[-1]))
        mixed = self.copy(own, values, beside, places, likeness)
        noise = encoder.noise(ops.shape(photo), self.seeds)
        known = second_moments.statistics(code)
        inputs = [*mixed, *noise, *encoder.edges(photo), likeness, known]
        return photo, style, self.decoder(inputs, training=training)

    def _find(self, own, theirs, beside):
        """Returns places, int32 [B, H, W], and likeness, [B, H, W, 1].

        See `network.Network.find`; rows count those of each one's own painting.
        """
        joined = neighbours.join_layers(theirs)
        mean = ops.mean(joined, (1, 2), keepdims=True)
        keys = neighbours.keys(joined, mean, self.projection)
        queries = neighbours.queries(
            neighbours.join_layers(own), mean, self.projection, joined.shape[1:3]
        )
        count, height, width, size = ops.shape(queries)
        keys, queries = (
            ops.cast(ops.reshape(x, (count, -1, size)), "bfloat16")
            for x in (keys, queries)
        )
        products = ops.matmul(queries, ops.swapaxes(keys, 1, 2))
        shape = (count, height, width)
        searched = ops.reshape(ops.cast(ops.argmax(products, -1), "int32"), shape)
        _, *offered = neighbours.offers(searched, beside)
        offered = ops.reshape(ops.stack(offered, -1), (count, height * width, -1))
        rated = ops.take_along_axis(products, offered, -1)
        taken = ops.take_along_axis(offered, ops.argmax(rated, -1)[..., None], -1)
        white = (ops.arange(height)[:, None] + ops.arange(width)) % 2 == 0
        places = ops.where(white, searched, ops.reshape(taken, shape))
        at = ops.reshape(places, (count, height * width, 1))
        likeness = ops.cast(ops.take_along_axis(products, at, -1), "float32")
        return places, ops.reshape(likeness, (*shape, 1))

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        """Returns the sum of weighted losses of the pictures painted."""
        terms = self.judge(*y_pred, self.seeds)
        for mean, name in zip(self.means, losses.NAMES, strict=True):
            mean.update_state(terms[name])
        found = ops.stack([terms[name] for name in losses.NAMES])
        return ops.sum(found * self.importance)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the means of losses by name."""
        return {mean.name: mean.result() for mean in self.means}

    @property
    def metrics(self):
        """The means of losses."""
        return self.means

    def start(self, path):
        """Takes the weights of a file, of this network or of one that it grew from."""
        with np.load(path) as held:
            old = [held[key].astype(np.float32) for key in held.files]
        if len(old) < len(self.decoder.get_weights()):
            grow(self.decoder, old)
        else:
            components = decoder.read(self.decoder, self.copy, path)
            self.projection = ops.convert_to_tensor(components)

    def weights_to_ship(self):
        """Returns what the package holds, arrays in its order."""
        held = [*self.decoder.get_weights(), *self.copy.get_weights()]
        return [*held, np.asarray(self.projection)]


def roots():
    """Square roots by products of matrices, but for TensorFlow on a processor."""
    fast = keras.backend.backend() == "tensorflow"
    return contextlib.nullcontext() if fast else matrix_power.products_only()


def vary_colours(pictures, seeds):
    """Changes gamma, contrast, saturation and the order of channels of every second.

    Args:
        pictures: uint8 [B, H, W, 3].
        seeds: a `keras.random.SeedGenerator`.

    Returns:
        [B, H, W, 3] in [0, 1].
    """
    count = ops.shape(pictures)[0]
    shape = (count, 1, 1, 1)
    normal, uniform = keras.random.normal, keras.random.uniform
    plain = ops.cast(pictures, "float32") / 255
    x = ops.power(plain + 1e-4, ops.exp(0.3 * normal(shape, seed=seeds)))
    grey = ops.mean(x, -1, keepdims=True)
    x = grey + (x - grey) * uniform(shape, 0, 1.6, seed=seeds)
    x = 0.5 + (x - 0.5) * uniform(shape, 0.6, 1.3, seed=seeds)
    x = x + 0.05 * normal((count, 1, 1, 3), seed=seeds)
    orders = np.float32([np.eye(3)[list(p)] for p in itertools.permutations(range(3))])
    order = keras.random.randint((count,), 0, len(orders), seed=seeds)
    x = ops.einsum(
        "bhwi,bij->bhwj", x, ops.take(ops.convert_to_tensor(orders), order, 0)
    )
    varied = uniform(shape, seed=seeds) < 0.5
    return ops.clip(ops.where(varied, x, plain), 0, 1)


class Crops(keras.utils.PyDataset):
    """Photos and styles, uint8 [B, side, side, 3] each, whose numbers name them.

    Attributes:
        first: number of the first batch that a training takes.
    """

    # Keras takes a finite data set from its start again whenever it has saved.
    num_batches = None

    def __init__(self, contents, styles, options, **kwargs):
        super().__init__(**kwargs)
        self._contents, self._styles, self._options = contents, styles, options
        self.first = 0

    def __getitem__(self, index):
        rng = np.random.default_rng([self._options.seed, self.first + index])
        side, size = self._options.side, range(self._options.batch)
        photos = [
            data.crop(data.pick(self._contents, rng), side, rng, REACH) for _ in size
        ]
        styles = [
            data.crop(data.pick(self._styles, rng), side, rng, REACH) for _ in size
        ]
        styles = [
            data.tile(style, rng) if rng.random() < data.TILED else style
            for style in styles
        ]
        return (np.stack(photos), np.stack(styles)), np.zeros(len(photos), np.float32)


def prepare(options):
    """Reads and draws the pictures, and returns their `Crops`."""
    paintings, photos = data.read(options.paintings), data.read(options.photos)
    drawn = data.draw(options.drawings, options.seed, 512)
    return Crops(
        [(photos, 0.7), (paintings, 0.25), (drawn, 0.05)],
        [(paintings, 0.8), (drawn, 0.2)],
        options,
        workers=options.workers,
        max_queue_size=4 * options.workers,
    )


def components(network, crops):
    """Returns the principal components of what places are compared by."""
    show = np.concatenate([x[1] for x in crops]) / np.float32(255)
    joined = [
        np.asarray(neighbours.join_layers(encoder.measure(network, show[i : i + 8])))
        for i in range(0, len(show), 8)
    ]
    # Each painting's mean counts for nothing.
    centred = [x - x.mean((1, 2), keepdims=True) for x in joined]
    flat = np.concatenate([x.reshape(-1, x.shape[-1]) for x in centred])
    _, vectors = np.linalg.eigh(flat.T @ flat)
    return np.ascontiguousarray(vectors[:, : -neighbours.COMPONENTS - 1 : -1])


class SoundAdam(keras.optimizers.Adam):
    """Adam that takes no step from gradients which are no finite numbers."""

    def apply(self, grads, trainable_variables=None):
        """Called by Keras."""
        sound = ops.all(ops.stack([ops.all(ops.isfinite(grad)) for grad in grads]))
        grads = [ops.where(sound, grad, ops.zeros_like(grad)) for grad in grads]
        return super().apply(grads, trainable_variables)


class Keep(keras.callbacks.Callback):
    """Sets the rate, prints the losses and writes the weights.

    The rate warms up, then falls as a cosine until the steps are made or the time is
    up, whichever is first.
    """

    def __init__(self, path, crops, options):
        super().__init__()
        self._path, self._crops, self._options = path, crops, options
        self._began = None

    def on_train_begin(self, logs=None):
        """Called by Keras, once the last checkpoint is restored."""
        self._crops.first = self._steps()

    def on_epoch_begin(self, epoch, logs=None):
        """Called by Keras."""
        falling = (1 + math.cos(math.pi * min(self._done(), 1))) / 2
        warm = min(1, (self._steps() + self._options.checkpoint_every) / WARMUP)
        self.model.optimizer.learning_rate = self._options.rate * max(
            warm * falling, 0.01
        )

    def on_epoch_end(self, epoch, logs=None):
        """Called by Keras."""
        if self._began is None:  # Before, there was something to compile.
            self._began = time.monotonic()
        seconds = time.monotonic() - self._began
        values = " ".join(f"{name} {value:.4f}" for name, value in logs.items())
        print(f"{self._steps()} {seconds:.0f} s {values}", flush=True)
        np.savez(self._path, *map(_half, self.model.weights_to_ship()))
        self.model.stop_training = self._done() >= 1

    def _steps(self):
        return int(self.model.optimizer.iterations)

    def _done(self):
        """Share of the steps or of the time, in [0, 1] and beyond."""
        steps = self._steps() / self._options.steps
        if self._began is None:
            return steps
        spent = (time.monotonic() - self._began) / (60 * self._options.minutes)
        return max(steps, spent)


def _half(array):
    return np.asarray(array).astype(np.float16)


def fit(model, crops, options, path):
    """Trains a model on crops, and leaves the average of its weights in it."""
    optimizer = SoundAdam(
        options.rate, global_clipnorm=CLIP_NORM, use_ema=True, ema_momentum=AVERAGE
    )
    # XLA has no fast convolutions for processors.
    model.compile(optimizer, jit_compile=keras.backend.backend() != "tensorflow")
    model.fit(
        crops,
        epochs=options.steps // options.checkpoint_every,
        steps_per_epoch=options.checkpoint_every,
        shuffle=False,
        verbose=0,
        callbacks=[
            # Kept at the end too, so that more steps can be added.
            keras.callbacks.BackupAndRestore(
                path.parent / "backup", delete_checkpoint=False
            ),
            Keep(path.with_suffix(".last.npz"), crops, options),
        ],
    )
    np.savez_compressed(path, *map(_half, model.weights_to_ship()))


def grow(network, old):
    """Starts a decoder from one of fewer channels and layers, as far as that goes.

    New channels start at random and are not listened to yet; new layers add nothing.
    """
    pairs = list(zip(old[::2], old[1::2], strict=True))
    kinds = keras.layers.Conv2D, decoder.Modulate, keras.layers.Dense
    convolutions, modulations, dense = (
        [layer for layer in network.layers if isinstance(layer, kind)] for kind in kinds
    )
    kernels = [pair for pair in pairs if pair[0].ndim == 4]
    maps = [pair for pair in pairs if pair[0].ndim == 2]
    for layer in dense:
        layer.set_weights(maps.pop(0))
    if added := len(convolutions) - len(kernels):
        # One more refinement stands before the last two layers.
        last = convolutions[-3]
        last.set_weights([0 * weight for weight in last.get_weights()])
        del convolutions[-2 - added : -2], modulations[-1 - added : -1]
    for layer, (kernel, bias) in zip(convolutions, kernels, strict=True):
        new_kernel, new_bias = layer.get_weights()
        _, _, inputs, outputs = kernel.shape
        new_kernel[:, :, inputs:, :outputs] = 0
        new_kernel[:, :, :inputs, :outputs] = kernel
        new_bias[:outputs] = bias
        layer.set_weights([new_kernel, new_bias])
    for layer, pair in zip(modulations, maps, strict=True):
        both = layer.get_weights()
        for new, held in zip(both, pair):
            half, size = new.shape[-1] // 2, held.shape[-1] // 2
            new[..., :size], new[..., half : half + size] = np.split(held, 2, -1)
        layer.set_weights(both)


def main():
    """Trains, and writes the weights that ship."""
    flags = commands.parser(__doc__.splitlines()[0], steps=6000, drawings=200)
    flags.add_argument("--photos", nargs="+", required=True, help="globs")
    flags.add_argument("--paintings", nargs="+", required=True, help="globs")
    flags.add_argument(
        "--minutes",
        type=float,
        default=600,
        help="stop after these, counted from each start",
    )
    flags.add_argument(
        "--checkpoint_every", type=int, default=50, help="steps, a divisor of --steps"
    )
    flags.add_argument("--side", type=int, default=256, help="of crops")
    flags.add_argument("--batch", type=int, default=16)
    flags.add_argument("--rate", type=float, default=1e-3, help="highest of Adam's")
    flags.add_argument("--workers", type=int, default=2, help="threads that crop")
    flags.add_argument("--weights", nargs="*", default=[], help="as in layout=2")
    flags.add_argument("--start", help="weights to start from, .npz")
    options = commands.begin(flags)
    if options.steps % options.checkpoint_every:
        flags.error(
            f"--steps={options.steps} is no multiple of "
            f"--checkpoint_every={options.checkpoint_every}"
        )
    crops = prepare(options)
    shown = [
        crops[options.steps + i] for i in range(-(-COMPONENT_CROPS // options.batch))
    ]
    exact = teacher.Exact(options.exact, "bfloat16")
    judge = losses.Judge(exact, teacher.Distilled(options.distilled, (), "bfloat16"))
    given = dict(pair.split("=") for pair in options.weights)
    weights = losses.WEIGHTS | {name: float(value) for name, value in given.items()}
    model = Painter(judge, components(encoder.build(), [x for x, _ in shown]), weights)
    if options.start:
        model.start(options.start)
    fit(model, crops, options, options.folder / "stylizer.npz")


if __name__ == "__main__":
    main()
