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
        self._moves = tf.Variable(tf.zeros([HISTORY, size]))
        self._bends = tf.Variable(tf.zeros([HISTORY, size]))
        self._known = tf.Variable(0)  # pairs learnt so far
        self._position = tf.Variable(tf.zeros([size]))
        self._slope = tf.Variable(tf.zeros([size]))

    def apply(self, gradients, variables):
        """Moves [image] by one step; it stays in [0, 1]."""
        [gradient], [image] = gradients, variables
        position, slope = (tf.reshape(v, [-1]) for v in (image, gradient))
        self._learn(position, slope)
        pinned = ((position <= 0) & (slope > 0)) | ((position >= 1) & (slope < 0))
        free = tf.where(pinned, 0.0, slope)
        if self._known == 0:
            step = -free * self._rate / (tf.reduce_mean(tf.abs(free)) + 1e-30)
        else:
            step = tf.where(pinned, 0.0, -self._solve(free))
        step *= tf.minimum(1.0, TRUST / (tf.reduce_max(tf.abs(step)) + 1e-30))
        moved = tf.clip_by_value(position + step, 0.0, 1.0)
        self._position.assign(position)
        self._slope.assign(slope)
        image.assign(tf.reshape(moved, image.shape))

    def _learn(self, position, slope):
        """Remembers the last move, and how the gradient changed over it."""
        move, bend = position - self._position, slope - self._slope
        least = LEAST_COSINE * tf.norm(move) * tf.norm(bend)
        # Before the first step there was none: the gradient is all of the change.
        first = tf.reduce_all(self._slope == 0)
        if not first and tf.tensordot(move, bend, 1) > least:
            place = self._known % HISTORY
            self._moves[place].assign(move)
            self._bends[place].assign(bend)
            self._known.assign_add(1)

    def _solve(self, slope):
        """Multiplies by the inverse of the Hessian, as far as it is known.

        Byrd, Nocedal and Schnabel (1994), https://doi.org/10.1007/BF01582063, eq. 3.1:
        the two-loop recursion in four matrix products.
        """
        order = (tf.range(HISTORY) + self._known) % HISTORY  # from the oldest
        unknown = tf.range(HISTORY) < HISTORY - self._known

        def by_age(products):
            return tf.gather(tf.gather(products, order), order, axis=1)

        crossed = by_age(tf.matmul(self._moves, self._bends, transpose_b=True))
        bent = by_age(tf.matmul(self._bends, self._bends, transpose_b=True))
        along = tf.gather(tf.linalg.matvec(self._moves, slope), order)[:, None]
        across = tf.gather(tf.linalg.matvec(self._bends, slope), order)[:, None]
        # Rows of pairs that are not known yet are zero; ones keep the matrix regular.
        upper = tf.linalg.band_part(crossed, 0, -1)
        upper += tf.linalg.diag(tf.cast(unknown, tf.float32))
        curvatures = tf.linalg.diag(tf.linalg.diag_part(crossed))
        scale = crossed[-1, -1] / bent[-1, -1]

        def solve(right, adjoint=False):
            return tf.linalg.triangular_solve(upper, right, False, adjoint)

        bends = solve(along)
        moves = solve(
            tf.matmul(curvatures + scale * bent, bends) - scale * across, adjoint=True
        )
        place = tf.argsort(order)  # back to where they are kept
        moves, bends = tf.gather(moves, place), tf.gather(bends, place)
        return (
            scale * slope
            + tf.matmul(moves, self._moves, transpose_a=True)[0]
            - scale * tf.matmul(bends, self._bends, transpose_a=True)[0]
        )
