"""The stylizer on frames of a film, whose statistics must not jump.

A bright object that comes into view changes the mean of the whole picture, and with it
every colour. So all statistics that the network uses (the moments of colours and
activations, the instance statistics of the decoder, the colours of the result) are
running means over the frames. If an object half as large as the picture comes in, the
rest changes by at most 7 levels of 255 a frame, instead of 11.

Each place of the picture also keeps its find in the painting as long as that is nearly
as good as the best, and finds move along with the objects.
"""

import itertools
import math

import numpy as np
import tensorflow as tf

from tf_style.fast.builtin import decoder, encoder, network
from tf_style.networks import second_moments
from tf_style.networks.tracing import Traced

# Share of the past in a running mean: it forgets half in seven frames.
INERTIA = 0.9
# By how much another place of the painting must be better, as a cosine, to replace it.
HOLD = 0.04
# Places around one, and itself.
NEIGHBOURS = np.array(list(itertools.product((0, -1, 1), repeat=2)))


class Steady:
    """Paints frames with the networks of a stylizer.

    Args:
        networks: a `network.Network`.
    """

    def __init__(self, networks):
        self._network = networks
        self._statistics = decoder.SharedStatistics(decoder.unmatched(networks.decoder))
        self._paint = Traced(self._stylize)

    def paint(self, photo, code, paintings, shares, strength, memory, motion):
        """Repaints a frame.

        Args:
            photo: [1, H, W, 3] in [0, 1], each side a multiple of `encoder.STRIDE`.
            code: moments to reach, [1, CODE_SIZE].
            paintings: a list of `network.Painting`.
            shares: of each, all together 1.
            strength: how much is copied, in [0, 1].
            memory: a dict, empty at the first frame of a scene; what later frames need
                is written to it as arrays.
            motion: the `flow.Motion` since the frame before, of at most H and W; None:
                places stay where they are.

        Returns:
            [1, H, W, 3] in [0, 1].
        """
        past = memory.get("statistics", tf.zeros([1, 0]))
        size = [side // encoder.STRIDE for side in photo.shape[1:3]]
        places = np.asarray(memory.get("places", np.full([1, *size], -1, np.int32)))
        offsets = memory.get("offsets", np.zeros([*size, 2], np.float32))
        if motion is not None:
            places, offsets = carry(places, offsets, motion)
        how = code, paintings, shares, strength
        painted, memory["statistics"], found = self._paint(
            photo, *how, tf.constant(past), tf.constant(places)
        )
        memory["places"] = found.numpy()
        kept = memory["places"][0] == places[0]
        memory["offsets"] = offsets * kept[..., None]
        return painted

    def _stylize(self, photos, code, paintings, shares, strength, past, places):
        means = _Means(past)
        (own,) = means.add(second_moments.second(photos))
        colours = encoder.recolour(photos, code, own)
        activations = encoder.see(self._network.encoder, colours)
        owns = means.add(*map(second_moments.second, activations))
        moved = [colours, *encoder.move(activations, code, owns)]
        found = self._network.find(moved, paintings)
        found = network.choose(found, paintings, shares)
        found = self._hold(found, moved, paintings, places)
        others = [*encoder.same_noise(photos), *encoder.edges(photos)]
        picture = self._statistics.run(
            self._network.show(moved, paintings, found, others, code, strength),
            lambda _, x: means.add(*decoder.measure_moments(x)),
        )
        own = means.add(*decoder.measure_moments(picture))
        known = second_moments.statistics(code)
        painted = decoder.match_colours([picture, known, colours], own)
        return painted, means.last(), found.places

    def _hold(self, found, moved, paintings, before):
        """Lets places keep their finds of the frame before if these are still good."""
        held = self._network.rate(moved, paintings, before)
        keep = held > found.likeness - HOLD
        return network.Found(
            tf.where(keep[..., 0], before, found.places),
            tf.where(keep, held, found.likeness),
        )


def carry(places, offsets, motion, side=encoder.STRIDE):
    """Moves finds along with the motion, by whole places.

    Args:
        places: finds of the frame before, int32 [1, H, W].
        offsets: where each find should be, down and to the right of the middle of its
            place, in places, [H, W, 2]. Without these, slow motion would be lost.
        motion: a `flow.Motion`.
        side: of a place, in pixels.

    Returns:
        Both for this frame; where the motion is not trusted, places are -1.
    """
    height, width = motion.trust.shape[:2]
    rows, columns = places.shape[1:]
    x, y = np.moveaxis(motion.places, -1, 0)
    down = y - np.arange(height, dtype=np.float32)[:, None]
    right = x - np.arange(width, dtype=np.float32)
    trust = motion.trust[..., 0]
    fields = np.stack([trust * down, trust * right, trust])
    fields = fields[:, : rows * side, : columns * side]
    lacking = rows * side - fields.shape[1], columns * side - fields.shape[2]
    rims = ((0, 0), *((0, count) for count in lacking))
    if any(map(any, rims)):
        fields = np.pad(fields, rims, "edge")
    fields = fields.reshape(3, rows, side, columns * side).mean(2)
    *moved, trust = fields.reshape(3, rows, columns, side).mean(-1)
    trusted, grid = trust > 0.5, np.mgrid[:rows, :columns]
    source = grid + moved / np.where(trusted, trust, 1) / side
    # Of the places around, the one whose find lies nearest.
    near = np.floor(source + 0.5).astype(int)[:, None] + NEIGHBOURS.T[..., None, None]
    down, right = np.clip(near[0], 0, rows - 1), np.clip(near[1], 0, columns - 1)
    away = (grid + np.moveaxis(offsets, -1, 0))[:, down, right] - source[:, None]
    best = np.square(away).sum(0).argmin(0)[None]
    found = np.take_along_axis(places[0][down, right], best, 0)
    offsets = np.moveaxis(np.take_along_axis(away, best[None], 1)[:, 0], 0, -1)
    return np.where(trusted, found, np.int32(-1)), np.float32(offsets)


class _Means:
    """Running means over frames, of one measurement after the other.

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
            lambda: flat,
            lambda: tf.slice(self._past, [0, begin], [1, size]),
        )
        self._found.append(INERTIA * before + (1 - INERTIA) * flat)
        return tf.reshape(self._found[-1], tf.shape(values))
