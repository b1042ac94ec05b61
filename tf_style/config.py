"""Every setting: its default, its check and its explanation.

Flags (`cli`), the page, notebooks and tests all build these dataclasses. Nothing else
holds a default or explains a setting: `--help`, the tables of the guide, the API page
and the endpoint's description take their texts from here, by `help_of`.

A bad value raises `ValueError`, which names the field, the value and what is allowed.
NumPy numbers, paths and lists are accepted and stored as plain Python numbers, strings
and tuples, so a config can always be written as JSON.
"""

import importlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from tf_style.system import checks
from tf_style.system.checks import checked
from tf_style.system.errors import InvalidInput

MAGENTA_HANDLE = "https://tfhub.dev/google/magenta/arbitrary-image-stylization-v1-256/2"

# The fast models and the modules that load them. To add one, write a module with
# `load(name)`, as `fast.hub.load_model` describes, and add a line here.
FAST_MODELS = {
    "magenta": "tf_style.fast.magenta",
    "builtin": "tf_style.fast.builtin.stylizer",
}

# Names that these settings accept; anything else is a path or a URL.
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

# Upper bounds of settings: pixels a side (more than any picture has), steps, and
# seconds (a month).
MAX_SIDE = 1_000_000
MAX_STEPS = 1_000_000
MAX_SECONDS = 30 * 24 * 3600


def setting(default: Any, text: str, choices: Sequence[str] = ()) -> Any:
    """Declares a field of a config.

    Args:
        default: its default.
        text: its explanation, shown by `--help`, the guide and the API page.
        choices: the values that it accepts; empty: any that pass the config's checks.
    """
    return field(default=default, metadata={"help": text, "choices": tuple(choices)})


def help_of(config: Any, name: str) -> str:
    """Returns the explanation of a setting, as in `help_of(GatysConfig, "steps")`.

    Args:
        config: a config, or its class.
        name: name of one of its fields.

    Raises:
        KeyError: it has no such field, or the field has no explanation.
    """
    return config.__dataclass_fields__[name].metadata["help"]


@dataclass(frozen=True)
class StyleConfig:
    """Settings that mean the same for every method."""

    # Slow methods average the Gram matrices or pool the neighbours, "builtin" paints in
    # the mixed style, and the pictures of other models are averaged.
    style_weights: tuple[float, ...] = setting(
        (),
        "Blend several styles, with one weight for each; only their ratios matter. "
        "Empty weighs all styles equally.",
    )
    style_scale: float = setting(
        1.0,
        "Factor on the size of the painting, and so of its strokes: 2 doubles them. "
        "From 0.25 to 4.",
    )
    preserve_color: str = setting(
        "none",
        "What to keep of the photo's colours: the hue and saturation of every pixel "
        "(luminance), the mean and spread of its colours (covariance), or the "
        "distribution of red, green and blue (histogram).",
        PRESERVED,
    )
    color_strength: float = setting(
        1.0,
        "How much of the photo's colours preserve_color keeps, from 0 (none) to 1 "
        "(all).",
    )

    def __post_init__(self):
        checks.make_plain(self)
        checks.check(
            self,
            "style_weights",
            all(0 <= weight <= checks.LARGEST for weight in self.style_weights)
            and (not self.style_weights or sum(self.style_weights) > 0),
            "numbers from 0 up, not all 0",
        )
        for spec in fields(self):
            if choices := spec.metadata.get("choices"):
                checks.choice(self, spec.name, choices)
        checks.number(self, "style_scale", 0.25, 4)
        checks.number(self, "color_strength", 0, 1)

    def share_among(self, styles: int) -> list[float]:
        """Returns the share of each style; they add up to 1.

        Args:
            styles: the number of styles.

        Raises:
            ValueError: the number of weights differs from that of styles.
        """
        weights = self.style_weights or [1.0] * styles
        if len(weights) != styles:
            raise InvalidInput(
                f"style_weights has {len(weights)} numbers for {styles} styles; "
                "give one for each style"
            )
        return [weight / sum(weights) for weight in weights]

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """Yields each setting that the others make useless, and the reason."""
        if self.preserve_color == "none":
            yield "color_strength", "without preserve_color"
        if len(self.style_weights) == 1:
            yield "style_weights", "with one style"


