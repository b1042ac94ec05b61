"""The neighbour branch: finds similar spots of the painting and copies from them.

Each place of the photo, 8x8 pixels, looks for the place of the painting whose 3x3 patch
of activations is nearest by the cosine. It gets the painting's colours and activations
of all layers from there. Chen and Schmidt (2016), "Fast patch-based style transfer of
arbitrary style", https://arxiv.org/abs/1612.04337, swapped patches of one layer alone.

The places of all paintings are rows of one list; each place of the photo holds the
number of a row.
"""

import math

import keras
from keras import ops

from tf_style.fast.builtin.blocks import fold, unfold
from tf_style.networks.second_moments import CHANNELS

# Colours and layers: positions a side that a place has in each.
SIDES = (8, 4, 2, 1)
# A place is also offered what the places beside it found, moved by as much.
SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
# Number of principal components of the last two layers by which places are compared.
COMPONENTS = 32
# Weight of the finer of them: strokes rather than motifs.
FINE = 0.5
# What a distance as long as the painting costs, in units of the cosine: where many
# places are alike, neighbours in the photo then find neighbours in the painting.
DISTANCE = 0.05
# Squared length of patches that are nearly plain, and likeness below which less is
# copied: a photo of one colour resembles nothing in the painting.
FAINT, LIKE = 1.0, 0.25


def join_layers(measured):
    """Returns the last two layers as one, [B, H / 8, W / 8, C], the finer averaged."""
    *_, quarter, eighth = measured
    finer = ops.average_pool(quarter, 2, 2, data_format="channels_last")
    return ops.concatenate([FINE * finer, eighth], -1)


def keys(joined, mean, projection):
    """Returns the search keys of paintings' places, [B, H, W, D].

    The product with what `queries` returns is the cosine of 3x3 patches, less
    `DISTANCE` times the squared distance, but for what the photo's place alone adds.

    Args:
        joined: as from `join_layers`, [B, H, W, C].
        mean: the painting's mean over places, [B, 1, 1, C].
        projection: its principal components, [C, COMPONENTS].
    """
    patches = _describe(joined, mean, projection)
    size = ops.shape(joined)[1:3]
    place = _positions(size, size)
    far = ops.sum(ops.square(place), -1, keepdims=True)
    return _append(patches, [place, far])


def queries(joined, mean, projection, size, part=None):
    """Returns the search queries of photos' places, [B, H, W, D].

    Args:
        joined: as from `join_layers`, of photos.
        mean, projection: as for `keys`.
        size: height and width of the painting in places.
        part: where in a larger photo these places are, (top, left, height and width of
            the photo), in places; None: they are the whole.
    """
    patches = _describe(joined, mean, projection)
    rows, columns = ops.shape(joined)[1:3]
    if part is None:
        place = _positions((rows, columns), size)
    else:
        top, left, *whole = part
        place = _positions(whole, size)[:, top : top + rows, left : left + columns]
    nearness = ops.ones_like(place[..., :1])
    return _append(patches, [2 * DISTANCE * place, -DISTANCE * nearness])


