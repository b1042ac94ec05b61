"""Distils VGG-19 into the built-in backbone.

    python training/distill.py --pictures 'photos/*.jpg' --exact VGG.npz \
        --distilled CD.npz --folder runs/backbone

First, every layer is fitted by least squares, from the bottom up, to the teacher's
channels that explain the others best. Then all are trained together. To continue an
interrupted run, run the same command again. See README.md in this folder.
"""

import commands
import data
import keras
import loop
import numpy as np
import teacher
import tensorflow as tf

from tf_style.networks import small_vgg
from tf_style.networks.losses import gram_matrix

# The student sees VGG-19's input (BGR, 0..255, less the means) over this, which comes
# to about unit variance; `export` moves it into the first kernel.
INPUT_SCALE = 60.0
BATCH = 8
SIDE = 96
LEARNING_RATE = 3e-4
# Logarithms of distances are far noisier than the relative errors.
WEIGHTS = {"features": 1.0, "grams": 0.5, "distances": 0.1}
# Batches that each block is fitted to: deeper ones have fewer positions in a picture.
FITTED_TO = (4, 8, 16, 48, 96)
# A channel that fires at a smaller share of positions counts as dead.
RARE = 1e-3
# Weight of the prior in least squares, relative to the mean square of the inputs.
RIDGE = 1e-4


