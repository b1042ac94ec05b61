"""What to do: photos, paintings, settings and where the results go."""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields

from tf_style.config import (
    MAX_SECONDS,
    MAX_SIDE,
    MAX_STEPS,
    MethodConfigs,
    StyleConfig,
    setting,
)
from tf_style.jobs import modes
from tf_style.methods import METHODS
from tf_style.system import checks
from tf_style.system.errors import InvalidInput

# Where a job runs: in this process, or on Ray workers.
EXECUTORS = ("local", "ray")
# All frames from one keyframe to the next are held in memory.
MAX_KEYFRAMES = 250
# Formats that pictures are written in.
FORMATS = ("png", "jpg", "jpeg", "webp")


@dataclass(frozen=True)
class Job(MethodConfigs):
    """What to paint, how, and where to put it (`tf_style.run`).

    `contents`, `styles` and `masks` may each be a single path.
    """

    contents: tuple[str, ...] = setting(
        MISSING, "Photos or films: files, folders, globs or URLs."
    )
    styles: tuple[str, ...] = setting(
        MISSING,
        "Paintings: files, folders, globs or URLs. Every photo is painted in every "
        "style.",
    )
    output: str = setting(
        "",
        "File or folder to write. By default stylized.png, .gif or .mp4, or stylized/ "
        "for several pictures.",
    )
    format: str = setting(
        "",
        "Format of pictures that are written to a folder or without an output; png by "
        "default.",
        FORMATS,
    )
    quality: int = setting(0, "Quality of JPEG and WebP, from 1 to 100; 0 is 95.")
    keep_location: bool = setting(
        False,
        "Copy the place where a photo or film was taken (GPS) to its result. Date, "
        "author, title and resolution are always copied.",
    )
    mode: str = setting("hub", "Method to paint with.", tuple(modes.MODES))
    style_blend: bool = setting(
        False, "Blend all styles into one picture, instead of painting one in each."
    )
    masks: tuple[str, ...] = setting(
        (),
        "Where to paint: a grey picture with the photo's proportions, painted where it "
        "is white. One mask for each style blends them, each in its own region.",
    )
    max_side: int | None = setting(
        None, "Longest side of the result, in pixels; 0 keeps the photo's size."
    )
    sweep: tuple[str, ...] = setting(
        (),
        "Try a setting at several values, as in style_weight=1e-4,1e-3. Given twice, "
        "every pair of values is tried.",
    )
    flow: bool = setting(
        True, "Films only: let strokes follow the motion, which prevents flicker."
    )
    keyframes: int = setting(
        1,
        "Films by slow methods only: paint every N-th frame and the first and last of "
        "each scene; the strokes follow the motion in between. 1 paints all.",
    )
    executor: str = setting(
        "local",
        "Where to paint: in this process (local) or on Ray workers (ray), on this "
        "machine or on the cluster that RAY_ADDRESS names.",
        EXECUTORS,
    )
    dry_run: bool = setting(
        False, "Show what would be painted and how long it would take; write nothing."
    )
    checkpoint_every: float = setting(
        60.0, "Seconds between checkpoints; 0 writes none."
    )
    resume: bool = setting(False, "Continue interrupted runs from their checkpoints.")
    save_every: int = setting(0, "Save a frame every N steps; 0 saves none.")
    timelapse: str = setting(
        "", "Make a film of how one picture is painted: a .gif or .mp4 file."
    )
    # SHA-256 that a repeated run checks: of "content", "style", "init", and of the
    # models of its methods, as "hub" and "gatys".
    checksums: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("contents", "styles", "masks"):
            if isinstance(getattr(self, name), (str, os.PathLike)):
                object.__setattr__(self, name, (getattr(self, name),))
        checks.make_plain(self)
        super().__post_init__()
        sums = self.checksums
        valid = isinstance(sums, Mapping) and all(
            isinstance(text, str) for pair in sums.items() for text in pair
        )
        checks.check(self, "checksums", valid, "a dict of strings")
        object.__setattr__(self, "checksums", dict(sums))
        checks.choice(self, "mode", modes.MODES)
        checks.choice(self, "executor", EXECUTORS)
        checks.choice(self, "format", ("", *FORMATS))
        checks.number(self, "quality", 0, 100)
        mode = modes.MODES[self.mode]
        if self.max_side is None:
            object.__setattr__(self, "max_side", mode.MAX_SIDE)
        checks.number(self, "max_side", 0, MAX_SIDE)
        checks.number(self, "keyframes", 1, MAX_KEYFRAMES)
        if self.keyframes > 1 and not self.flow:
            raise InvalidInput(
                "keyframes needs the flow, along which strokes are carried; leave out "
                "one of keyframes and flow=False"
            )
        checks.number(self, "checkpoint_every", 0, MAX_SECONDS)
        checks.number(self, "save_every", 0, MAX_STEPS)
        for name in ("save_every", "timelapse"):
            if getattr(self, name) and not mode.HAS_STEPS:
                able = [n for n, m in modes.MODES.items() if m.HAS_STEPS]
                raise InvalidInput(f"{name} works in modes {' and '.join(able)} only")
        if self.executor == "ray" and self.time_budget:
            raise InvalidInput(
                "time_budget works with executor local only; Ray workers start one by "
                "one"
            )
        for name in ("contents", "styles"):
            checks.check(
                self, name, len(getattr(self, name)) > 0, "at least one picture"
            )

    @property
    def blends(self) -> bool:
        """Whether all styles go into one picture."""
        weights = self.configs[-1].style_weights
        return self.style_blend or bool(weights) or len(self.masks) > 1

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that paint, in their order, the slow one last."""
        last = getattr(self, modes.of(self).METHODS[-1])
        return modes.methods(self.mode, getattr(last, "init", ""))

    @property
    def configs(self) -> list[StyleConfig]:
        """The settings of these methods."""
        return [getattr(self, method) for method in self.methods]

    @property
    def time_budget(self) -> float:
        """Seconds that the slow one may take; 0: as long as it needs."""
        return getattr(self.configs[-1], "time_budget", 0.0)


def unused_settings(job: Job, film: bool = False) -> list[str]:
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
            # A switch that is on by itself is named with what it was set to.
            text = f"{name}=False" if default is True else name
            lines.append(f"{text} does nothing {where}")
    return list(dict.fromkeys(lines))  # The methods may have it in common.


def _without_effect(job, film):
    """Yields config, name and place of all settings that do nothing in a job."""
    used = job.configs
    names = {spec.name for config in used for spec in fields(config)}
    mode = f"in mode {job.mode}"
    for method in METHODS:
        for spec in fields(config := getattr(job, method)):
            if spec.name not in names:
                yield config, spec.name, mode
    for config in used:
        for name, where in config.without_effect():
            yield config, name, where
        if hasattr(config, "temporal_weight") and not (film and job.flow):
            where = "with flow=False" if film else "without a film"
            yield config, "temporal_weight", where
    if not film:
        yield job, "flow", "without a film"
    if not (film and modes.of(job).HAS_STEPS):
        yield job, "keyframes", mode if film else "without a film"
    if not modes.MODES[job.mode].HAS_CHECKPOINTS:
        yield job, "checkpoint_every", mode
        # It also keeps finished pictures that would else be painted once more.
        if not (film or job.checksums or job.save_every or job.timelapse):
            yield job, "resume", mode
