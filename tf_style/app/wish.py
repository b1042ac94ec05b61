"""What the page may ask for, and the job that it comes to."""

import reprlib
from dataclasses import dataclass
from pathlib import Path

from tf_style.config import (
    INITS,
    PRESERVED,
    GatysConfig,
    HubConfig,
)
from tf_style.jobs import modes
from tf_style.jobs.job import Job

# The longest side in pixels that each mode paints here. A larger picture takes the slow
# path minutes on a processor, and others wait for it.
MOST_SIDE = {"hub": 2048, "gatys": 1024, "compare": 1024}
LEAST_SIDE = 128
SIDE = modes.gatys.MAX_SIDE
MOST_STYLES = 4
MOST_STEPS = 1000
# As configs/quick.flags has it: most of the way, in less than a minute.
STEPS = 150
# By how much the slow path's weight of the style falls from full strength to none.
WEAKEST = 1e-3


@dataclass(frozen=True)
class Wish:
    """The settings of the page.

    Raises:
        ValueError: one is missing or out of bounds; one line that says which.
    """

    photo: str | None  # path
    styles: tuple[str, ...]  # paths
    mode: str
    strength: float = HubConfig.strength  # 0..1
    colors: str = HubConfig.preserve_color
    side: int = SIDE  # longest, in pixels
    steps: int = STEPS
    init: str = GatysConfig.init
    seed: int = GatysConfig.seed

    def __post_init__(self):
        if not self.photo:
            raise ValueError("Choose a photo first")
        if not self.styles:
            raise ValueError("Choose a style first")
        if len(self.styles) > MOST_STYLES:
            raise ValueError(
                f"{len(self.styles)} styles are too many; mix at most {MOST_STYLES}"
            )
        _choice("mode", self.mode, modes.MODES)
        _choice("colours", self.colors, PRESERVED)
        _choice("beginning", self.init, INITS)
        _range("strength", self.strength, 0, 1)
        _range("size", self.side, LEAST_SIDE, MOST_SIDE[self.mode])
        _range("steps", self.steps, 1, MOST_STEPS)
        _range("seed", self.seed, 0, 2**31 - 1)

    def to_job(self, mode, folder):
        """Returns the `Job` that paints this in a mode, into a folder."""
        common = {"preserve_color": self.colors}
        return Job(
            contents=(self.photo,),
            styles=self.styles,
            output=f"{Path(folder)}/",
            mode=mode,
            style_blend=True,
            max_side=int(self.side),
            checkpoint_every=0,
            gatys=GatysConfig(
                style_weight=GatysConfig.style_weight * WEAKEST ** (1 - self.strength),
                steps=int(self.steps),
                init=self.init,
                seed=int(self.seed),
                **common,
            ),
            hub=HubConfig(strength=float(self.strength), **common),
        )


def _choice(name, value, allowed):
    if not isinstance(value, str) or value not in allowed:
        said = reprlib.repr(value)
        raise ValueError(f"{name} is {said}; it must be one of {', '.join(allowed)}")


def _range(name, value, low, high):
    # True is a number to Python; NaN is in no range.
    if type(value) not in (int, float) or not low <= value <= high:
        said = reprlib.repr(value)
        raise ValueError(f"{name} is {said}; it must be from {low} to {high}")
