"""The stylizer on photos too large for one pass: in tiles, without a seam.

Four things depend on the whole picture. Moments of activations, and the colours of the
result, are summed over tiles. The search is finished before any tile is painted. The
instance statistics of the decoder are measured on a sample of tiles taken together, and
shared by all. Everything else depends on pixels within `REACH`, and tiles overlap by as
much.
"""

import itertools

import numpy as np
import tensorflow as tf

from tf_style.fast.builtin import decoder, encoder, network
from tf_style.images import tiles
from tf_style.networks import second_moments
from tf_style.networks.tracing import Traced

# Side of a tile in pixels, and its margin: 3x3 convolutions reach 30 pixels up to the
# encoder's last layer, and those of the decoder 90 more.
SIDE = 1024
REACH = 128
# The sample: at most so many tiles along each side of the picture, of so many pixels a
# side. It takes the most memory. Pixels of 1920x1440 differ from one pass by 2 to 3 of
# 255 in the mean; with tiles of 384 by 0.7, which take another gigabyte.
SAMPLES = 4
SAMPLE_SIDE = 256


class Large:
    """Paints photos of any size with the networks of a stylizer.

    Args:
        networks: a `network.Network`.
    """

    def __init__(self, networks):
        self._network = networks
        self._statistics = decoder.SharedStatistics(decoder.unmatched(networks.decoder))
        self._encode_tile = Traced(self._measure)
        self._find = Traced(self._find_tile)
        self._sample = Traced(self._sample_tiles)
        self._paint_tile = Traced(self._paint)

    def encode(self, photo):
        """Returns the code of a photo [1, H, W, 3], as `encoder.moments`."""
        photo = np.asarray(photo)
        return second_moments.join([second_moments.second(photo), *self._add_up(photo)])

    def paint(self, photo, code, paintings, shares, strength):
        """Repaints a photo.

        Args:
            photo: [1, H, W, 3] in [0, 1], each side a multiple of `encoder.STRIDE`.
            code: moments to reach, [1, CODE_SIZE].
            paintings: a list of `network.Painting`.
            shares: of each, all together 1.
            strength: how much is copied, in [0, 1].

        Returns:
            float32 [1, H, W, 3] in [0, 1].
        """
        photo = np.asarray(photo)
        colours = encoder.recolour(photo, code).numpy()
        own = self._add_up(np.clip(colours, 0, 1))
        found = self._search(colours, own, code, paintings)
        found = network.choose(found, paintings, shares)
        noises = [level.numpy() for level in encoder.noise(photo.shape)]
        edges = [level.numpy() for level in encoder.edges(photo)]
        # The decoder's inputs, with the pixels that each position stands for.
        wholes = [
            (colours, 1),
            *zip(noises, encoder.STRIDES),
            *zip(edges, encoder.STRIDES),
            *((np.asarray(part), encoder.STRIDE) for part in found),
        ]

        def look(tile):
            return [tile.shrunk(stride).seen(whole) for whole, stride in wholes]

        height, width = photo.shape[1:3]
        samples = map(look, sample(height, width))
        stacked = [np.concatenate(parts) for parts in zip(*samples)]
        shared = self._sample(stacked, own, code, paintings, strength)
        painted = np.empty_like(colours)
        for tile in tiles.tiles(height, width, SIDE, REACH):
            seen = self._paint_tile(look(tile), own, code, paintings, strength, shared)
            _keep(tile, seen, painted)
        known = second_moments.statistics(code)
        # Only their variance is needed, and all of them would take memory.
        some = colours[:, :: encoder.STRIDE, :: encoder.STRIDE]
        return decoder.match_colours([painted, known, some])

    def _search(self, colours, own, code, paintings):
        """Returns a `network.Found` of the whole photo for each painting."""
        height, width = (side // encoder.STRIDE for side in colours.shape[1:3])
        wholes = [
            network.Found(
                np.empty((1, height, width), np.int32),
                np.empty((1, height, width, 1), np.float32),
            )
            for _ in paintings
        ]
        for tile in tiles.tiles(*colours.shape[1:3], SIDE, REACH):
            places = tile.shrunk(encoder.STRIDE)
            part = tf.constant(
                [places.seen_rows.start, places.seen_columns.start, height, width]
            )
            found = self._find(tile.seen(colours), own, code, paintings, part)
            for whole, piece in zip(wholes, found):
                for target, values in zip(whole, piece):
                    _keep(places, values, target)
        return wholes

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
        _, *activations = encoder.measure(self._network.encoder, picture)
        return activations

    def _find_tile(self, colours, own, code, paintings, part):
        moved = encoder.transport(self._network.encoder, colours, code, own)
        return self._network.find([colours, *moved], paintings, tf.unstack(part))

    def _show(self, tiles, own, code, paintings, strength):
        """Returns the decoder's inputs for tiles: colours, noises, edges and finds."""
        colours, *others, places, likeness = tiles
        moved = encoder.transport(self._network.encoder, colours, code, own)
        return self._network.show(
            [colours, *moved],
            paintings,
            network.Found(places, likeness),
            others,
            code,
            strength,
        )

    def _sample_tiles(self, tiles, *how):
        return self._statistics.measure(self._show(tiles, *how))

    def _paint(self, tile, own, code, paintings, strength, shared):
        shown = self._show(tile, own, code, paintings, strength)
        return self._statistics.apply(shown, shared)


def _keep(tile, seen, whole):
    """Writes a tile without its margin into the whole."""
    top, left, rows, columns = tile.inside.numpy()
    inside = seen[:, top : top + rows, left : left + columns]
    tile.own(whole)[:] = inside.numpy()


def sample(height, width):
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
