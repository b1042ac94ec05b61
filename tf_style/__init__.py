"""Neural style transfer in TensorFlow, slow and fast.

`tf_style` repaints a photo in the style of a painting. `tf_style.gatys` optimises the
pixels against VGG-19 features (Gatys et al., 2016), `tf_style.hub` runs Magenta's
one-pass model, `tf_style.compare` does both on one pair and measures them alike.

Contracts, the same in every module:

* Pictures are float32 RGB in [0, 1], shaped [B, H, W, 3]: B batch (always 1 today),
  H height, W width; C stands for the channels of activations, [B, H, W, C]. Public
  functions take what `images.as_picture` takes, and refuse all else in one line.
* Both engines are called `stylize(content, style, config=None, *, masks=None)` and
  return a picture of exactly the content's height and width.
* Settings are the frozen dataclasses of `tf_style.config`; every default lives there.

Importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
