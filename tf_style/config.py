"""Every setting and its default, checked when it is made.

Flags (`cli.py`), notebooks and tests all build these dataclasses; nothing else holds a
default. A bad value raises `ValueError` that names the field, the value and what is
allowed. NumPy's numbers, paths and lists are taken, and kept as plain Python numbers,
text and tuples, so that a config is always ready for JSON.
"""

import math
import numbers
import os
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

MAGENTA_HANDLE = "https://tfhub.dev/google/magenta/arbitrary-image-stylization-v1-256/2"

# The engines of each mode.
MODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"hub": ("hub",), "gatys": ("gatys",), "compare": ("hub", "gatys")}
)

# Values that are names; anything else in these settings is a path or a URL.
MODELS = ("auto", "magenta", "builtin")
BACKBONES = ("auto", "vgg19", "builtin")
INITS = ("content", "noise", "hub")

# Who does a job: this process, or workers of Ray.
ENGINES = ("local", "ray")

OPTIMIZERS = ("lbfgs", "adam")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
POOLINGS = ("auto", "max", "average")
PRESERVED = ("none", "luminance", "covariance", "histogram")


def engines(mode, init):
    """Names the engines of a mode whose slow path starts from `init`."""
    fast = ("hub",) if init == "hub" and "gatys" in MODES[mode] else ()
    return tuple(dict.fromkeys(fast + MODES[mode]))


# The most pixels a side that a setting may ask for: beyond any picture.
MOST_SIDE = 1_000_000

MOST_STEPS = 1_000_000
# The longest time that a setting may ask for: a month.
MOST_SECONDS = 30 * 24 * 3600
LARGEST = sys.float_info.max
# Letters of a bad value that an error shows.
MOST_SHOWN = 100

# The longest side that a mode works at unless told otherwise; 0 keeps the photo's own.
# Optimising costs thousands of times more per pixel than one pass.
MAX_SIDE: Mapping[str, int] = MappingProxyType({"hub": 0, "gatys": 512, "compare": 512})


@dataclass(frozen=True)
class StyleConfig:
    """Settings that mean the same on both paths."""

    # One weight for each of several styles that are blended, made to sum to one; empty
    # means all alike. Optimising aims at the mean of their correlations and "builtin"
    # paints in the mixed style; of other models the pictures are mixed.
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
        _make_plain(self)
        _check(
            self,
            "style_weights",
            all(0 <= weight <= LARGEST for weight in self.style_weights)
            and (not self.style_weights or sum(self.style_weights) > 0),
            "numbers from 0 up, not all 0",
        )
        _number(self, "style_scale", 0.25, 4)
        _choice(self, "preserve_color", PRESERVED)
        _number(self, "color_strength", 0, 1)

    def share_among(self, styles):
        """Returns the share of each of so many styles, all together 1.

        Raises:
            ValueError: there is not one weight for each.
        """
        weights = self.style_weights or [1.0] * styles
        if len(weights) != styles:
            raise ValueError(
                f"style_weights are {len(weights)} numbers for {styles} styles; "
                "give one for each"
            )
        return [weight / sum(weights) for weight in weights]


@dataclass(frozen=True)
class GatysConfig(StyleConfig):
    """Settings of the optimisation (`tf_style.gatys`)."""

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
    # Of a film, larger holds a frame more to the one before, moved with what moves.
    # 1e5 lets strokes follow a change of light sooner.
    temporal_weight: float = 1e6
    # First picture: "content", "noise", "hub" (what the fast path makes of the pair),
    # or the path of a picture.
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
    # Side in pixels of the pieces that the picture is worked on in, which needs less
    # memory and more time; 0 makes pieces where the whole would not fit.
    tile: int = 0
    # Seed of the noise of init="noise".
    seed: int = 0
    # Keeps to operations that give the same bits whenever they are repeated on one
    # machine, in all of the process from then on.
    deterministic: bool = False

    def __post_init__(self):
        super().__post_init__()
        _choice(self, "pooling", POOLINGS)
        _choice(self, "precision", PRECISIONS)
        _choice(self, "optimizer", OPTIMIZERS)
        for name in ("backbone", "init"):
            _check(self, name, getattr(self, name) != "", "a name or a path")
        for name in ("content_layers", "style_layers"):
            _check(self, name, len(getattr(self, name)) > 0, "at least one layer")
        for name in ("content", "style", "tv", "temporal"):
            _number(self, f"{name}_weight", 0, math.inf)
        weights = self.style_layer_weights
        _check(
            self,
            "style_layer_weights",
            len(weights) in (0, len(self.style_layers))
            and all(0 <= weight <= LARGEST for weight in weights)
            and (not weights or sum(weights) > 0),
            "none, or one number from 0 up for each of the "
            f"{len(self.style_layers)} style layers, not all 0",
        )
        _number(self, "steps", 1, MOST_STEPS)
        _number(self, "time_budget", 0, MOST_SECONDS)
        _number(self, "scales", 0, 8)
        _number(self, "learning_rate", 0, 1, above=True)
        _number(self, "beta1", 0, 0.9999)
        # Larger does not fit into float32.
        _number(self, "epsilon", 0, 1e38, above=True)
        _number(self, "style_size", 0, MOST_SIDE)
        _check(
            self,
            "tile",
            self.tile == 0 or (32 <= self.tile <= MOST_SIDE and self.tile % 2 == 0),
            "0 or an even number from 32",
        )
        _number(self, "seed", 0, 2**63 - 1)


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
        _check(self, "model", self.model != "", allowed)
        _number(self, "strength", 0, 1)
        # Magenta's network sees nothing smaller.
        size = self.style_size
        allowed = "0 or from 43 to 4096"
        _check(self, "style_size", size == 0 or 43 <= size <= 4096, allowed)