def _describe(joined, mean, projection):
    """Returns 3x3 patches of unit length; plain ones are shorter. [B, H, W, D]."""
    x = ops.matmul(joined - mean, projection)
    height, width = ops.shape(x)[1:3]
    x = ops.concatenate([x[:, :1], x, x[:, -1:]], 1)
    x = ops.concatenate([x[:, :, :1], x, x[:, :, -1:]], 2)
    patches = [
        x[:, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
    ]
    patches = ops.concatenate(patches, -1)
    size = ops.sum(ops.square(patches), -1, keepdims=True)
    return patches * ops.rsqrt(size + FAINT)


def _positions(size, within):
    """Returns the coordinates of places, [1, H, W, 2]: 0 at the centre, length 1.

    Places outside a smaller picture `within` are mirrored into it.
    """
    length = ops.cast(ops.maximum(*within), "float32")
    axes = []
    for side, inner in zip(size, within):
        rim = (ops.cast(inner, "float32") - 1) / 2
        x = ops.arange(side, dtype="float32") - (ops.cast(side, "float32") - 1) / 2
        x = x + rim
        x = x - 4 * rim * ops.round(x / ops.maximum(4 * rim, 1e-3))
        axes.append((ops.abs(x) - rim) / length)
    return ops.stack(ops.meshgrid(*axes, indexing="ij"), -1)[None]


def _append(patches, others):
    """Appends [1, H, W, C] to each of [B, H, W, D]."""
    shape = ops.shape(patches)[:3]
    wide = [ops.broadcast_to(x, (*shape, x.shape[-1])) for x in others]
    return ops.concatenate([patches, *wide], -1)


def beside(height, width):
    """Returns the places of a painting that lie at `SHIFTS` of each, int32 [H * W, 5].

    At the rim it is the place itself.
    """
    rows = ops.arange(height, dtype="int32")[:, None]
    columns = ops.arange(width, dtype="int32")
    moved = [
        ops.clip(rows + down, 0, height - 1) * width
        + ops.clip(columns + right, 0, width - 1)
        for down, right in SHIFTS
    ]
    return ops.reshape(ops.stack(moved, -1), (-1, len(SHIFTS)))


def offers(places, neighbours):
    """Returns what each place found, and what its neighbours found, moved by one place.

    Args:
        places: rows of paintings, int32 [B, H, W].
        neighbours: as from `beside`, int32 [N, 5].

    Returns:
        A list of five as `places`, in the order of `SHIFTS`.
    """
    return [
        _shifted(ops.take(neighbours[:, index], places, axis=0), shift, places)
        for index, shift in enumerate(SHIFTS)
    ]


def cut(measured):
    """Returns colours and activations by place, a list of [B * H * W, S * S * C].

    Args:
        measured: colours and activations, as from `encoder.measure`.
    """
    values = []
    for value, side in zip(measured, SIDES, strict=True):
        squares = fold(value, side)
        values.append(ops.reshape(squares, (-1, side**2 * value.shape[-1])))
    return values


class Copy(keras.layers.Layer):
    """Mixes the transported activations with the painting's at the places found.

    Its weights are a gate for each channel, the share that is copied; and for each
    layer, the weight of what the neighbours of a place copy.
    """

    def build(self):
        """Makes the gates; coarse layers are copied most."""
        self.gates = [
            self.add_weight((channels,), keras.initializers.Constant(_logit(share)))
            for channels, share in zip(CHANNELS, (0.3, 0.5, 0.6, 0.85))
        ]
        self.spread = self.add_weight((len(CHANNELS),), "zeros")
        self.built = True

    def call(self, transported, values, neighbours, places, likeness, strength=1.0):
        """Returns colours and activations for the decoder, as `transported`.

        Args:
            transported: colours and activations of photos, a list of [B, H, W, C].
            values: as from `cut`, of all paintings, N places.
            neighbours: as from `beside`, int32 [N, 5].
            places: rows that the photos' places found, int32 [B, H / 8, W / 8].
            likeness: how similar these are, [B, H / 8, W / 8, 1].
            strength: in [0, 1], scales the gates.
        """
        found = offers(places, neighbours)
        strength = strength * ops.clip(likeness / LIKE, 0, 1)
        repeats = _repeats(places)
        mixed = []
        layers = zip(transported, values, SIDES, self.gates, strict=True)
        for index, (own, value, side, opening) in enumerate(layers):
            spread = ops.sigmoid(self.spread[index])
            first, other = (
                ops.cast(share / (1 + 4 * spread), value.dtype) for share in (1, spread)
            )
            own_find, *near = (ops.take(value, place, axis=0) for place in found)
            copied = first * own_find + other * (
                (near[0] + near[1]) + (near[2] + near[3])
            )
            copied = _without_repeats(copied, repeats, side)
            copied = ops.cast(unfold(copied, side), own.dtype)
            gate = ops.repeat(ops.repeat(strength, side, 1), side, 2)
            gate = gate * ops.sigmoid(opening)
            mixed.append(own + ops.cast(gate, own.dtype) * (copied - own))
        return mixed


def _shifted(places, shift, rim):
    """Returns the value at -shift of each place; beyond the border, that of `rim`."""
    down, right = shift
    if down > 0:
        return ops.concatenate([rim[:, :1], places[:, :-1]], 1)
    if down < 0:
        return ops.concatenate([places[:, 1:], rim[:, -1:]], 1)
    if right > 0:
        return ops.concatenate([rim[:, :, :1], places[:, :, :-1]], 2)
    if right < 0:
        return ops.concatenate([places[:, :, 1:], rim[:, :, -1:]], 2)
    return places


def _repeats(places):
    """Returns the share of neighbours that found the same place, [B, H, W, 1]."""
    same = []
    for down, right in SHIFTS[1:]:
        # Beyond the rim, as on its other side.
        mirrored = _shifted(places, (-down, -right), places)
        near = _shifted(places, (down, right), mirrored)
        same.append(ops.cast(ops.equal(near, places), "float32"))
    return ops.expand_dims(sum(same) / len(same), -1)


def _without_repeats(blocks, repeats, side):
    """Fades detail that would repeat from place to place into its mean."""
    if side == 1:
        return blocks
    count, height, width, size = ops.shape(blocks)
    x = ops.reshape(blocks, (count, height, width, side * side, size // side**2))
    repeats = ops.cast(repeats, x.dtype)[..., None]
    x = x + repeats * (ops.mean(x, 3, keepdims=True) - x)
    return ops.reshape(x, (count, height, width, size))


def _logit(share):
    return math.log(share / (1 - share))
