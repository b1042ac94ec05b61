"""What to do: photos, paintings, settings and where the results go."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from tf_style.config import (
    MAX_SECONDS,
    MAX_SIDE,
    MAX_STEPS,
    MethodConfigs,
    StyleConfig,
)
from tf_style.jobs import modes
from tf_style.methods import METHODS
from tf_style.system import checks
from tf_style.system.errors import InvalidInput

# Who does a job: this process, or workers of Ray.
EXECUTORS = ("local", "ray")
# All frames from one to the next are held in memory.
MAX_KEYFRAMES = 250
# What pictures are written as.
FORMATS = ("png", "jpg", "webp")


@dataclass(frozen=True)
class Job(MethodConfigs):
    """What to paint, how, and where to put it (`tf_style.run`)."""

    # Files, folders, globs and http(s) URLs; every content in every style. One alone
    # need not be in a tuple.
    contents: tuple[str, ...]
    styles: tuple[str, ...]
    # File or folder; empty: `stylized.png`, or `stylized/` for several pictures.
    output: str = ""
    # Of pictures that are named by themselves, and so of those in folders: png, jpg or
    # webp; empty: png. Films are MP4, or GIF.
    format: str = ""
    # Of JPEG and WebP, from 1 to 100; 0 is 95.
    quality: int = 0
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
    # Of a film by a slow method, paints one of so many frames, and the first of each
    # scene, and takes what is between from these, along the flow. 1 paints all.
    keyframes: int = 1
    # "local", or "ray": workers of a Ray cluster, of `RAY_ADDRESS` or else on this
    # machine, one for each core or graphics card.
    executor: str = "local"
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
    # SHA-256 that a repeated run must find, for "content", "style" and "init" and the
    # models of its methods, "hub" and "gatys".
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
        checks.check(self, "checksums", valid, "a dict of texts")
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
                raise InvalidInput(f"{name} is for modes {' and '.join(able)}")
        if self.executor == "ray" and self.time_budget:
            raise InvalidInput(
                "time_budget is for executor local; workers of ray begin one by one"
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
