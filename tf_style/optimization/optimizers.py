"""Adam and L-BFGS: pure functions of a picture, its gradient and their memory.

The picture stays within [0, 1].
"""

from typing import NamedTuple

import tensorflow as tf

from tf_style.networks.tracing import Traced


class Adam:
    """Kingma and Ba (2015), https://arxiv.org/abs/1412.6980, as Keras has it.

    Args:
        rate: largest change of a pixel in a step, alpha in the paper.
        beta1, epsilon: as in the paper.
    """

    BETA2 = 0.999

    def __init__(self, rate, beta1, epsilon):
        self.rate, self._beta1, self._epsilon = rate, beta1, epsilon
        self.step = Traced(self._step)

    def start(self, image):
        """Returns the memory before the first step on a picture [1, H, W, 3]."""
        zeros = tf.zeros(image.shape)
        return tf.constant(0), zeros, zeros

    def _step(self, image, gradient, memory, rate):
        """Returns the picture and the memory after a step."""
        (t, m, v), beta1, beta2 = memory, self._beta1, self.BETA2
        t += 1
        m += (gradient - m) * (1 - beta1)
        v += (tf.square(gradient) - v) * (1 - beta2)
        powers = [tf.pow(beta, tf.cast(t, tf.float32)) for beta in (beta1, beta2)]
        alpha = rate * tf.sqrt(1 - powers[1]) / (1 - powers[0])
        image -= m * alpha / (tf.sqrt(v) + self._epsilon)
        return tf.clip_by_value(image, 0.0, 1.0), (t, m, v)


class Memory(NamedTuple):
    """The memory of L-BFGS: pairs from oldest to newest, zero if unknown."""

    s: list[tf.Tensor]  # steps x_{k+1} - x_k, each [n]
    y: list[tf.Tensor]  # changes of the gradient over them, each [n]
    sy: tf.Tensor  # s_i . y_j for i <= j, [m, m]
    yy: tf.Tensor  # y_i . y_j, [m, m]
    known: tf.Tensor  # pairs known so far, at most m
    step: tf.Tensor  # the last one, [n]
    gradient: tf.Tensor  # before it, [n]


