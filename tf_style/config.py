"""Every setting and its default, checked when it is made.

Flags (`cli`), notebooks and tests all build these dataclasses; nothing else holds a
default. A bad value raises `ValueError` that names the field, the value and what is
allowed. NumPy's numbers, paths and lists are taken, and kept as plain Python numbers,
text and tuples, so that a config is always ready for JSON.
"""

import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from tf_style.system import checks
from tf_style.system.checks import checked
from tf_style.system.errors import InvalidInput

MAGENTA_HANDLE = "https://tfhub.dev/google/magenta/arbitrary-image-stylization-v1-256/2"

# The fast models, and the modules that load them. A new one is a module with
# `load(name)`, as `fast.hub.load_model` describes it, and a line here.
FAST_MODELS = {
    "magenta": "tf_style.fast.magenta",
    "builtin": "tf_style.fast.builtin.stylizer",
}

# Values that are names; anything else in these settings is a path or a URL.
MODELS = ("auto", *FAST_MODELS)
BACKBONES = ("auto", "vgg19", "builtin")
INITS = ("content", "noise", "hub", "builtin")
NAMES = {"model": MODELS, "backbone": BACKBONES, "init": INITS}

OPTIMIZERS = ("lbfgs", "adam")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
POOLINGS = ("auto", "max", "average")
PRESERVED = ("none", "luminance", "covariance", "histogram")


# The losses that charts draw, in colours that are legible on white and on black.
LOSS_COLORS = {"style": "#e8710a", "content": "#3b82d6"}

# The most pixels a side that a setting may ask for: beyond any picture.
MAX_SIDE = 1_000_000

MAX_STEPS = 1_000_000
# The longest time that a setting may ask for: a month.
MAX_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class StyleConfig:
    """Settings that mean the same on both paths."""

    # One weight for each of several styles that are blended, made to sum to one; empty
    # means all alike. Optimising takes the mean of their correlations, "builtin" paints
    # in the mixed style, and of other models the pictures are mixed.
    style_weights: tuple[float, ...] = ()
    # Factor on the size of the style, and so of the strokes: 2 doubles them.
    style_scale: float = 1.0
    # What the picture keeps of the photo's colours: "none"; "luminance" keeps hue and
    # saturation of every place, "covariance" the mean and spread of colours,
    # "histogram" the distribution of red, green and blue.
    preserve_color: str = "none"
    # From 0, the style's colours, to 1, the photo's, as far as `preserve_color` goes.
    color_strength: float = 1.0

    def __post_init__(self):
        checks.make_plain(self)
        checks.check(
            self,
            "style_weights",
            all(0 <= weight <= checks.LARGEST for weight in self.style_weights)
            and (not self.style_weights or sum(self.style_weights) > 0),
            "numbers from 0 up, not all 0",
        )
        checks.number(self, "style_scale", 0.25, 4)
        checks.choice(self, "preserve_color", PRESERVED)
        checks.number(self, "color_strength", 0, 1)

    def share_among(self, styles: int) -> list[float]:
        """Returns the share of each of so many styles, all together 1.

        Raises:
            ValueError: there is not one weight for each.
        """
        weights = self.style_weights or [1.0] * styles
        if len(weights) != styles:
            raise InvalidInput(
                f"style_weights are {len(weights)} numbers for {styles} styles; "
                "give one for each"
            )
        return [weight / sum(weights) for weight in weights]

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """Yields the settings that do nothing beside the others, and where that is."""
        if self.preserve_color == "none":
            yield "color_strength", "without preserve_color"
        if len(self.style_weights) == 1:
            yield "style_weights", "with one style"