@dataclass(frozen=True)
class SlowConfig(StyleConfig):
    """Settings that mean the same for every method that optimises the picture."""

    backbone: str = setting(
        "auto",
        "Feature network: vgg19 (Keras' ImageNet weights), builtin (our small copy, "
        "several times as fast), auto (vgg19 if it is cached or can be downloaded, "
        "else builtin), or the path of a file of Keras weights for VGG-19.",
    )
    # Max is what VGG-19 was trained with, average what Gatys et al. (2016) use. With
    # the built-in backbone, average comes three times as near to the style and holds
    # its colours; with VGG-19 it does not.
    pooling: str = setting(
        "auto",
        "Pooling of the backbone; auto is average for builtin and max for VGG-19.",
        POOLINGS,
    )
    # Losses and the picture are always float32.
    precision: str = setting(
        "auto",
        "Number format in which the backbone computes; auto is bfloat16 on processors "
        "that speed it up, else float32.",
        PRECISIONS,
    )
    temporal_weight: float = setting(
        0.0,
        "Films only: weight of the loss that ties each frame to the one before. Higher "
        "flickers less; lower lets strokes follow changes of light sooner.",
    )
    init: str = setting(
        "content",
        "Picture to start from: content (the photo), noise, hub (the result of the "
        "fast method), builtin (the result of the built-in fast model), or the path of "
        "a picture.",
    )
    steps: int = setting(300, "Number of updates of the picture, over all scales.")
    time_budget: float = setting(
        0.0,
        "Seconds that the optimisation may take; it replaces steps. On the command "
        "line, start-up counts too. 0 sets no limit.",
    )
    scales: int = setting(
        0,
        "Number of sizes to work at, from coarse to fine, each twice the one before. "
        "More scales give larger, more coherent strokes. 0 starts at 256 pixels or "
        "less, so that strokes look alike at every size.",
    )
    optimizer: str = setting(
        "lbfgs",
        "Update rule. lbfgs gets as far as adam in half the steps.",
        OPTIMIZERS,
    )
    learning_rate: float = setting(
        0.02,
        "With adam, the largest change of a pixel in one step, for pixels from 0 to 1. "
        "With lbfgs, the mean change in the first step; later steps find their own "
        "size.",
    )
    beta1: float = setting(
        0.9,
        "How long adam remembers past gradients, from 0 to below 1; higher is "
        "smoother.",
    )
    epsilon: float = setting(
        1e-7,
        "Lower bound on the gradient's size in adam's update, in units of the loss's "
        "gradient. Large values slow it down.",
    )
    style_size: int = setting(
        0,
        "Longest side of the painting, in pixels; larger gives larger strokes. 0 takes "
        "the photo's, so that strokes keep their size relative to the picture.",
    )
    tile: int = setting(
        0,
        "Side of the tiles in which the picture is processed, in pixels (even, 32 or "
        "more). Tiles need less memory and more time, and give the same picture. 0 "
        "uses them only where the whole picture would not fit; in neighbors also above "
        "2 megapixels.",
    )
    seed: int = setting(0, "Seed of the noise that init=noise starts from.")
    # It applies to the whole process from then on.
    deterministic: bool = setting(
        False, "Give exactly the same pixels on every run on the same machine."
    )

    def __post_init__(self):
        super().__post_init__()
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
        # Larger values overflow float32.
        checks.number(self, "epsilon", 0, 1e38, above=True)
        checks.number(self, "style_size", 0, MAX_SIDE)
        checks.check(
            self,
            "tile",
            self.tile == 0 or (32 <= self.tile <= MAX_SIDE and self.tile % 2 == 0),
            "0, or an even number from 32",
        )
        checks.number(self, "seed", 0, 2**63 - 1)

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """See `StyleConfig.without_effect`."""
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
    """Settings of optimisation towards Gram matrices (`tf_style.gatys`)."""

    content_layers: tuple[str, ...] = setting(
        ("block4_conv2",),
        "Layers whose activations hold the photo's structure; deeper layers keep less "
        "detail.",
    )
    style_layers: tuple[str, ...] = setting(
        (
            "block1_conv1",
            "block2_conv1",
            "block3_conv1",
            "block4_conv1",
            "block5_conv1",
        ),
        "Layers whose channel correlations hold the style; deeper layers hold larger "
        "patterns.",
    )
    style_layer_weights: tuple[float, ...] = setting(
        (),
        "One weight for each style layer; only their ratios matter. Empty weighs all "
        "layers equally.",
    )
    content_weight: float = setting(
        1.0,
        "Weight of the content loss; higher preserves more of the photo. Only the "
        "ratios of content_weight, style_weight and tv_weight matter.",
    )
    style_weight: float = setting(
        1e-3, "Weight of the style loss; higher paints more strongly."
    )
    tv_weight: float = setting(
        0.0,
        "Weight of the total variation; higher is smoother. It removes speckle first, "
        "then fine strokes.",
    )
    temporal_weight: float = setting(1e6, help_of(SlowConfig, "temporal_weight"))

    def __post_init__(self):
        super().__post_init__()
        weights = self.style_layer_weights
        checks.check(
            self,
            "style_layer_weights",
            len(weights) in (0, len(self.style_layers))
            and all(0 <= weight <= checks.LARGEST for weight in weights)
            and (not weights or sum(weights) > 0),
            "empty, or one number from 0 up for each of the "
            f"{len(self.style_layers)} style layers, not all 0",
        )


