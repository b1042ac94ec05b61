"""The networks of the stylizer, and how they are joined."""

from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from tf_style.fast.builtin import decoder, encoder, neighbours
from tf_style.networks import keras_settings, second_moments

# As `decoder.read` takes it.
WEIGHTS = Path(__file__).with_name("stylizer.npz")
# Products of queries and keys that are held at once: 16 MB in bfloat16.
PRODUCTS = 1 << 23
# How strongly shares of several styles are enforced: steps, and the difference of
# cosines that counts.
SHARE_STEPS, SHARE_WIDTH = 20, 0.03


class Painting(NamedTuple):
    """A style prepared for painting. It has N places of 8x8 pixels."""

    moments: tf.Tensor  # [1, CODE_SIZE]
    mean: tf.Tensor  # see `neighbours.keys`
    keys: tf.Tensor  # [N, D]
    size: tf.Tensor  # height and width in places, int32 [2]
    values: list[tf.Tensor]  # see `neighbours.cut`
    beside: tf.Tensor  # int32 [N, 5]


class Found(NamedTuple):
    """The most similar place of the paintings, for each place of a photo."""

    places: tf.Tensor  # rows of all paintings' values, int32 [B, H / 8, W / 8]
    likeness: tf.Tensor  # [B, H / 8, W / 8, 1]


class Network:
    """Encoder, neighbour branch and decoder.

    Args:
        policy: Keras' dtype policy to compute with.
        pieces: whether memory of the search is bounded, for a loop in the graph.
    """

    def __init__(self, policy, pieces=True):
        self._pieces = pieces
        with keras_settings.defaults():
            self.encoder = encoder.build(policy)
            self.decoder = decoder.build(policy, start="zeros")
            self.copy = neighbours.Copy()
            self.copy.build()
        self._projection = decoder.read(self.decoder, self.copy, WEIGHTS)
        fast = "bfloat16" in policy
        # Keys are kept in the first, and values in the second, whose sums are nearly
        # twice as fast.
        self._dtype = tf.bfloat16 if fast else tf.float32
        self._values_dtype = tf.float16 if fast else tf.float32

    @property
    def variables(self):
        """All weights of these networks."""
        parts = (self.encoder, self.decoder, self.copy)
        return [variable for part in parts for variable in part.variables]

    def look(self, style):
        """Returns the `Painting` of [1, H, W, 3] in [0, 1], sides multiples of 8."""
        measured = encoder.measure(self.encoder, style)
        joined = neighbours.join_layers(measured)
        mean = tf.reduce_mean(joined, [1, 2], keepdims=True)
        keys = neighbours.keys(joined, mean, self._projection)
        size = tf.shape(joined)[1:3]
        return Painting(
            encoder.moments(measured),
            mean,
            tf.cast(tf.reshape(keys, [-1, keys.shape[-1]]), self._dtype),
            size,
            [tf.cast(value, self._values_dtype) for value in neighbours.cut(measured)],
            neighbours.beside(size[0], size[1]),
        )

    def _queries(self, transported, painting, part=None):
        size = tf.unstack(painting.size)
        joined = neighbours.join_layers(transported)
        queries = neighbours.queries(
            joined, painting.mean, self._projection, size, part
        )
        return tf.cast(queries, self._dtype)

    def find(self, transported, paintings, part=None):
        """Looks for each place in each painting.

        Every other place, as on a chessboard, searches all of the painting. Those
        between choose from what the places beside them found, as in PatchMatch (Barnes
        et al. 2009). It takes half the time, and keeps strokes together.

        Args:
            transported: colours and activations of photos.
            paintings: a list of K.
            part: see `neighbours.queries`.

        Returns:
            A `Found` for each painting, whose places count its own rows alone.
        """
        top, left = (0, 0) if part is None else part[:2]
        shape = tf.shape(transported[-1])[:3]
        rows, columns = tf.range(shape[1]) + top, tf.range(shape[2]) + left
        white = tf.broadcast_to((rows[:, None] + columns) % 2 == 0, shape)
        found = []
        for painting in paintings:
            queries = self._queries(transported, painting, part)
            queries = tf.reshape(queries, [-1, queries.shape[-1]])
            found.append(self._find_in(painting, queries, white))
        return found

    def _find_in(self, painting, queries, white):
        """Searches for the queries [P, D] of white places; the others choose.

        Args:
            painting: a `Painting`.
            queries: of all places, in reading order.
            white: bool [B, H, W].

        Returns:
            A `Found` of [B, H, W].
        """
        searching, between = _rows(white), _rows(~white)
        search = _nearest_in_pieces if self._pieces else _nearest
        places, likeness = search(tf.gather(queries, searching), painting.keys)
        # At the border, the last result before it stands in for a neighbour.
        last = tf.maximum(_count(white) - 1, 0)
        _, *offered = neighbours.offers(tf.gather(places, last), painting.beside)
        offered = tf.gather(tf.reshape(tf.stack(offered, -1), [-1, 4]), between)
        products = _products(
            tf.gather(queries, between)[:, None], painting.keys, offered
        )
        best = tf.argmax(products, 1, output_type=tf.int32)
        chosen = tf.gather(offered, best, batch_dims=1)
        near = tf.gather(products, best, batch_dims=1)
        order = tf.where(white, last, tf.size(places) + _count(~white) - 1)
        return Found(
            tf.gather(tf.concat([places, chosen], 0), order),
            tf.gather(tf.concat([likeness, near], 0), order)[..., None],
        )

    def rate(self, transported, paintings, places):
        """Returns the likeness, as in `Found`, of given places.

        Args:
            transported, paintings: as of `find`.
            places: rows of all paintings, int32 [B, H / 8, W / 8].

        Returns:
            [B, H / 8, W / 8, 1]; -1 where a place is none.
        """
        best, first = tf.fill(tf.shape(places), -1.0), 0
        for painting in paintings:
            count = tf.shape(painting.keys)[0]
            own_rows = tf.clip_by_value(places - first, 0, count - 1)
            queries = self._queries(transported, painting)
            products = _products(queries, painting.keys, own_rows)
            own = (places >= first) & (places < first + count)
            best = tf.where(own, products, best)
            first += count
        return best[..., None]

    def show(self, transported, paintings, found, others, code, strength=1.0):
        """Returns the decoder's inputs.

        Args:
            transported: colours and activations of B photos, or of B tiles of one.
            paintings: a list of `Painting`.
            found: in them, a `Found`.
            others: maps of noise, and `encoder.edges` of the photos.
            code: moments to reach, [B, CODE_SIZE], or [1, CODE_SIZE] for all.
            strength: in [0, 1], how much is copied.
        """
        mixed = self._mix(transported, paintings, found, strength)
        known = second_moments.statistics(code)
        tiles = tf.shape(transported[0])[0] // tf.shape(known)[0]
        return [*mixed, *others, found.likeness, tf.repeat(known, tiles, 0)]

    def _mix(self, transported, paintings, found, strength):
        first, beside = 0, []
        for painting in paintings:
            beside.append(painting.beside + first)
            first += tf.shape(painting.beside)[0]
        values = [tf.concat(each, 0) for each in zip(*(p.values for p in paintings))]
        beside = tf.concat(beside, 0)
        strength = tf.convert_to_tensor(strength, tf.float32)
        return self.copy(transported, values, beside, *found, strength)


