"""The training losses of the stylizer.

They are measured with VGG-19, as far as we have it, at the picture's size and at half
the size. Every function returns a mean over the batch, a scalar.
"""

import keras
from keras import ops

# Names of the losses, and their weights.
WEIGHTS = {
    "style": 0.5,  # Gram matrices of four layers
    "strokes": 1.5,  # earth mover's distance of activations
    "patches": 1.5,  # the same of 3x3 patches of them
    "palette": 1.0,  # the same of colours
    "layout": 1.2,  # self-similarity of the photo
    "content": 0.04,
    "even": 10.0,  # clouds in even areas of the photo
    "itself": 1.0,  # a painting painted as itself
    "checks": 20.0,  # what alternates from pixel to pixel, 1e-4 in paintings
}
NAMES = tuple(WEIGHTS)
# Positions taken by chance for the distances between all pairs.
POSITIONS = 768
LAYOUT_POSITIONS = 400
# Even areas: windows of so many pixels, in which means of smaller ones must not vary.
WINDOW, CELL = 32, 8
# Standard deviation of brightness up to which a window is even.
EVEN = 0.03
GRAM_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")
STROKE_LAYERS = ("block2_conv2", "block3_conv1", "block4_conv1")
PATCH_LAYERS = ("block2_conv2", "block3_conv3")


class Judge:
    """Measures the losses.

    Args:
        exact: `teacher.Exact`, up to block 3: against the distilled network alone a
            decoder learns to please that rather than the eye.
        distilled: `teacher.Distilled`, for block 4.
    """

    def __init__(self, exact, distilled):
        self._exact, self._distilled = exact, distilled

    def __call__(self, photo, style, painted, seeds):
        """Returns scalars by name.

        Args:
            photo, style, painted: [B, H, W, 3] in [0, 1], all of one size. The first
                photo of a batch is its style.
            seeds: a `keras.random.SeedGenerator`.
        """
        seen = [self._see(picture) for picture in (photo, style, painted)]
        small = [self._see_small(picture) for picture in (photo, style, painted)]
        _, theirs, ours = seen
        grams = [
            bounded_error(_gram(ours[name]), _gram(theirs[name]))
            for name in GRAM_LAYERS
        ]
        strokes = [
            moved_earth(*_samples(ours[name], theirs[name], 1, seeds))
            for name in STROKE_LAYERS
        ]
        patches = [
            moved_earth(*_samples(a[name], b[name], 3, seeds))
            for a, b in ((ours, theirs), (small[2], small[1]))
            for name in PATCH_LAYERS
        ]
        layout = [
            layout_error(seen[0]["block4_conv1"], ours["block4_conv1"], seeds),
            layout_error(small[0]["block3_conv3"], small[2]["block3_conv3"], seeds),
        ]
        return {
            "style": sum(grams) / len(grams),
            "strokes": sum(strokes) / len(strokes),
            "patches": sum(patches) / len(patches),
            "palette": palette_error(painted, style, seeds),
            "layout": sum(layout) / len(layout),
            "content": relative_error(ours["block4_conv2"], seen[0]["block4_conv2"]),
            "even": clouds(photo, painted),
            "itself": ops.mean(ops.abs(painted[:1] - photo[:1])),
            "checks": ops.mean(ops.square(alternating(painted))),
        }

    def _see(self, image):
        distilled = self._distilled(image, "block4_conv2")
        exact = self._exact(image, "block3_conv3")
        values = {name: distilled[name] for name in distilled if name > "block4"}
        return {name: ops.relu(value) for name, value in (values | exact).items()}

    def _see_small(self, image):
        half = ops.average_pool(image, 2, 2, data_format="channels_last")
        values = self._exact(half, "block3_conv3")
        return {name: ops.relu(value) for name, value in values.items()}


def _gram(features):
    """Mean over positions of products of channels, [B, C, C]."""
    count, height, width, channels = ops.shape(features)
    flat = ops.reshape(features, (count, height * width, channels))
    products = ops.einsum("bni,bnj->bij", flat, flat)
    return ops.cast(products, "float32") / ops.cast(height * width, "float32")


def _samples(painted, style, side, seeds):
    """Unit vectors of patches of `side` at positions by chance, [B, N, C] each.

    They are centred by the style's mean.
    """
    mean = ops.mean(style, (1, 2), keepdims=True)
    return [_units(_take(x - mean, side, POSITIONS, seeds)) for x in (painted, style)]


def _take(features, side, most, seeds):
    """Patches [B, N, side * side * C] of [B, H, W, C] at positions by chance."""
    count, height, width, channels = ops.shape(features)
    rows, columns = height - side + 1, width - side + 1
    number = min(most, rows * columns)
    chosen = keras.random.randint((number,), 0, rows * columns, seed=seeds)
    corner = chosen // columns * width + chosen % columns
    within = ops.convert_to_tensor(
        [row * width + column for row in range(side) for column in range(side)]
    )
    flat = ops.reshape(features, (count, height * width, channels))
    places = ops.reshape(corner[:, None] + ops.cast(within, corner.dtype), (-1,))
    return ops.reshape(ops.take(flat, places, axis=1), (count, number, -1))


