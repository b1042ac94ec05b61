"""L-BFGS for a picture within [0, 1], a step at a time.

Liu and Nocedal (1989), https://doi.org/10.1007/BF01589116, taken as the field takes it
(jcjohnson/neural-style, torch.optim.LBFGS): whole steps, without a line search, since a
look at the loss costs as much as a step. Pixels that push against a bound sit out, as
in Byrd et al. (1995), https://doi.org/10.1137/0916069.
"""

import tensorflow as tf

# Least cosine between a move and the change of the gradient over it: with less the loss
# is not convex there and the pair teaches nothing.
LEAST_COSINE = 1e-3
# The most that a pixel moves in a step, of a range of 1: the model is not good further.
TRUST = 0.2
# Past steps that the curvature is learnt from; 20 cost more time and gain no step.
HISTORY = 10
# The most that they may take; a picture of 4096x4096 pixels remembers 2 in it.
HISTORY_BYTES = 6e8
# Where no curvature was learnt, steps are so many times as long as the last pair says;
# 1 is the textbook's, but gradients in bfloat16 look more curved than they are.
# 2 ends lower than 1 on all objectives that were tried, 4 on some, and 6 diverges.
BOLDNESS = 2.0
# What they are kept in: a direction needs no more digits.
STORED = tf.bfloat16


class LBFGS:
    """Takes the place of a Keras optimizer of a single variable.

    Args:
        rate: mean move of a pixel in the first step, when no curvature is known.
    """

    def __init__(self, rate):
        self._rate = rate

    def build(self, variables):
        """Makes the memory for [image], a variable of shape [1, H, W, 3]."""
        [image] = variables
        size = image.shape.num_elements()
        kept = int(HISTORY_BYTES // (2 * size * STORED.size))
        self._count = min(HISTORY, max(1, kept))
        # One variable each: TensorFlow copies all of one whose parts are written to
        # whenever it is read.
        self._moves, self._bends = (
            [tf.Variable(tf.zeros([size], STORED)) for _ in range(self._count)]
            for _ in range(2)
        )
        # Products of moves (down) with bends (across), and of bends with bends.
        self._crossed, self._bent = (
            tf.Variable(tf.zeros([self._count, self._count])) for _ in range(2)
        )
        self._known = tf.Variable(0)  # pairs learnt so far
        self._move = tf.Variable(tf.zeros([size], STORED))  # the last one
        self._slope = tf.Variable(tf.zeros([size]))

    @property
    def variables(self):
        """All that it knows, as of a Keras optimizer."""
        products = [self._crossed, self._bent, self._known, self._move, self._slope]
        return [*self._moves, *self._bends, *products]

    def apply(self, gradients, variables):
        """Moves [image] by one step; it stays in [0, 1]."""
        [gradient], [image] = gradients, variables
        position, slope = (tf.reshape(v, [-1]) for v in (image, gradient))
        self._learn(slope)
        pinned = ((position <= 0) & (slope > 0)) | ((position >= 1) & (slope < 0))
        free = tf.where(pinned, 0.0, slope)
        if self._known == 0:
            step = -free * self._rate / (tf.reduce_mean(tf.abs(free)) + 1e-30)
        else:
            step = tf.where(pinned, 0.0, -self._solve(free))
        step *= tf.minimum(1.0, TRUST / (tf.reduce_max(tf.abs(step)) + 1e-30))
        moved = tf.clip_by_value(position + step, 0.0, 1.0)
        self._move.assign(tf.cast(moved - position, STORED))
        self._slope.assign(slope)
        image.assign(tf.reshape(moved, image.shape))

    def _learn(self, slope):
        """Remembers the last move, and how the gradient changed over it."""
        move = self._move.read_value()
        bend = tf.cast(slope - self._slope, STORED)
        square = _dot(move, move) * _dot(bend, bend)
        if _dot(move, bend) > LEAST_COSINE * tf.sqrt(square):
            place = self._known % self._count
            for index in range(self._count):
                if index == place:
                    self._moves[index].assign(move)
                    self._bends[index].assign(bend)
            down = tf.range(self._count)[:, None] == place
            across = tf.range(self._count) == place
            crossed = tf.where(down, _dots(self._bends, move), self._crossed)
            products = _dots(self._moves, bend)[:, None]
            self._crossed.assign(tf.where(across, products, crossed))
            products = _dots(self._bends, bend)
            bent = tf.where(down, products, self._bent)
            self._bent.assign(tf.where(across, products[:, None], bent))
            self._known.assign_add(1)

    def _solve(self, slope):
        """Multiplies by the inverse of the Hessian, as far as it is known.

        Byrd, Nocedal and Schnabel (1994), https://doi.org/10.1007/BF01582063, eq. 3.1:
        the two-loop recursion, with the products of old pairs at hand.
        """
        order = (tf.range(self._count) + self._known) % self._count  # from the oldest
        unknown = tf.range(self._count) < self._count - self._known

        def by_age(products):
            return tf.gather(tf.gather(products, order), order, axis=1)

        crossed, bent = by_age(self._crossed), by_age(self._bent)
        along = tf.gather(_dots(self._moves, slope), order)[:, None]
        across = tf.gather(_dots(self._bends, slope), order)[:, None]
        # Rows of pairs that are not known yet are zero; ones keep the matrix regular.
        upper = tf.linalg.band_part(crossed, 0, -1)
        upper += tf.linalg.diag(tf.cast(unknown, tf.float32))
        curvatures = tf.linalg.diag(tf.linalg.diag_part(crossed))
        scale = BOLDNESS * crossed[-1, -1] / bent[-1, -1]

        def solve(right, adjoint=False):
            return tf.linalg.triangular_solve(upper, right, False, adjoint)

        bends = solve(along)
        moves = solve(
            tf.matmul(curvatures + scale * bent, bends) - scale * across, adjoint=True
        )
        place = tf.argsort(order)  # back to where they are kept
        factors = tf.gather(tf.concat([moves, -scale * bends], 1), place)
        pairs = [*self._moves, *self._bends]
        return scale * slope + _combine(pairs, tf.reshape(tf.transpose(factors), [-1]))


def _dot(one, other):
    # A quarter of the time of `tf.tensordot`.
    return tf.reduce_sum(tf.cast(one, tf.float32) * tf.cast(other, tf.float32))


def _dots(vectors, other):
    """Multiplies each of `vectors` with `other`, one after the other to save memory."""
    products = []
    for vector in vectors:
        with tf.control_dependencies(products[-1:]):
            products.append(_dot(vector, other))
    return tf.stack(products)


def _combine(vectors, factors):
    """Sums `vectors` times `factors`, one after the other to save memory."""
    total = factors[0] * tf.cast(vectors[0], tf.float32)
    for index, vector in enumerate(vectors[1:], start=1):
        with tf.control_dependencies([total]):
            total += factors[index] * tf.cast(vector, tf.float32)
    return total
