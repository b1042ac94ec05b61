"""A painting as the slow methods know it: measured once for each size."""

import collections
import threading
from dataclasses import fields

import tensorflow as tf

from tf_style import color, images
from tf_style.config import GatysConfig, StyleConfig
from tf_style.images import Pixels, Size
from tf_style.networks.losses import Loss
from tf_style.optimization.objective import Objective
from tf_style.optimization.tiles import TiledObjective
from tf_style.system.errors import InvalidInput

# Sizes at which a style's measures are kept: three scales of some sizes of photos.
SIZES_KEPT = 16
# What an encoded style depends on.
STYLE_SETTINGS = (*(spec.name for spec in fields(StyleConfig)), "style_size")


class Style:
    """A painting, or several, as the optimisation knows them; made by `encode`.

    They are measured once for each size that photos ask for.

    Attributes:
        paintings: [1, H, W, 3] each.
        config: the `GatysConfig` that they were encoded for.
    """

    def __init__(self, paintings: list[Pixels], config: GatysConfig) -> None:
        self.paintings = paintings
        self.config = config
        self._measured = collections.OrderedDict()
        self._lock = threading.Lock()  # Jobs share a style between threads.

    def check_config(self, config: GatysConfig) -> None:
        """Holds the settings of a run to those that the style was encoded for.

        Raises:
            ValueError: it would be scaled, coloured or weighed in another way.
        """
        for name in STYLE_SETTINGS:
            value, own = getattr(config, name), getattr(self.config, name)
            if value != own:
                raise InvalidInput(
                    f"style was encoded with {name} {own!r}, and config has {value!r}; "
                    "encode it again with this config"
                )

    def size_beside(self, content_size: Size, size: Size) -> list[tuple[int, ...]]:
        """Returns height and width of each painting beside a photo scaled to `size`."""
        factor = self.config.style_scale * size[1] / content_size[1]
        longest = (self.config.style_size or max(content_size)) * factor
        return [images.fit(p.shape[1:3], longest) for p in self.paintings]

    def measure(
        self,
        objective: Objective | TiledObjective,
        loss: Loss,
        content: Pixels,
        photo: Pixels,
    ) -> list[list[tf.Tensor]]:
        """Returns the means that a loss takes of each painting, one per layer.

        Args:
            objective: measures them.
            loss: one that is held to the style.
            content: the photo, [1, H, W, 3].
            photo: the same at the size to work at.
        """
        sizes = self.size_beside(content.shape[1:3], photo.shape[1:3])
        if self.config.preserve_color != "none":  # Each photo gives them its colours.
            return self._measure(objective, loss, photo, sizes)
        key = (objective, loss, *sizes)
        with self._lock:
            if key not in self._measured:
                self._measured[key] = self._measure(objective, loss, photo, sizes)
            self._measured.move_to_end(key)
            if len(self._measured) > SIZES_KEPT:
                self._measured.popitem(last=False)
            return self._measured[key]

    def _measure(self, objective, loss, photo, sizes):
        measured = []
        for painting, size in zip(self.paintings, sizes):
            objective.extract.check_size(
                *size, "the style, scaled with the picture to a size"
            )
            scaled = images.resize(painting, *size)
            scaled = color.prepare(scaled, photo, self.config)
            measured.append(objective.statistics(scaled, loss))
        return measured
