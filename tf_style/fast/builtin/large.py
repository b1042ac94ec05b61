"""The stylizer on photos too large for one pass: in tiles, without a seam.

The network looks at all of a picture in three places. Moments of activations, and the
colours of the result, are added up over tiles. The instance statistics of the decoder
are measured on a sample of tiles taken together, and shared by all. Everything else
sees `REACH` pixels at most, which tiles see of their neighbours.
"""

import itertools

import numpy as np
import tensorflow as tf

from tf_style.fast.builtin import decoder, encoder
from tf_style.images import tiles
from tf_style.networks import second_moments

# Side of a tile in pixels, and how far beyond its rim it sees: convolutions of 3x3 see
# 30 pixels up to the encoder's last layer, and the decoder's 90 more.
SIDE = 1024
REACH = 128
# The sample: at most so many tiles along each side of the picture, of so many pixels a
# side. It must be even: pixels of 1920x1440 differ by 0.5 of 255 in the mean from one
# pass, with tiles that overlap in the middle by 2 to 6, with tiles of 384 by 1.3.
SAMPLES = 4
SAMPLE_SIDE = 512


class Large:
    """Paints photos of any size with the networks of a stylizer.

    Args:
        encoder_network, decoder_network: as from `encoder.build`, `decoder.build`.
    """

    def __init__(self, encoder_network, decoder_network):
        self._encoder = encoder_network
        self._statistics = decoder.SharedStatistics(decoder.unmatched(decoder_network))
        picture = tf.TensorSpec([1, None, None, 3])
        self._encode_tile = tf.function(self._measure, input_signature=[picture])
        self._sample = tf.function(self._sample_tiles, reduce_retracing=True)
        self._paint_tile = tf.function(self._paint, reduce_retracing=True)

    def encode(self, photo):
        """Returns the code of a photo [1, H, W, 3], as `encoder.encode`."""
        return second_moments.join([second_moments.second(photo), *self._add_up(photo)])

    def paint(self, photo, code):
        """Repaints a photo.

        Args:
            photo: [1, H, W, 3] in [0, 1], each side a multiple of `encoder.STRIDE`.
            code: moments to reach, [1, CODE_SIZE].

        Returns:
            float32 [1, H, W, 3] in [0, 1].
        """
        colours = encoder.recolour(photo, code).numpy()
        own = self._add_up(np.clip(colours, 0, 1))
        noises = [level.numpy() for level in encoder.noise(photo.shape)]

        def look(tile):
            levels = zip(encoder.STRIDES, noises)
            seen = [tile.shrunk(stride).seen(noise) for stride, noise in levels]
            return [tile.seen(colours), *seen]

        height, width = photo.shape[1:3]
        sample = map(look, _sample(height, width))
        stacked = [np.concatenate(parts) for parts in zip(*sample)]
        shared = self._sample(stacked, own, code)
        painted = np.empty_like(colours)
        for tile in tiles.tiles(height, width, SIDE, REACH):
            seen = self._paint_tile(look(tile), own, code, shared)
            top, left, rows, columns = tile.inside.numpy()
            inside = seen[:, top : top + rows, left : left + columns]
            tile.own(painted)[:] = inside.numpy()
        return decoder.match_colours([painted, second_moments.statistics(code)]).numpy()

    def _add_up(self, picture):
        """Returns second moments of the activations of a picture, [1, C + 1, C + 1]."""
        sums = [0.0] * len(encoder.LAYERS)
        for tile in tiles.tiles(*picture.shape[1:3], SIDE, REACH):
            activations = self._encode_tile(tile.seen(picture))
            for index, (layer, scale) in enumerate(zip(activations, encoder.STRIDES)):
                inside = tile.inside // scale
                own = tf.slice(layer, [0, *inside[:2], 0], [1, *inside[2:], -1])
                sums[index] += tile.share * second_moments.second(own)
        return sums

    def _measure(self, picture):
        _, *activations = encoder.measure(self._encoder, picture)
        return activations

    def _show(self, tiles, own, code):
        """Returns what the decoder is shown of tiles [colours, *noises]."""
        colours, *noises = tiles
        moved = encoder.transport(self._encoder, colours, code, own)
        known = tf.repeat(second_moments.statistics(code), tf.shape(colours)[0], 0)
        return [colours, *moved, *noises, known]

    def _sample_tiles(self, tiles, own, code):
        return self._statistics.measure(self._show(tiles, own, code))

    def _paint(self, tile, own, code, shared):
        return self._statistics.apply(self._show(tile, own, code), shared)


def _sample(height, width):
    """Returns tiles of equal size, in the middle of each cell of a grid."""
    starts, sides = [], []
    for length in (height, width):
        cells = min(SAMPLES, -(-length // SAMPLE_SIDE))
        cell = length / cells
        side = int(min(SAMPLE_SIDE, cell)) // 8 * 8
        starts.append(
            [int(cell * i + (cell - side) / 2) // 8 * 8 for i in range(cells)]
        )
        sides.append(side)
    for corner in itertools.product(*starts):
        rows, columns = (slice(a, a + s) for a, s in zip(corner, sides))
        yield tiles.Tile(rows, columns, rows, columns, 0.0)