@dataclass(frozen=True)
class SlowConfig(StyleConfig):
    """Settings that mean the same in all methods that optimise the picture."""

    # Features: "vgg19" (Keras' ImageNet weights), "builtin" (our small copy of it, nine
    # times as fast), "auto" (the first if it is cached or can be downloaded, else the
    # second), or the path of a Keras weights file of VGG-19.
    backbone: str = "auto"
    # "max" as VGG was trained; "average" as in Gatys et al. (2016); "auto": average for
    # "builtin", with which pictures come three times as near to the style and hold its
    # colours, and max for VGG-19, with which they do not.
    pooling: str = "auto"
    # What the backbone computes in; "auto": bfloat16 where there are matrix units for
    # it, else float32. Losses and the picture are always float32.
    precision: str = "auto"
    # Of a film, larger holds a frame more to the one before, moved with what moves.
    temporal_weight: float = 0.0
    # First picture: "content", "noise", "hub" (what the fast path makes of the pair),
    # "builtin" (what the built-in fast model makes of it), or the path of a picture.
    init: str = "content"
    # Updates of the picture, all scales together.
    steps: int = 300
    # Seconds that the optimisation may take, in place of steps; 0 counts steps.
    time_budget: float = 0.0
    # Sizes to work at, coarse to fine, each twice the one before; more gives larger
    # and more coherent strokes. 0 begins at 256 pixels or less, so that pictures of all
    # sizes begin alike.
    scales: int = 0
    # "lbfgs" comes as far as Adam in half the steps; "adam" is the tutorial's.
    optimizer: str = "lbfgs"
    # The most that a pixel moves in one update of Adam, of a range of 1; for L-BFGS the
    # mean move in the first, after which it finds its own.
    learning_rate: float = 0.02
    # Adam's memory of past gradients, 0 to below 1; longer is smoother.
    beta1: float = 0.9
    # Adam's floor under the gradient's size; it is in units of the loss's gradient.
    epsilon: float = 1e-7
    # Longest side of the style, in pixels; 0 makes it the picture's, so that strokes
    # keep their size relative to the picture.
    style_size: int = 0
    # Side in pixels of the tiles that the picture is worked on in, which needs less
    # memory and more time; 0 makes tiles where the whole would not fit.
    tile: int = 0
    # Seed of the noise of init="noise".
    seed: int = 0
    # Keeps to operations that give the same bits whenever they are repeated on one
    # machine, in all of the process from then on.
    deterministic: bool = False

    def __post_init__(self):
        super().__post_init__()
        checks.choice(self, "pooling", POOLINGS)
        checks.choice(self, "precision", PRECISIONS)
        checks.choice(self, "optimizer", OPTIMIZERS)
        for name in ("backbone", "init"):
            checks.check(self, name, getattr(self, name) != "", "a name or a path")
        for spec in fields(self):
            if spec.name.endswith("layers"):
                layers = getattr(self, spec.name)
                checks.check(self, spec.name, len(layers) > 0, "at least one layer")
            if spec.name.endswith("_weight"):
                checks.number(self, spec.name, 0, math.inf)
        checks.number(self, "steps", 1, MAX_STEPS)
        checks.number(self, "time_budget", 0, MAX_SECONDS)
        checks.number(self, "scales", 0, 8)
        checks.number(self, "learning_rate", 0, 1, above=True)
        checks.number(self, "beta1", 0, 0.9999)
        # Larger does not fit into float32.
        checks.number(self, "epsilon", 0, 1e38, above=True)
        checks.number(self, "style_size", 0, MAX_SIDE)
        checks.check(
            self,
            "tile",
            self.tile == 0 or (32 <= self.tile <= MAX_SIDE and self.tile % 2 == 0),
            "0 or an even number from 32",
        )
        checks.number(self, "seed", 0, 2**63 - 1)

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """As of `StyleConfig`."""
        yield from super().without_effect()
        if self.optimizer == "lbfgs":
            yield "beta1", "with optimizer=lbfgs"
            yield "epsilon", "with optimizer=lbfgs"
        if self.init != "noise":
            yield "seed", "without init=noise"
        if self.time_budget:
            yield "steps", "beside time_budget"