class Distillation(tf.Module):
    """Student, the maps that compare it with its teachers, and what it must reach.

    See `loop.train`.
    """

    def __init__(self, exact, distilled):
        self.exact, self.distilled, self.weights = exact, distilled, WEIGHTS
        self.student = small_vgg.build()
        self.layers = small_vgg.LAYERS
        outputs = {name: self.student.get_layer(name).output for name in self.layers}
        self.measure = keras.Model(self.student.input, outputs)
        # Root mean square of the teacher's activations, which range from 1 to 1000.
        self.units = {name: tf.Variable(1.0, trainable=False) for name in self.layers}
        # Logarithm of the factor from the student's style distances to the teacher's.
        self.scales = {name: tf.Variable(0.0) for name in self.layers}
        self.maps = {}
        for name, target in self.teach(tf.zeros([1, 32, 32, 3])).items():
            self.maps[name] = keras.layers.Conv2D(target.shape[-1], 1)
            self.maps[name].build(outputs[name].shape)

    def teach(self, image):
        """Activations to imitate: exact where we have them, distilled above."""
        values = self.distilled(image) | self.exact(image)
        return {name: tf.nn.relu(v) / self.units[name] for name, v in values.items()}

    def student_features(self, image):
        """Activations of the student for [B, H, W, 3] in [0, 1]."""
        return self.measure(shown(image))

    def losses(self, image):
        """Means over layers of three errors, as scalars by name.

        features: of the student's activations, mapped to the teacher's; relative.
        grams: of the Gram matrices of these; relative.
        distances: of the logarithms of style distances between the batch's pictures,
            measured on the student's own Gram matrices, without the map.
        """
        taught, own = self.teach(image), self.student_features(image)
        terms = {"features": [], "grams": [], "distances": []}
        for name in self.layers:
            target, mapped = taught[name], self.maps[name](own[name])
            terms["features"].append(relative_error(mapped, target))
            grams = gram_matrix(mapped), gram_matrix(target)
            terms["grams"].append(relative_error(*grams))
            gaps = self._distance_gaps(name, own[name], target)
            terms["distances"].append(tf.reduce_mean(tf.square(gaps)))
        return {name: tf.add_n(values) / len(values) for name, values in terms.items()}

    def _distance_gaps(self, name, own, taught):
        distances = [log_distances(gram_matrix(f)) for f in (own, taught)]
        return distances[0] - distances[1] + self.scales[name]

    def start(self, batches):
        """Sets every layer, its map, unit and scale by least squares, bottom up."""
        for name in self.layers:
            few = [next(batches)[0] for _ in range(FITTED_TO[int(name[5]) - 1])]
            self._fit_layer(name, few)
            self._fit_map(name, few)
            print(f"fitted {name}", flush=True)

    def _fit_layer(self, name, batches):
        """Fits a layer to the teacher's values before ReLU, given the layers below."""
        layer = self.student.get_layer(name)
        below = tf.function(keras.Model(self.student.input, layer.input))
        taught = tf.function(self._values)
        values = [taught(image, name) for image in batches]
        channels = choose(sum(outer(tf.nn.relu(v)) for v in values), layer.filters)
        inputs, targets = 0.0, 0.0
        for image, value in zip(batches, values):
            patches = tf.image.extract_patches(
                below(shown(image)), [1, 3, 3, 1], [1] * 4, [1] * 4, "SAME"
            )
            wanted = tf.gather(value, channels, axis=-1)
            wanted /= tf.sqrt(tf.reduce_mean(tf.square(wanted)))
            inputs += outer(with_ones(patches))
            targets += outer(with_ones(patches), wanted)
        solution = solve(inputs, targets)
        # Channels beyond what the teacher has alive keep their random start.
        kernel, bias = layer.get_weights()
        count = len(channels)
        kernel[..., :count] = solution[:-1].reshape(*kernel.shape[:3], count)
        bias[:count] = solution[-1]
        layer.set_weights([kernel, bias])

    def _values(self, image, name):
        if name in self.exact.layers:
            return self.exact(image, name)[name]
        return self.distilled(image)[name]

    def _fit_map(self, name, batches):
        """Fits the map from the student's activations to the teacher's."""
        inputs, targets, squares, pairs = 0.0, 0.0, [], []
        taught, own = tf.function(self._values), tf.function(self.student_features)
        for image in batches:
            target = tf.nn.relu(taught(image, name))
            features = own(image)[name]
            inputs += outer(with_ones(features))
            targets += outer(with_ones(features), target)
            squares.append(tf.reduce_mean(tf.square(target)))
            pairs.append((features, target))
        unit = tf.sqrt(tf.reduce_mean(squares))
        self.units[name].assign(unit)
        solution = solve(inputs, targets / unit)
        self.maps[name].set_weights([solution[None, None, :-1], solution[-1]])
        gaps = [self._distance_gaps(name, f, t / unit) for f, t in pairs]
        self.scales[name].assign_sub(tf.reduce_mean(gaps))

    def revive(self, batches):
        """Turns around channels that hardly fire, and takes their say further up.

        They then fire where their value is below its mean, at half the others' size.
        """
        batches = [next(batches)[0] for _ in range(FITTED_TO[-1])]
        for name, above in zip(self.layers, [*self.layers[1:], None]):
            layer = self.student.get_layer(name)
            below = tf.function(keras.Model(self.student.input, layer.input))
            kernel, bias = layer.get_weights()
            values = []
            for image in batches:
                value = tf.nn.conv2d(below(shown(image)), kernel, 1, "SAME") + bias
                values.append(tf.reshape(value, [-1, len(bias)]).numpy())
            values = np.concatenate(values)
            dead = (values > 0).mean(0) < RARE
            size = np.sqrt((np.maximum(values[:, ~dead], 0) ** 2).mean())
            factor = size / 2 / np.maximum(values.std(0), 1e-6)
            kernel = np.where(dead, -kernel * factor, kernel)
            bias = np.where(dead, (values.mean(0) - bias) * factor, bias)
            layer.set_weights([kernel, bias])
            if above and dead.any():
                kernel, bias = self.student.get_layer(above).get_weights()
                kernel[:, :, dead] = 0
                self.student.get_layer(above).set_weights([kernel, bias])
            print(f"{name}: {dead.sum()} channels revived", flush=True)

    @property
    def trained(self):
        """The variables to train."""
        maps = [v for layer in self.maps.values() for v in layer.trainable_variables]
        return [*self.student.trainable_variables, *maps, *self.scales.values()]

    @property
    def kept(self):
        """What a checkpoint holds."""
        maps = {k: v.trainable_variables for k, v in self.maps.items()}
        student = self.student.trainable_variables
        return [student, maps, self.scales, self.units]


