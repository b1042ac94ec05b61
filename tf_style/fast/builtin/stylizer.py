"""The built-in stylizer: any style in one pass, without a network connection.

The photo's colours, and its activations in three layers of the built-in backbone, are
moved to the style's means and covariances in closed form (`second_moments`). Each spot
finds a similar spot of the painting (`neighbours`). A decoder, trained on the mixture
of both, paints the picture.
"""

import functools
import hashlib

import numpy as np
import tensorflow as tf

from tf_style.fast.builtin import encoder, large, network, steady
from tf_style.networks import small_vgg
from tf_style.networks.tracing import Traced
from tf_style.system import files, hardware

WEIGHTS = network.WEIGHTS
# Number of pixels above which a photo is painted in tiles, and a frame of a film. One
# pass takes 0.5 KB a pixel, tiles take two to three times as long.
MOST_PIXELS = 1 << 21
MOST_FRAME_PIXELS = 1 << 22
# Number of paintings cached for the search, 10 MB each.
PAINTINGS = 4


class Stylizer:
    """The built-in stylizer, ready to paint.

    Attributes:
        name, source, checksum, style_size, style_side: see `hub.load_model`.
    """

    name = "builtin"
    source = str(WEIGHTS)
    # Longest side of an encoded style, chosen on pictures of 512 pixels.
    style_size, style_side = 460, staticmethod(max)
    # It is halved three times.
    least_style_side = 16
    # A code is the painting in 8 bits; everything else is computed from it in 0.02 s.
    code_shape, code_dtype = (None, None, 3), np.uint8
    # Four pictures of 256x256 pixels take a quarter less time than one by one; larger
    # ones take more.
    batch_pixels = 1 << 18

    def __init__(self):
        sums = [files.sha256(path) for path in (small_vgg.WEIGHTS, WEIGHTS)]
        self.checksum = hashlib.sha256("".join(sums).encode()).hexdigest()
        fast = hardware.fastest_dtype() == "bfloat16"
        self._network = network.Network("mixed_bfloat16" if fast else "float32")
        self._large = large.Large(self._network)
        self._steady = steady.Steady(self._network)
        # Graphs that do not depend on what was painted before: others would round
        # differently, and find other spots.
        self._encode = Traced(functools.partial(encoder.encode, self._network.encoder))
        self._paint = Traced(self._stylize)
        self._look_at = Traced(self._network.look)
        self._look = functools.lru_cache(maxsize=PAINTINGS)(self._read)

    def encode(self, style):
        """Returns the code of a style [1, H, W, 3] in [0, 1], uint8 [H', W', 3].

        The sides are cropped, equally on both ends, to multiples of 8 pixels.
        """
        (picture,) = encoder.crop(np.asarray(style, np.float32))
        return np.uint8(np.rint(np.clip(picture, 0, 1) * 255))

    def _read(self, shape, pixels):
        """Returns the `network.Painting` of a code."""
        code = np.frombuffer(pixels, np.uint8).reshape(1, *shape)
        return self._look_at(tf.constant(code / np.float32(255)))

    def paint(self, content, codes, weights, strength, memory=None, motions=None):
        """Repaints `content` in a mixture of styles.

        Args:
            content: photos, [B, H, W, 3] in [0, 1], of any size.
            codes: results of `encode`.
            weights: share of each; they add up to 1.
            strength: 0 returns the photo, 1 the full style; in between, statistics are
                mixed with the photo's own, and less is copied.
            memory: for frames of a film, a dict that is empty at first, to smooth
                statistics over time; unused for frames in tiles.
            motions: the `flow.Motion` of each frame since the one before, or None.

        Returns:
            float32 [B, H, W, 3] in [0, 1].
        """
        content = np.asarray(content, np.float32)
        if strength == 0:
            return content
        if memory is not None and len(content) > 1:
            # Rounding depends on their number, and may decide which spot is found.
            how = (codes, weights, strength, memory)
            frames = zip(content, motions or [None] * len(content), strict=True)
            return np.concatenate([self.paint(x[None], *how, [m]) for x, m in frames])
        height, width = content.shape[1:3]
        padded = tf.constant(_pad(content))
        codes, weights = zip(*(pair for pair in zip(codes, weights) if pair[1] > 0))
        paintings = [self._look(code.shape, code.tobytes()) for code in codes]
        code = sum(p.moments * w for p, w in zip(paintings, weights))
        encode, paint = self._encode, self._paint
        most = MOST_PIXELS if memory is None else MOST_FRAME_PIXELS
        if height * width > most:
            encode, paint = self._large.encode, self._large.paint
        elif memory is not None:
            (motion,) = motions or [None]
            paint = functools.partial(self._steady.paint, memory=memory, motion=motion)
        if strength < 1:
            own = encode(padded)
            code = own + strength * (code - own)
        shares = [tf.constant(weight, tf.float32) for weight in weights]
        share = tf.constant(strength, tf.float32)
        painted = paint(padded, code, paintings, shares, share)
        painted = np.asarray(painted)[:, :height, :width]
        if strength == 1:
            return painted
        # The decoder does not quite reproduce a photo from its own code.
        return content + (1 - (1 - strength) ** 3) * (painted - content)

    def _stylize(self, photo, code, paintings, shares, strength):
        colours = encoder.recolour(photo, code)
        own = [colours, *encoder.transport(self._network.encoder, colours, code)]
        found = self._network.find(own, paintings)
        found = network.choose(found, paintings, shares)
        others = [*encoder.same_noise(photo), *encoder.edges(photo)]
        return self._network.decoder(
            self._network.show(own, paintings, found, others, code, strength)
        )


def load(name):
    """Loads the model; see `hub.load_model`."""
    return Stylizer()


def _pad(content):
    """Mirrors the right and bottom border up to sides that the network can halve."""
    rims = [
        (0, max(2 * encoder.STRIDE, -(-side // encoder.STRIDE) * encoder.STRIDE) - side)
        for side in content.shape[1:3]
    ]
    if not any(map(any, rims)):
        return content
    return np.pad(content, [(0, 0), *rims, (0, 0)], mode="reflect")