@dataclass(frozen=True)
class GatysConfig(SlowConfig):
    """Settings of optimising towards Gram matrices (`tf_style.gatys`)."""

    # Layers whose activations hold the photo's structure; deeper keeps less detail.
    content_layers: tuple[str, ...] = ("block4_conv2",)
    # Layers whose channel correlations hold the style; deeper means larger patterns.
    style_layers: tuple[str, ...] = (
        "block1_conv1",
        "block2_conv1",
        "block3_conv1",
        "block4_conv1",
        "block5_conv1",
    )
    # One weight per style layer, made to sum to one; empty means all alike.
    style_layer_weights: tuple[float, ...] = ()
    # Larger keeps more of the photo. Only the ratios of the three weights matter.
    content_weight: float = 1.0
    # Larger paints more strongly.
    style_weight: float = 1e-3
    # Larger smooths more; removes speckle first, then fine strokes.
    tv_weight: float = 0.0
    # 1e5 lets strokes of a film follow a change of light sooner.
    temporal_weight: float = 1e6

    def __post_init__(self):
        super().__post_init__()
        weights = self.style_layer_weights
        checks.check(
            self,
            "style_layer_weights",
            len(weights) in (0, len(self.style_layers))
            and all(0 <= weight <= checks.LARGEST for weight in weights)
            and (not weights or sum(weights) > 0),
            "none, or one number from 0 up for each of the "
            f"{len(self.style_layers)} style layers, not all 0",
        )


@dataclass(frozen=True)
class NeighborsConfig(SlowConfig):
    """Settings of optimising towards nearest neighbours (`tf_style.neighbors`)."""

    # Layers whose activations become the painting's; deeper means larger motifs.
    layers: tuple[str, ...] = (
        "block2_conv1",
        "block2_conv2",
        "block3_conv1",
        "block3_conv2",
    )
    # Share of the photo, from 0 to 1, in what looks for its likes in the
    # painting; the rest is the picture so far. 0.3 keeps more of the photo.
    content_weight: float = 0.0
    temporal_weight: float = 20.0
    init: str = "builtin"
    steps: int = 36
    learning_rate: float = 0.01

    def __post_init__(self):
        super().__post_init__()
        checks.number(self, "content_weight", 0, 1)


@dataclass(frozen=True)
class HubConfig(StyleConfig):
    """Settings of the fast path (`tf_style.hub`)."""

    # "magenta", "builtin" (our own), "auto" (the first if it is cached or can be
    # downloaded, else the second), or the URL or folder of a SavedModel that is called
    # as Magenta's.
    model: str = "auto"
    # Size of the style, in pixels; larger gives larger strokes. 0 is what suits the
    # model: for "builtin" 460 along the longest side, for others 256 along the shorter.
    style_size: int = 0
    # From 0, the photo, to 1, the style. "builtin" paints less; of other models the
    # painted picture is mixed with the photo.
    strength: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        allowed = f"{', '.join(MODELS)}, a URL or a folder"
        checks.check(self, "model", self.model != "", allowed)
        checks.number(self, "strength", 0, 1)
        # Magenta's network sees nothing smaller.
        size = self.style_size
        allowed = "0 or from 43 to 4096"
        checks.check(self, "style_size", size == 0 or 43 <= size <= 4096, allowed)


@dataclass(frozen=True, kw_only=True)
class MethodConfigs:
    """The settings of each method of `tf_style.methods`, by its name."""

    gatys: GatysConfig = field(default_factory=GatysConfig)
    neighbors: NeighborsConfig = field(default_factory=NeighborsConfig)
    hub: HubConfig = field(default_factory=HubConfig)

    def __post_init__(self):
        for spec in fields(MethodConfigs):
            config = checked(getattr(self, spec.name), spec.type, spec.name)
            object.__setattr__(self, spec.name, config)


def __getattr__(name):
    # A job is more than settings, and lives with the jobs; callers know it from here.
    if name == "Job":
        return importlib.import_module("tf_style.jobs.job").Job
    raise AttributeError(f"module 'tf_style.config' has no attribute {name!r}")