def _units(x):
    size = ops.sum(ops.square(ops.cast(x, "float32")), -1, keepdims=True)
    return x * ops.cast(ops.rsqrt(size + 1e-6), x.dtype)


def moved_earth(ours, theirs):
    """Relaxed earth mover's distance of unit vectors [B, N, C], by the cosine.

    Kolkin et al. (2019), "STROTSS", https://arxiv.org/abs/1904.12785, eq. 5.
    """

    def distance(one, other):
        return 1 - ops.sum(ops.cast(one * other, "float32"), -1)

    return _relaxed(ours, theirs, -ops.einsum("bic,bjc->bij", ours, theirs), distance)


def palette_error(painted, style, seeds):
    """The same distance of colours of 4x4 pixels, Euclidean."""
    ours, theirs = (
        _take(ops.average_pool(x, 4, 4, data_format="channels_last"), 1, 1024, seeds)
        for x in (painted, style)
    )

    def distance(one, other):
        return ops.sqrt(ops.sum(ops.square(one - other), -1) + 1e-5)

    squares = [ops.sum(ops.square(x), -1) for x in (ours, theirs)]
    products = ops.einsum("bic,bjc->bij", ours, theirs)
    costs = squares[0][:, :, None] + squares[1][:, None] - 2 * products
    return _relaxed(ours, theirs, costs, distance)


def _relaxed(ours, theirs, costs, distance):
    """The larger of the mean distances to what is nearest.

    A minimum's own gradient compares floats for equality, which fails where they are
    computed anew with other rounding; so pairs are looked up.
    """
    nearest = [ops.argmin(ops.stop_gradient(costs), axis) for axis in (2, 1)]
    found, wanted = (
        ops.take_along_axis(x, index[..., None], axis=1)
        for x, index in zip((theirs, ours), nearest)
    )
    one = ops.mean(distance(ours, found), 1)
    return ops.mean(ops.maximum(one, ops.mean(distance(theirs, wanted), 1)))


def layout_error(photo, painted, seeds):
    """Difference of a photo's and a picture's distances between their own positions.

    Kolkin et al. (2019), eq. 6.
    """
    both = ops.concatenate([photo, painted], -1)
    both = ops.cast(_take(both, 1, LAYOUT_POSITIONS, seeds), "float32")
    distances = []
    for x in ops.split(both, 2, -1):
        x = _units(x - ops.mean(x, 1, keepdims=True))
        costs = 1 - ops.einsum("bic,bjc->bij", x, x)
        distances.append(costs / ops.sum(costs, 1, keepdims=True))
    return ops.mean(ops.sum(ops.abs(distances[0] - distances[1]), 1))


def clouds(photo, painted):
    """Variance of a picture's means of cells in the photo's even windows."""
    grey = ops.mean(photo, -1, keepdims=True)
    mean, square = (
        ops.average_pool(x, WINDOW, WINDOW, data_format="channels_last")
        for x in (grey, ops.square(grey))
    )
    deviation = ops.sqrt(ops.maximum(square - ops.square(mean), 0) + 1e-8)
    even = ops.exp(-deviation / EVEN)
    cells = ops.average_pool(painted, CELL, CELL, data_format="channels_last")
    mean, square = (
        ops.average_pool(x, WINDOW // CELL, WINDOW // CELL, data_format="channels_last")
        for x in (cells, ops.square(cells))
    )
    variance = ops.mean(square - ops.square(mean), -1, keepdims=True)
    return ops.sum(even * variance) / (ops.sum(even) + 1e-3)


def alternating(picture):
    """Convolves [B, H, W, C] with [-1, 2, -1] / 4 along rows and along columns."""
    rows = (2 * picture[:, 1:-1] - picture[:, :-2] - picture[:, 2:]) / 4
    return (2 * rows[:, :, 1:-1] - rows[:, :, :-2] - rows[:, :, 2:]) / 4


def relative_error(value, target):
    """Mean of |value - target|^2 / |target|^2."""
    return ops.mean(_square(value - target) / (_square(target) + 1e-6))


def bounded_error(value, target):
    """Mean of 2 |value - target|^2 / (|value|^2 + |target|^2)."""
    size = _square(value) + _square(target)
    return ops.mean(2 * _square(value - target) / (size + 1e-6))


def _square(values):
    """Sum of squares of each of a batch, [B]."""
    values = ops.cast(values, "float32")
    return ops.sum(ops.square(values), tuple(range(1, len(values.shape))))