@dataclass(frozen=True)
class Job:
    """What to paint, how, and where to put it (`tf_style.run`)."""

    # Files, folders, globs and http(s) URLs; every content in every style. One alone
    # need not be in a tuple.
    contents: tuple[str, ...]
    styles: tuple[str, ...]
    # File or folder; empty: `stylized.png`, or `stylized/` for several pictures.
    output: str = ""
    mode: str = "hub"
    # Blends all styles into one picture, as style weights or several masks do too;
    # else there is one picture in each.
    style_blend: bool = False
    # Grey pictures of the photos' proportions: what is white is painted, what is black
    # stays. One for whatever is painted, or one for each of several styles.
    masks: tuple[str, ...] = ()
    # Longest side to work at, in pixels; 0 keeps the photo's, None is the mode's own.
    max_side: int | None = None
    # Settings to try at several values, like "style_weight=1e-3,1e-2"; one or two.
    sweep: tuple[str, ...] = ()
    # Of a film, paints along with what moves, so that strokes do not flicker.
    flow: bool = True
    # "local", or "ray": workers of a Ray cluster, of `RAY_ADDRESS` or else on this
    # machine, one for each core or graphics card.
    engine: str = "local"
    # Tells what would be painted, and how long it would take, and paints nothing.
    dry_run: bool = False
    # Seconds between checkpoints of mode gatys, which a stopped run goes on from; 0
    # writes none.
    checkpoint_every: float = 60.0
    # Goes on from checkpoints. Pictures that are there already are kept in any case.
    resume: bool = False
    # Steps from one frame of the slow path to the next; 0 writes none.
    save_every: int = 0
    # Film of a single picture's frames, .gif or .mp4; empty: none.
    timelapse: str = ""
    gatys: GatysConfig = field(default_factory=GatysConfig)
    hub: HubConfig = field(default_factory=HubConfig)
    # SHA-256 that a repeated run must find, for "content", "style" and "init" and the
    # models of its engines, "hub" and "gatys".
    checksums: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("contents", "styles", "masks"):
            if isinstance(getattr(self, name), (str, os.PathLike)):
                object.__setattr__(self, name, (getattr(self, name),))
        _make_plain(self)
        for name, kind in (("gatys", GatysConfig), ("hub", HubConfig)):
            object.__setattr__(self, name, checked(getattr(self, name), kind, name))
        sums = self.checksums
        valid = isinstance(sums, Mapping) and all(
            isinstance(text, str) for pair in sums.items() for text in pair
        )
        _check(self, "checksums", valid, "a dict of texts")
        object.__setattr__(self, "checksums", dict(sums))
        _choice(self, "mode", MODES)
        _choice(self, "engine", ENGINES)
        if self.max_side is None:
            object.__setattr__(self, "max_side", MAX_SIDE[self.mode])
        _number(self, "max_side", 0, MOST_SIDE)
        _number(self, "checkpoint_every", 0, MOST_SECONDS)
        _number(self, "save_every", 0, MOST_STEPS)
        for name in ("save_every", "timelapse"):
            if getattr(self, name) and "gatys" not in MODES[self.mode]:
                raise ValueError(f"{name} is for modes gatys and compare")
        if self.engine == "ray" and "gatys" in self.engines and self.gatys.time_budget:
            raise ValueError(
                "time_budget is for engine local; workers of ray begin one by one"
            )
        for name in ("contents", "styles"):
            _check(self, name, len(getattr(self, name)) > 0, "at least one picture")

    @property
    def blends(self):
        """Whether all styles go into one picture."""
        weights = getattr(self, self.engines[-1]).style_weights
        return self.style_blend or bool(weights) or len(self.masks) > 1

    @property
    def engines(self):
        """Names of the engines that paint."""
        return engines(self.mode, self.gatys.init)


def checked(config, kind, name="config"):
    """Returns a config of a kind, the defaults for None; refuses any other."""
    if config is None:
        return kind()
    if not isinstance(config, kind):
        given = type(config).__name__
        raise ValueError(f"{name} is a {given}; it must be a {kind.__name__}")
    return config