class LBFGS:
    """Liu and Nocedal (1989), https://doi.org/10.1007/BF01589116, within bounds.

    As is usual in the field (jcjohnson/neural-style, torch.optim.LBFGS), it takes full
    steps without a line search, because evaluating the loss costs as much as a step.
    Pixels that push against a bound are left out, as in Byrd et al. (1995),
    https://doi.org/10.1137/0916069.

    Args:
        rate: mean change of a pixel in the first step, when no curvature is known.
        history: number of pairs to remember.
    """

    HISTORY = 10  # 20 pairs take more time and save no steps
    # Upper bound on their memory, with two pairs at least: pictures of 2048x1536 pixels
    # have 5, with which the loss ends as low as with 10.
    HISTORY_BYTES = 2e8
    # Storage format; a direction needs no more digits.
    STORED = tf.bfloat16
    # Smallest cosine of s and y. Below it, the loss is not convex there and the pair is
    # useless.
    MIN_COSINE = 1e-3
    # Largest change of a pixel in a step, for pixels from 0 to 1. The model of the loss
    # does not hold beyond it.
    MAX_STEP = 0.2
    # Of H0 = gamma I, where the textbook's gamma is s.y / y.y: gradients in bfloat16
    # look more curved than they are. A factor of 2 ends lower than 1 on all objectives
    # that we tried, 4 on some, and 6 diverges.
    INITIAL_SCALE = 2.0

    def __init__(self, rate, history=HISTORY):
        self.rate, self._history = rate, history
        self.step = Traced(self._step)

    def start(self, image):
        """Returns the memory before the first step on a picture [1, H, W, 3]."""
        size = image.shape.num_elements()
        fitting = int(self.HISTORY_BYTES // (2 * size * self.STORED.size))
        m = min(self._history, max(2, fitting))
        nothing = tf.zeros([size], self.STORED)
        square = tf.zeros([m, m])
        return Memory(
            [nothing] * m,
            [nothing] * m,
            square,
            square,
            tf.constant(0),
            nothing,
            tf.zeros([size]),
        )

    def _step(self, image, gradient, memory, rate):
        """Returns the picture and the memory after a step.

        Args:
            image, gradient: [1, H, W, 3].
            memory: from `start` or the previous step.
            rate: `self.rate`, or less after failed steps.
        """
        x, g = tf.reshape(image, [-1]), tf.reshape(gradient, [-1])
        memory = self._learn(memory, g)
        pinned = ((x <= 0) & (g > 0)) | ((x >= 1) & (g < 0))
        free = tf.where(pinned, 0.0, g)
        step = tf.cond(
            memory.known == 0,
            lambda: -free * rate / (tf.reduce_mean(tf.abs(free)) + 1e-30),
            lambda: tf.where(pinned, 0.0, -self._direction(memory, free)),
        )
        step *= tf.minimum(1.0, self.MAX_STEP / (tf.reduce_max(tf.abs(step)) + 1e-30))
        moved = tf.clip_by_value(x + step, 0.0, 1.0)
        memory = memory._replace(step=tf.cast(moved - x, self.STORED), gradient=g)
        return tf.reshape(moved, tf.shape(image)), memory

    def _learn(self, memory, g):
        """Remembers the last step, and how the gradient changed over it."""
        s, y = memory.step, tf.cast(g - memory.gradient, self.STORED)
        with_s = _dots([y, s], s)
        with_y = _dots([y], y, after=with_s)
        curvature, length = with_s[0], tf.sqrt(with_s[1] * with_y[0])

        def remember():
            steps, changes = [*memory.s[1:], s], [*memory.y[1:], y]
            sy = _dots(steps, y)
            yy = _dots(changes, y, after=sy)
            sy, yy = _grown(memory.sy, sy), _grown(memory.yy, yy)
            known = tf.minimum(memory.known + 1, len(steps))
            return steps, changes, sy, yy, known

        kept = tf.cond(
            curvature > self.MIN_COSINE * length, remember, lambda: memory[:5]
        )
        return Memory(*kept, *memory[5:])

    def _direction(self, memory, g):
        gamma = self.INITIAL_SCALE * memory.sy[-1, -1] / memory.yy[-1, -1]
        return inverse_hessian_product(memory, g, gamma)


def inverse_hessian_product(memory, g, gamma):
    """Multiplies a gradient by the approximate inverse Hessian.

    Byrd, Nocedal and Schnabel (1994), https://doi.org/10.1007/BF01582063, eq. 3.1: what
    the two-loop recursion gives, with the products of old pairs at hand.

    Args:
        memory: a `Memory` of at least one pair.
        g: [n].
        gamma: of H0 = gamma I.

    Returns:
        H g, [n].
    """
    m = len(memory.s)
    unknown = tf.cast(tf.range(m) < m - memory.known, tf.float32)
    # Ones in place of pairs that are not known yet keep R regular.
    R = tf.linalg.band_part(memory.sy, 0, -1) + tf.linalg.diag(unknown)
    D = tf.linalg.diag(tf.linalg.diag_part(memory.sy))
    Sg = _dots(memory.s, g)
    Yg = _dots(memory.y, g, after=Sg)
    p = tf.linalg.triangular_solve(R, Sg[:, None], lower=False)
    q = tf.matmul(D + gamma * memory.yy, p) - gamma * Yg[:, None]
    q = tf.linalg.triangular_solve(R, q, lower=False, adjoint=True)
    factors = tf.concat([q, -gamma * p], 0)[:, 0]
    return gamma * g + _combine([*memory.s, *memory.y], factors)


def _grown(products, newest):
    """Drops the oldest pair from products [m, m], and adds the newest's, [m].

    The lower triangle of s.y is meaningless and never read.
    """
    kept = tf.concat([products[1:, 1:], newest[:-1, None]], 1)
    return tf.concat([kept, newest[None]], 0)


def _dot(a, b):
    # A quarter of the time of `tf.tensordot`.
    return tf.reduce_sum(tf.cast(a, tf.float32) * tf.cast(b, tf.float32))


def _dots(vectors, other, after=None):
    """Multiplies each of `vectors` with `other`, once the tensor `after` is there.

    One after the other, because float32 copies of huge pictures take memory.
    """
    products = []
    for vector in vectors:
        with tf.control_dependencies([] if after is None else [after]):
            after = _dot(vector, other)[None]
        products.append(after)
    # TensorFlow's graph optimizer loses the rank of `tf.stack` of one.
    return tf.concat(products, 0)


def _combine(vectors, factors):
    """Sums `vectors` times `factors`, one after the other to save memory."""
    total = factors[0] * tf.cast(vectors[0], tf.float32)
    for index, vector in enumerate(vectors[1:], start=1):
        with tf.control_dependencies([total]):
            total += factors[index] * tf.cast(vector, tf.float32)
    return total
