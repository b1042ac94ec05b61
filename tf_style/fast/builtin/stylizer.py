"""The built-in stylizer: any style in one pass, without a network.

The photo's colours, and its activations in three layers of the built-in backbone, are
moved to the style's means and covariances in closed form (`moments`); a decoder
(`decoder`), the only part that was trained, paints a picture from them, whose colours
get the style's means and deviations. The style enters as these moments and nothing
else: they are its code.
"""

import functools
import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_style.fast.builtin import decoder, encoder, large, steady
from tf_style.networks import keras_settings, second_moments, small_vgg
from tf_style.system import files

# Weights as float16, in the order of the decoder's.
WEIGHTS = Path(__file__).with_name("stylizer.npz")
# Pixels from which a picture is painted in tiles. One pass of so many takes 1.7 GB.
MOST_PIXELS = 1 << 22


class Stylizer:
    """The built-in stylizer, ready to paint.

    Attributes:
        name, source, checksum, style_size, style_side: as of other models.
    """

    name = "builtin"
    source = str(WEIGHTS)
    # Longest side at which a style is coded. Measured on pictures of 512 pixels: 341
    # makes small squares of texture too strong, from 420 to 512 it matters little.
    style_size, style_side = 460, staticmethod(max)
    # It is halved three times.
    least_style_side = 16
    code_shape = (second_moments.CODE_SIZE,)
    # Four pictures of 256x256 pixels take a quarter less time than one by one; larger
    # ones take more.
    batch_pixels = 1 << 18

    def __init__(self):
        sums = [files.sha256(path) for path in (small_vgg.WEIGHTS, WEIGHTS)]
        self.checksum = hashlib.sha256("".join(sums).encode()).hexdigest()
        with keras_settings.defaults():
            self._build(encoder.fastest_policy())
        # Of one picture, the network knows a faster way.
        self._one, self._several = self._compile(1), self._compile(None)

    def _build(self, dtype):
        self._encoder = encoder.build(dtype)
        self._decoder = decoder.build(dtype, start="zeros")
        decoder.read(self._decoder, WEIGHTS)
        self._large = large.Large(self._encoder, self._decoder)
        self._steady = steady.Steady(self._encoder, self._decoder)

    def _compile(self, count):
        """Returns the functions that encode, and that paint, so many pictures."""
        pictures = tf.TensorSpec([count, None, None, 3])
        codes = tf.TensorSpec([count, second_moments.CODE_SIZE])
        return (
            tf.function(lambda image: encoder.encode(self._encoder, image), [pictures]),
            tf.function(self._stylize, [pictures, codes]),
        )

    def encode(self, style):
        """Returns the code of a style [1, H, W, 3] in [0, 1], [CODE_SIZE]."""
        encode, _ = self._one
        return encode(tf.constant(style, tf.float32))[0].numpy()

    def paint(self, content, codes, weights, strength, memory=None):
        """Repaints `content` in a mixture of styles.

        Args:
            content: photos, [B, H, W, 3] in [0, 1], of any size.
            codes: as from `encode`.
            weights: a share for each, all together 1.
            strength: 0 gives back the photo, 1 the style; between them the code is
                mixed with the photo's own.
            memory: of frames of a film, whose statistics are smoothed over time, a dict
                that is empty at first. Frames of more than `MOST_PIXELS` go without.

        Returns:
            float32 [B, H, W, 3] in [0, 1].
        """
        content = np.asarray(content, np.float32)
        if strength == 0:
            return content
        height, width = content.shape[1:3]
        padded = _pad(content)
        code = np.average(codes, axis=0, weights=weights).astype(np.float32)
        code = np.repeat(code[None], len(content), 0)
        encode, paint = self._one if len(content) == 1 else self._several
        if height * width > MOST_PIXELS:
            encode, paint = self._large.encode, self._large.paint
        elif memory is not None:
            paint = functools.partial(self._steady.paint, memory=memory)
        if strength < 1:
            own = encode(padded)
            code = own + strength * (code - own)
        painted = np.asarray(paint(padded, code))[:, :height, :width]
        # The decoder does not quite give back a photo from its own code.
        return content + (1 - (1 - strength) ** 3) * (painted - content)

    def _stylize(self, photo, code):
        transported, known = encoder.prepare(self._encoder, photo, code)
        return self._decoder([*transported, *encoder.same_noise(photo), known])


def load(name):
    """Loads the model; see `hub.load_model`."""
    return Stylizer()


def _pad(content):
    """Mirrors the right and lower rim up to sides that the network can halve."""
    rims = [
        (0, max(2 * encoder.STRIDE, -(-side // encoder.STRIDE) * encoder.STRIDE) - side)
        for side in content.shape[1:3]
    ]
    return np.pad(content, [(0, 0), *rims, (0, 0)], mode="reflect")
