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

Importing this package imports nothing heavy: its modules are loaded when they are used.
"""

import importlib

__version__ = "0.1.0"

# The public modules, under the names by which they are known.
_MODULES = {
    "color": "color",
    "compare": "compare",
    "config": "config",
    "features": "networks.features",
    "flow": "video.flow",
    "gatys": "optimization.gatys",
    "hub": "fast.hub",
    "images": "images",
    "losses": "networks.losses",
    "manifest": "jobs.manifest",
    "masks": "images.masks",
    "memory": "optimization.memory",
    "run": "jobs.run",
}


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"tf_style.{_MODULES[name]}")
    raise AttributeError(f"module 'tf_style' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_MODULES])
