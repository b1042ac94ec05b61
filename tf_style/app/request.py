"""What may be asked for, and the job that it becomes."""

import math
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tf_style import images
from tf_style.config import (
    MAX_SECONDS,
    GatysConfig,
    HubConfig,
    NeighborsConfig,
    StyleConfig,
    help_of,
)
from tf_style.jobs.job import Job

# The longest side in pixels that each method may work at here. On a processor, one that
# has steps takes minutes for a larger picture, and others wait for it.
MAX_SIDE = {"hub": 2048, "neighbors": 1024, "gatys": 1024}
MIN_SIDE = 64
MAX_STYLES = 4
# In bytes, of a file: what phones' cameras need.
MAX_BYTES = 64 << 20
# As in configs/quick.flags: most of the effect, in less than a minute.
STEPS = {"hub": 1, "neighbors": NeighborsConfig.steps, "gatys": 150}
# At strength 0, the factor on gatys' style weight, which is 1 at full strength, and the
# content weight of neighbors, which is 0 then.
WEAKEST = 1e-3
MAX_CONTENT_WEIGHT = 0.6


Method = Literal["hub", "neighbors", "gatys"]


class Settings(BaseModel):
    """How one picture is to be painted."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: Method = Field(
        default="hub",
        description="hub takes one pass; neighbors seconds; gatys minutes.",
    )
    strength: float = Field(
        default=1.0, ge=0, le=1, description=help_of(HubConfig, "strength")
    )
    stroke: float = Field(
        default=1.0, ge=0.25, le=4, description=help_of(StyleConfig, "style_scale")
    )
    colors: Literal["none", "luminance", "covariance", "histogram"] = Field(
        default="none", description=help_of(StyleConfig, "preserve_color")
    )
    side: int = Field(
        default=0,
        ge=0,
        le=MAX_SIDE["hub"],
        description="Longest side of the picture in pixels, at most; 0 keeps the "
        f"photo's, up to {MAX_SIDE['hub']}, or {MAX_SIDE['gatys']} for methods with "
        "steps.",
    )
    steps: int = Field(
        default=0,
        ge=0,
        le=1000,
        description=help_of(GatysConfig, "steps") + " 0: as many as suit the method.",
    )

    def max_side(self):
        """Returns the longest side that the picture may have, in pixels."""
        most = MAX_SIDE[self.method]
        return max(MIN_SIDE, min(self.side or most, most))

    def fit(self, size):
        """Returns the width and height at which a photo is painted."""
        side = self.max_side()
        return images.fit(size, side) if max(size) > side else tuple(size)

    def count_steps(self):
        """Returns the number of steps; of the method without any, 1."""
        return (self.method != "hub" and self.steps) or STEPS[self.method]

    def to_job(self, photo, styles, folder, weights=(), mask=None, **changes):
        """Returns the `Job` that paints a picture.

        Args:
            photo, mask: paths; mask may be None.
            styles: paths.
            folder: for what is made.
            weights: one for each style; empty: all alike.
            changes: other settings of the job.
        """
        common = {
            "preserve_color": self.colors,
            "style_scale": self.stroke,
            "style_weights": tuple(weights),
        }
        with_steps = common | {"steps": self.count_steps()}
        settings = {
            "contents": (str(photo),),
            "styles": tuple(map(str, styles)),
            "output": f"{Path(folder)}/",
            "mode": self.method,
            "style_blend": True,
            "masks": (str(mask),) if mask else (),
            "max_side": self.max_side(),
            # None but that of a picture that is stopped, from which it goes on.
            "checkpoint_every": MAX_SECONDS,
            "gatys": GatysConfig(
                style_weight=GatysConfig.style_weight * WEAKEST ** (1 - self.strength),
                init="hub",
                **with_steps,
            ),
            "neighbors": NeighborsConfig(
                content_weight=MAX_CONTENT_WEIGHT * (1 - self.strength), **with_steps
            ),
            "hub": HubConfig(strength=self.strength, **common),
        }
        return Job(**settings | changes)


def check_weights(weights, styles):
    """Returns the weights of so many styles; of a single one, none.

    Raises:
        ValueError: they are not one for each, or cannot be used.
    """
    usable = all(math.isfinite(w) and 0 <= w <= 1 for w in weights)
    if weights and not (len(weights) == styles and usable and sum(weights) > 0):
        raise ValueError(
            f"weights are {len(weights)} for {styles} paintings; give one from 0 to 1 "
            "for each, not all 0"
        )
    return tuple(weights) if styles > 1 else ()
