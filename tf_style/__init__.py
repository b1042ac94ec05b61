"""Neural style transfer in TensorFlow, slow and fast.

    import tf_style as ts

    photo, painting = ts.load_image("photo.jpg"), ts.load_image("painting.jpg")
    ts.save_image("out.png", ts.stylize(photo, painting))

`stylize` repaints a photo in the style of a painting, by one of the methods:
`tf_style.hub` runs a one-pass model, Magenta's or our own; `tf_style.neighbors` gives
every spot of the picture the painting's nearest features (Kolkin et al., 2022);
`tf_style.gatys` optimises the pixels against VGG-19 features (Gatys et al., 2016).
`tf_style.compare` runs all of them on one pair and measures them alike.

Contracts, the same in every module:

* Pictures are float32 RGB in [0, 1], shaped [B, H, W, 3]: B batch (always 1 today),
  H height, W width; C stands for the channels of activations, [B, H, W, C]. Public
  functions take what `images.as_picture` accepts, and refuse anything else.
* All methods are called `stylize(content, style, config=None, *, masks=None)` and
  return a picture of exactly the content's height and width.
* Settings are the frozen dataclasses of `tf_style.config`; every default lives there.
* Every error that a user can cause is an `Error`.

Importing this package imports nothing heavy: modules load when they are used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # The same as below, for editors and type checkers.
    from tf_style import color, compare, config, images
    from tf_style.config import GatysConfig, HubConfig, NeighborsConfig
    from tf_style.fast import hub
    from tf_style.images import load_image, masks, save_image
    from tf_style.jobs import manifest, run
    from tf_style.jobs.job import Job
    from tf_style.methods import stylize
    from tf_style.networks import features, losses
    from tf_style.optimization import gatys, memory, neighbors
    from tf_style.system.errors import Error
    from tf_style.system.stop import StopToken
    from tf_style.video import flow

# The public modules, by their public names.
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
    "neighbors": "optimization.neighbors",
    "run": "jobs.run",
}
# Other public names, and their modules.
_NAMES = {
    "Error": "system.errors",
    "GatysConfig": "config",
    "HubConfig": "config",
    "Job": "jobs.job",
    "NeighborsConfig": "config",
    "StopToken": "system.stop",
    "load_image": "images",
    "save_image": "images",
    "stylize": "methods",
}

__all__ = [
    "Error",
    "GatysConfig",
    "HubConfig",
    "Job",
    "NeighborsConfig",
    "StopToken",
    "color",
    "compare",
    "config",
    "features",
    "flow",
    "gatys",
    "hub",
    "images",
    "load_image",
    "losses",
    "manifest",
    "masks",
    "memory",
    "neighbors",
    "run",
    "save_image",
    "stylize",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tf_style.{_MODULES[name]}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"tf_style.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'tf_style' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