@dataclass(frozen=True)
class NeighborsConfig(SlowConfig):
    """Settings of optimisation towards nearest neighbours (`tf_style.neighbors`)."""

    layers: tuple[str, ...] = setting(
        (
            "block2_conv1",
            "block2_conv2",
            "block3_conv1",
            "block3_conv2",
        ),
        "Layers whose activations are matched; deeper layers copy larger motifs and "
        "keep less of the photo.",
    )
    content_weight: float = setting(
        0.0,
        "Share of the photo, from 0 to 1, in the picture that is matched to the "
        "painting; the rest is the result so far. Higher preserves more of the photo.",
    )
    temporal_weight: float = setting(50.0, help_of(SlowConfig, "temporal_weight"))
    init: str = setting("builtin", help_of(SlowConfig, "init"))
    steps: int = setting(40, help_of(SlowConfig, "steps"))
    learning_rate: float = setting(0.01, help_of(SlowConfig, "learning_rate"))

    def __post_init__(self):
        super().__post_init__()
        checks.number(self, "content_weight", 0, 1)


@dataclass(frozen=True)
class HubConfig(StyleConfig):
    """Settings of the fast method (`tf_style.hub`)."""

    model: str = setting(
        "auto",
        "Fast model: magenta, builtin (our own), auto (magenta if it is cached or can "
        "be downloaded, else builtin), or the URL or folder of a SavedModel with "
        "Magenta's signature.",
    )
    style_size: int = setting(
        0,
        "Size of the painting, in pixels, from 43 to 4096; larger gives larger "
        "strokes. 0 is the model's own: a longest side of 460 for builtin, a shortest "
        "side of 256 for others.",
    )
    # "builtin" paints less; the pictures of other models are mixed with the photo.
    strength: float = setting(
        1.0,
        "How strongly the style is applied, from 0 (the photo) to 1 (the full style).",
    )

    def __post_init__(self):
        super().__post_init__()
        allowed = f"{', '.join(MODELS)}, a URL or a folder"
        checks.check(self, "model", self.model != "", allowed)
        checks.number(self, "strength", 0, 1)
        # Magenta's network fails on anything smaller.
        size = self.style_size
        allowed = "0 or from 43 to 4096"
        checks.check(self, "style_size", size == 0 or 43 <= size <= 4096, allowed)

    @classmethod
    def builtin_as(cls, config: StyleConfig) -> "HubConfig":
        """Returns settings of the built-in model that treat styles as `config` does."""
        common = {spec.name: getattr(config, spec.name) for spec in fields(StyleConfig)}
        return cls(model="builtin", **common)


@dataclass(frozen=True, kw_only=True)
class MethodConfigs:
    """The settings of each method, by its name."""

    gatys: GatysConfig = field(default_factory=GatysConfig)
    neighbors: NeighborsConfig = field(default_factory=NeighborsConfig)
    hub: HubConfig = field(default_factory=HubConfig)

    def __post_init__(self):
        for spec in fields(MethodConfigs):
            config = checked(getattr(self, spec.name), spec.type, spec.name)
            object.__setattr__(self, spec.name, config)


def __getattr__(name):
    # It used to live here, and callers still import it from here.
    if name == "Job":
        return importlib.import_module("tf_style.jobs.job").Job
    raise AttributeError(f"module 'tf_style.config' has no attribute {name!r}")