def export(model, path):
    """Writes the student's weights as float16, at the scale of VGG-19's activations.

    A layer's factor makes its style distances, as means over pairs of channels, come to
    VGG-19's, so that the weights of losses mean the same with either backbone. Above
    block 3 the distilled teacher has a scale of its own; there the factors give
    activations the size of block3_conv1's.
    """
    arrays, below = {}, INPUT_SCALE
    for name in model.layers:
        known = name if name in model.exact.layers else "block3_conv1"
        kernel, bias = model.student.get_layer(name).get_weights()
        factor = float(model.units[known]) * np.exp(float(model.scales[name]) / 4)
        factor *= (len(bias) / model.maps[name].filters) ** 0.5
        arrays[f"{name}/kernel"] = (kernel * (factor / below)).astype(np.float16)
        arrays[f"{name}/bias"] = (bias * factor).astype(np.float16)
        below = factor
    np.savez_compressed(path, **arrays)


def shown(image):
    """Turns [B, H, W, 3] in [0, 1] into what the student sees."""
    return keras.applications.vgg19.preprocess_input(image * 255) / INPUT_SCALE


def with_ones(features):
    """Appends a channel of ones, for the bias."""
    return tf.concat([features, tf.ones_like(features[..., :1])], -1)


def outer(features, others=None):
    """Sums the products of channels over all positions, [C, C'] in float64."""
    others = features if others is None else others
    flat, other = (tf.reshape(f, [-1, f.shape[-1]]) for f in (features, others))
    return tf.matmul(flat, other, transpose_a=True).numpy().astype(np.float64)


def solve(inputs, targets):
    """Solves least squares from sums of products, with a little ridge."""
    ridge = RIDGE * np.trace(inputs) / len(inputs) * np.eye(len(inputs))
    return np.linalg.solve(inputs + ridge, np.asarray(targets)).astype(np.float32)


def choose(products, count):
    """Chooses the channels that explain all others best, greedily.

    Args:
        products: sums of products of channels, [C, C].
        count: how many at most; dead channels are never chosen.
    """
    # Every channel counts alike, however strong.
    scale = np.sqrt(np.maximum(np.diag(products), 1e-9 * np.trace(products)))
    left, chosen = products / np.outer(scale, scale), []
    while len(chosen) < count and np.diag(left).max() > 1e-3:
        alive = np.maximum(np.diag(left), 1e-3)
        best = int(np.argmax((left**2).sum(0) / alive * (np.diag(left) > 1e-3)))
        left = left - np.outer(left[:, best], left[best]) / left[best, best]
        chosen.append(best)
    return chosen


def relative_error(value, target):
    """Mean over the batch of |value - target|^2 / |target|^2."""
    axes = list(range(1, len(target.shape)))
    error = tf.reduce_sum(tf.math.squared_difference(value, target), axes)
    return tf.reduce_mean(error / (tf.reduce_sum(tf.square(target), axes) + 1e-6))


def log_distances(grams):
    """Logarithms of squared distances of all pairs of [B, C, C], as a vector."""
    gaps = tf.math.squared_difference(grams[:, None], grams[None])
    distances = tf.reduce_sum(gaps, [2, 3])
    pairs = np.stack(np.triu_indices(grams.shape[0], k=1), 1)
    return tf.math.log(tf.gather_nd(distances, pairs) + 1e-9)


def pictures(patterns, drawn, seed):
    """Yields batches, alone in a tuple: five eighths from files, the others drawn."""
    files, drawings = data.read(patterns), data.draw(drawn, seed)
    rng = np.random.default_rng(seed)
    sources = [data.crops(files, SIDE, rng), data.crops(drawings, SIDE, rng)]
    dataset = tf.data.Dataset.from_generator(
        lambda: ((b,) for b in data.batches(sources, (0.625, 0.375), BATCH)),
        output_signature=(tf.TensorSpec([BATCH, SIDE, SIDE, 3], tf.float32),),
    )
    return iter(dataset.prefetch(4))


def main():
    """Trains, and writes the weights that ship."""
    flags = commands.parser(__doc__.splitlines()[0], steps=1400, drawings=400)
    flags.add_argument("--pictures", nargs="+", required=True, help="globs")
    options = commands.begin(flags)
    exact = teacher.Exact(options.exact)
    model = Distillation(exact, teacher.Distilled(options.distilled))
    batches = pictures(options.pictures, options.drawings, options.seed)
    loop.train(model, batches, options.steps, LEARNING_RATE, options.folder)
    model.revive(batches)
    export(model, options.folder / "small_vgg.npz")


if __name__ == "__main__":
    main()