def from_dict(kind, values):
    """Rebuilds a config from what `dataclasses.asdict` and JSON made of it."""
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"{kind.__name__} has no setting {unknown[0]!r}; "
            f"it has {', '.join(sorted(known))}"
        )
    return kind(**values)


def unused_settings(job, film=False):
    """Lists the settings of a job that were changed, or are swept, and do nothing.

    Args:
        job: a `Job`.
        film: whether what it paints is a film, or some of it.

    Returns:
        One line for each, which begins with its name and says where it does nothing.
    """
    swept = {text.partition("=")[0] for text in job.sweep}
    lines = []
    for config, name, where in _without_effect(job, film):
        default = type(config).__dataclass_fields__[name].default
        if name in swept or getattr(config, name) != default:
            # A switch that is on by itself is told by what it was set to.
            shown = f"{name}=False" if default is True else name
            lines.append(f"{shown} does nothing {where}")
    return list(dict.fromkeys(lines))  # The methods may have it in common.


def _without_effect(job, film):
    """Yields config, name and place of all settings that do nothing in a job."""
    used = [getattr(job, engine) for engine in job.engines]
    names = {spec.name for config in used for spec in fields(config)}
    mode = f"in mode {job.mode}"
    for config in (job.gatys, job.hub):
        for spec in fields(config):
            if spec.name not in names:
                yield config, spec.name, mode
    for config in used:
        if config.preserve_color == "none":
            yield config, "color_strength", "without preserve_color"
        if len(config.style_weights) == 1:
            yield config, "style_weights", "with one style"
    if job.gatys in used:
        if job.gatys.optimizer == "lbfgs":
            yield job.gatys, "beta1", "with optimizer=lbfgs"
            yield job.gatys, "epsilon", "with optimizer=lbfgs"
        if job.gatys.init != "noise":
            yield job.gatys, "seed", "without init=noise"
        if job.gatys.time_budget:
            yield job.gatys, "steps", "beside time_budget"
        if not (film and job.flow):
            where = "with flow=False" if film else "without a film"
            yield job.gatys, "temporal_weight", where
    if not film:
        yield job, "flow", "without a film"
    if job.mode != "gatys":
        yield job, "checkpoint_every", mode
        # It also keeps finished pictures that would else be painted once more.
        if not (film or job.checksums or job.save_every or job.timelapse):
            yield job, "resume", mode


KINDS: Mapping[type, str] = MappingProxyType(
    {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
)


def _make_plain(config):
    """Turns the values of a config into plain ones of their types, or refuses them."""
    for spec in fields(config):
        kind, value = spec.type, getattr(config, spec.name)
        several = typing.get_origin(kind) is tuple
        if several:
            kind = typing.get_args(kind)[0]
        elif kind == int | None and value is not None:
            kind = int
        if kind not in KINDS:
            continue
        try:
            value = _plain_tuple(value, kind) if several else _plain(value, kind)
        except (TypeError, OverflowError):
            wanted = f"a tuple, each item {KINDS[kind]}" if several else KINDS[kind]
            _check(config, spec.name, False, wanted)
        object.__setattr__(config, spec.name, value)


def _plain_tuple(values, kind):
    if hasattr(values, "tolist"):
        values = values.tolist()
    if not isinstance(values, (tuple, list)):
        raise TypeError
    return tuple(_plain(value, kind) for value in values)


def _plain(value, kind):
    """Returns a value as one of Python's own `kind`.

    Raises:
        TypeError, OverflowError: it is none.
    """
    if hasattr(value, "tolist"):  # NumPy's, though it may be a single number.
        value = value.tolist()
    if kind is str:
        if isinstance(value, os.PathLike):
            return os.fsdecode(value)
        # Classes made of text have their own idea of `str(value)`.
        return str.__str__(value)
    if isinstance(value, bool) != (kind is bool):
        raise TypeError
    if isinstance(value, numbers.Integral):
        return value if kind is bool else int(value)
    if kind is float and isinstance(value, numbers.Real):
        return float(value)
    raise TypeError


def _check(config, name, valid, wanted):
    if not valid:
        shown = " ".join(repr(getattr(config, name)).split())
        shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."
        raise ValueError(f"{name} is {shown}; it must be {wanted}")


def _choice(config, name, allowed):
    _check(config, name, getattr(config, name) in allowed, " or ".join(allowed))


def _number(config, name, low, high, above=False):
    """Holds a number to [low, high], or (low, high] with `above`; NaN never passes."""
    value = getattr(config, name)
    start = f"above {low}" if above else f"from {low}"
    end = "" if high == math.inf else f" to {high}"
    # Whole numbers may be larger than any float.
    valid = low <= value <= min(high, LARGEST)
    _check(config, name, valid and not (above and value == low), start + end)
