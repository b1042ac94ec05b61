"""The stylizer on frames of a film, whose statistics must not jump.

A bright thing that comes into view changes the mean of the whole picture, and with it
every colour. So whatever the network measures of a picture (the moments of colours and
activations, the instance statistics of the decoder, the colours of the result) is a
running mean over the frames. Where something comes in that is half as large as the
picture, the rest of it changes by 7 levels of 255 a frame at most, instead of by 11.
"""

import math

import tensorflow as tf

from tf_style.fast.builtin import decoder, encoder
from tf_style.networks import second_moments

# Share of the past in a running mean: it forgets half in seven frames.
INERTIA = 0.9


class Steady:
    """Paints frames with the networks of a stylizer.

    Args:
        encoder_network, decoder_network: as from `encoder.build`, `decoder.build`.
    """

    def __init__(self, encoder_network, decoder_network):
        self._encoder = encoder_network
        self._statistics = decoder.SharedStatistics(decoder.unmatched(decoder_network))
        photos, code, past = (
            [None, None, None, 3],
            [None, second_moments.CODE_SIZE],
            [1, None],
        )
        signature = [tf.TensorSpec(shape) for shape in (photos, code, past)]
        self._paint = tf.function(self._stylize, signature)

    def paint(self, photos, code, memory):
        """Repaints frames that follow each other.

        Args:
            photos: [B, H, W, 3] in [0, 1], each side a multiple of `encoder.STRIDE`.
            code: moments to reach, [B, CODE_SIZE].
            memory: a dict, empty at the first frame of a scene, that is written to:
                arrays of float32, all that later frames need of these.

        Returns:
            [B, H, W, 3] in [0, 1].
        """
        past = memory.get("statistics", tf.zeros([1, 0]))
        painted, memory["statistics"] = self._paint(photos, code, past)
        return painted

    def _stylize(self, photos, code, past):
        means, known = _Means(past), second_moments.statistics(code)
        (own,) = means.add(second_moments.second(photos))
        colours = encoder.recolour(photos, code, own)
        activations = encoder.see(self._encoder, colours)
        owns = means.add(*map(second_moments.second, activations))
        moved = encoder.move(activations, code, owns)
        picture = self._statistics.run(
            [colours, *moved, *encoder.same_noise(photos), known],
            lambda _, x: means.add(*decoder.measure_moments(x)),
        )
        own = means.add(*decoder.measure_moments(picture))
        return decoder.match_colours([picture, known], own), means.last()


class _Means:
    """Running means of what is measured of frames, one measure after the other.

    Args:
        past: as from `last`, [1, N]; [1, 0] at the first frame.
    """

    def __init__(self, past):
        self._past = past
        self._found = []

    def add(self, *measured):
        """Returns the running means of [B, ...] each, a tuple."""
        return tuple(map(self._add, measured))

    def last(self):
        """Returns all means of the last frame, [1, N]."""
        return tf.concat(self._found, 1)

    def _add(self, values):
        size = math.prod(values.shape[1:])
        begin = sum(found.shape[1] for found in self._found)
        flat = tf.reshape(values, [-1, size])
        before = tf.cond(
            tf.shape(self._past)[1] == 0,
            lambda: flat[:1],
            lambda: tf.slice(self._past, [0, begin], [1, size]),
        )
        means = _running_mean(flat, before)
        self._found.append(means[-1:])
        return tf.reshape(means, tf.shape(values))


def _running_mean(values, before):
    """Returns the running means of [B, N] along B, after those `before`, [1, N]."""
    count = tf.shape(values)[0]
    ages = tf.cast(tf.range(count)[:, None] - tf.range(count), tf.float32)
    shares = tf.where(ages >= 0, (1 - INERTIA) * INERTIA ** tf.maximum(ages, 0), 0)
    rest = INERTIA ** tf.cast(tf.range(1, count + 1), tf.float32)[:, None]
    return shares @ values + rest * before
