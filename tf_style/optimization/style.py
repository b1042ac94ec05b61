"""Encoded styles of the slow methods: measured once for each size."""

import collections
import threading
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from tf_style import color, images
from tf_style.config import SlowConfig, StyleConfig
from tf_style.images import Pixels, Size
from tf_style.networks.backbone import Backbone
from tf_style.system.errors import InvalidInput

# Number of sizes for which measurements are kept: three scales of a few photo sizes.
SIZES_KEPT = 16
# The settings that an encoded style depends on.
STYLE_SETTINGS = (*(spec.name for spec in fields(StyleConfig)), "style_size")


class Style:
    """One or more paintings, prepared by `encode`.

    They are measured once for each size of photos.

    Attributes:
        paintings: [1, H, W, 3] each.
        config: the config that they were encoded with.
    """

    def __init__(self, paintings: list[Pixels], config: SlowConfig) -> None:
        self.paintings = paintings
        self.config = config
        self._measured = collections.OrderedDict()
        self._lock = threading.Lock()  # Jobs share a style between threads.

    def check_config(self, config: SlowConfig) -> None:
        """Checks that the settings of a run are those that the style was encoded with.

        Raises:
            ValueError: a setting of styles differs.
        """
        for name in STYLE_SETTINGS:
            value, own = getattr(config, name), getattr(self.config, name)
            if value != own:
                raise InvalidInput(
                    f"style was encoded with {name} {own!r}, and config has {value!r}; "
                    "encode it again with this config"
                )

    def size_beside(self, content_size: Size, size: Size) -> list[tuple[int, ...]]:
        """Returns each painting's height and width for a photo scaled to `size`."""
        factor = self.config.style_scale * size[1] / content_size[1]
        longest = (self.config.style_size or max(content_size)) * factor
        return [images.fit(p.shape[1:3], longest) for p in self.paintings]

    def measure(
        self,
        measure: Callable[[Pixels], Any],
        key: tuple[Any, ...],
        extract: Backbone,
        content: Pixels,
        photo: Pixels,
    ) -> list[Any]:
        """Returns the measurements of each painting.

        Args:
            measure: a function of paintings, [1, H, W, 3].
            key: identifies what it measures, for caching.
            extract: the network that it uses.
            content: the photo, [1, H, W, 3].
            photo: the photo at the working size.
        """
        sizes = self.size_beside(content.shape[1:3], photo.shape[1:3])
        if self.config.preserve_color != "none":  # Each photo gives them its colours.
            return self._measure(measure, extract, photo, sizes)
        key = (key, *sizes)
        with self._lock:
            if key not in self._measured:
                self._measured[key] = self._measure(measure, extract, photo, sizes)
            self._measured.move_to_end(key)
            if len(self._measured) > SIZES_KEPT:
                self._measured.popitem(last=False)
            return self._measured[key]

    def _measure(self, measure, extract, photo, sizes):
        measured = []
        for painting, size in zip(self.paintings, sizes):
            extract.check_size(*size, "the style, scaled with the picture to a size")
            scaled = images.resize(painting, *size)
            scaled = color.prepare(scaled, photo, self.config)
            measured.append(measure(scaled))
        return measured