def choose(found, paintings, shares):
    """Chooses a painting for each place, so that each painting gets its share.

    Args:
        found: as from `Network.find`.
        paintings: those searched.
        shares: of each, all together 1.

    Returns:
        One `Found`.
    """
    if len(found) == 1:
        return found[0]
    sizes = [tf.shape(painting.beside)[0] for painting in paintings]
    firsts = [sum(sizes[:index], 0) for index in range(len(sizes))]
    places = tf.stack([f.places + first for f, first in zip(found, firsts)])
    likeness = tf.stack([f.likeness[..., 0] for f in found])
    wanted = tf.reshape(tf.cast(tf.stack(shares), tf.float32), [-1, 1, 1, 1])
    bias = tf.zeros_like(likeness[:, :, :1, :1])
    for _ in range(SHARE_STEPS):
        taken = tf.nn.softmax((likeness + bias) / SHARE_WIDTH, 0)
        taken = tf.reduce_mean(taken, [2, 3], keepdims=True)
        bias += SHARE_WIDTH * tf.math.log(wanted / (taken + 1e-6))
    chosen = tf.one_hot(tf.argmax(likeness + bias, 0), len(found), axis=0)
    return Found(
        tf.reduce_sum(places * tf.cast(chosen, tf.int32), 0),
        tf.reduce_sum(likeness * chosen, 0)[..., None],
    )


def _rows(chosen):
    """Returns the numbers of rows, once [B, H, W] is flat, where it is true."""
    return tf.cast(tf.where(tf.reshape(chosen, [-1]))[:, 0], tf.int32)


def _count(chosen):
    """Returns how often [B, H, W] is true up to each position, in reading order."""
    ones = tf.cast(tf.reshape(chosen, [-1]), tf.int32)
    return tf.reshape(tf.cumsum(ones), tf.shape(chosen))


def _products(queries, keys, rows):
    """Returns products of queries [..., D] with rows of keys [N, D], as float32."""
    return tf.reduce_sum(tf.cast(queries * tf.gather(keys, rows), tf.float32), -1)


def _nearest(queries, keys):
    """Returns rows of keys with the largest products, int32 [P], and these, [P]."""
    products = tf.matmul(queries, keys, transpose_b=True)
    places = tf.argmax(products, 1, output_type=tf.int32)
    return places, tf.cast(tf.gather(products, places, batch_dims=1), tf.float32)


def _nearest_in_pieces(queries, keys):
    """The same, without ever holding more than `PRODUCTS`."""
    count = tf.shape(queries)[0]
    rows = tf.maximum(PRODUCTS // tf.shape(keys)[0], 1)

    def one_by_one():
        pieces = tf.TensorArray(tf.int32, 0, True, infer_shape=False)
        best = tf.TensorArray(tf.float32, 0, True, infer_shape=False)

        def step(index, pieces, best):
            piece = queries[index * rows : (index + 1) * rows]
            places, products = _nearest(piece, keys)
            return index + 1, pieces.write(index, places), best.write(index, products)

        _, pieces, best = tf.while_loop(
            lambda index, *_: index * rows < count,
            step,
            [0, pieces, best],
            parallel_iterations=1,
        )
        return pieces.concat(), best.concat()

    places, products = tf.cond(
        count <= rows, lambda: _nearest(queries, keys), one_by_one
    )
    return tf.ensure_shape(places, [None]), tf.ensure_shape(products, [None])
