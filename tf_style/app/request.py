"""What the page may ask for, and the job that it becomes."""

from dataclasses import dataclass
from pathlib import Path

from tf_style.config import INITS, PRESERVED, GatysConfig, HubConfig, NeighborsConfig
from tf_style.jobs import modes
from tf_style.jobs.job import Job
from tf_style.system import checks

# The longest side in pixels that each mode may work at here. On a processor, one that
# has steps takes minutes for a larger picture, and others wait for it.
MAX_SIDE = {
    name: 1024 if mode.HAS_STEPS else 2048 for name, mode in modes.MODES.items()
}
MIN_SIDE = 128
DEFAULT_SIDE = modes.gatys.MAX_SIDE
MAX_STYLES = 4
MAX_STEPS = 1000
# As in configs/quick.flags: most of the effect, in less than a minute.
DEFAULT_STEPS = 150
MAX_SEED = 2**31 - 1
# At strength 0, the factor on gatys' style weight, which is 1 at full strength, and the
# content weight of neighbors, which is 0 then.
WEAKEST = 1e-3
MAX_CONTENT_WEIGHT = 0.6


@dataclass(frozen=True)
class StylizeRequest:
    """The page's settings for one picture.

    Raises:
        ValueError: one is missing or out of bounds; one line that says which.
    """

    photo: str | None  # path
    styles: tuple[str, ...]  # paths
    mode: str
    strength: float = HubConfig.strength  # 0..1
    colors: str = HubConfig.preserve_color
    side: int = DEFAULT_SIDE  # longest, in pixels
    steps: int = DEFAULT_STEPS
    init: str = GatysConfig.init
    seed: int = GatysConfig.seed
    neighbors_steps: int = NeighborsConfig.steps

    def __post_init__(self):
        if not self.photo:
            raise ValueError("Choose a photo first")
        if not self.styles:
            raise ValueError("Choose a style first")
        if len(self.styles) > MAX_STYLES:
            raise ValueError(
                f"{len(self.styles)} styles are too many; mix at most {MAX_STYLES}"
            )
        checks.make_plain(self)
        checks.choice(self, "mode", modes.MODES)
        checks.choice(self, "colors", PRESERVED)
        checks.choice(self, "init", INITS)
        checks.number(self, "strength", 0, 1)
        checks.number(self, "side", MIN_SIDE, MAX_SIDE[self.mode])
        checks.number(self, "steps", 1, MAX_STEPS)
        checks.number(self, "neighbors_steps", 1, MAX_STEPS)
        checks.number(self, "seed", 0, MAX_SEED)

    def to_job(self, mode, folder):
        """Returns the `Job` that makes this picture in a mode, in a folder."""
        colors = {"preserve_color": self.colors}
        return Job(
            contents=(self.photo,),
            styles=self.styles,
            output=f"{Path(folder)}/",
            mode=mode,
            style_blend=True,
            max_side=self.side,
            checkpoint_every=0,
            gatys=GatysConfig(
                style_weight=GatysConfig.style_weight * WEAKEST ** (1 - self.strength),
                steps=self.steps,
                init=self.init,
                seed=self.seed,
                **colors,
            ),
            neighbors=NeighborsConfig(
                content_weight=MAX_CONTENT_WEIGHT * (1 - self.strength),
                steps=self.neighbors_steps,
                **colors,
            ),
            hub=HubConfig(strength=self.strength, **colors),
        )
