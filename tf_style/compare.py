"""Runs all methods on one pair and measures them alike."""

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import numpy as np

from tf_style import images, methods
from tf_style.config import LOSS_COLORS, GatysConfig, SlowConfig, StyleConfig
from tf_style.images import PictureLike, Pictures, Pixels, grid
from tf_style.images import masks as masking
from tf_style.images.masks import Masks
from tf_style.networks import patches
from tf_style.optimization import gatys
from tf_style.system import files
from tf_style.system.checks import checked
from tf_style.system.errors import InvalidInput
from tf_style.system.files import StrPath
from tf_style.system.meter import Meter
from tf_style.system.stop import StopToken

# In whose losses all are measured, and whose steps are shown.
REFERENCE = "gatys"
NOTE = (
    "lower is better; all numbers come from the program's own networks, so it judges "
    "itself"
)


class Result(NamedTuple):
    """The result of one method."""

    picture: np.ndarray  # [1, H, W, 3] in [0, 1]
    losses: dict[str, float]  # as of `gatys.Step`, of `picture`
    seconds: float  # wall time of painting, models already loaded
    peak_memory_mib: float | None  # of the whole process meanwhile; None if unknown
    # As of `networks.patches.Distances`: fidelity, coverage, structure.
    distances: dict[str, float] = {}


class Moment(NamedTuple):
    """One step of gatys, with the time."""

    seconds: float  # since it began
    size: tuple[int, int]  # height and width it worked at
    losses: dict[str, float]


class Comparison(NamedTuple):
    """All results, measured with the same networks against the same targets."""

    results: dict[str, Result]  # by method, as in `methods.METHODS`
    history: list[Moment]  # of gatys, step by step
    caught_up_s: float | None  # when its style loss first was as low as that of hub
    steps: int  # updates that it made
    notes: list[str]  # what the slow methods had to say
    interrupted: bool  # by Ctrl-C: slow pictures are the best until then


def compare(
    content: PictureLike,
    style: Pictures,
    *configs: StyleConfig | None,
    masks: Masks = None,
    init: PictureLike | None = None,
) -> Comparison:
    """Paints a pair by all methods and returns a `Comparison`; see `iterate`."""
    steps = iterate(content, style, *configs, masks=masks, init=init)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def iterate(
    content: PictureLike,
    style: Pictures,
    *configs: StyleConfig | None,
    masks: Masks = None,
    init: PictureLike | None = None,
    stop: StopToken | None = None,
    follow: Callable[[Iterator[gatys.Step]], Iterator[gatys.Step]] = iter,
) -> Generator[gatys.Step, None, Comparison]:
    """Paints a pair by all methods, with gatys last and step by step.

    Losses are measured at the content's size with the backbone and weights of gatys.
    Smaller scales do not count for `caught_up_s`, because their losses have other
    targets.

    Args:
        content, style, masks: as for `gatys.stylize`.
        *configs: configs of methods, in any order; the others use their defaults. A
            `time_budget` covers everything until that method ends; the methods that are
            still to come share it.
        init: picture that gatys starts from; without one, "hub" takes the result of
            that method.
        stop: see `gatys.iterate`; ends all slow methods.
        follow: a function that the steps of gatys are passed through.

    Yields:
        Every `gatys.Step`.

    Returns:
        A `Comparison`, the value of `yield from`.

    Raises:
        ValueError, OSError: see `stylize` of each method.
    """
    found = methods.by_method(configs)
    content = images.as_picture(content, "content")
    styles = images.as_pictures(style, "style")
    masks = masking.fit(masks, content, len(styles))
    return _iterate(content, styles, found, masks, init, stop, follow)


def _iterate(content, styles, configs, masks, init, stop, follow):
    began = time.perf_counter()
    for name, config in configs.items():
        methods.load_model(name, config)  # before the clock runs
    measure = measurer(content, styles, configs[REFERENCE], masks=masks)
    shares = configs[REFERENCE].share_among(len(styles))
    results, history, notes, measuring = {}, [], [], 0.0
    for name, config in configs.items():
        method = methods.load(name)
        with Meter() as meter:
            if isinstance(config, SlowConfig):
                spent = time.perf_counter() - began
                reserved = measuring * (len(configs) - len(results))
                to_come = list(configs.values())[len(results) :]
                config = _within_budget(config, to_come, spent + reserved)
                first = init if name == REFERENCE else None
                if first is None and config.init == "hub":
                    first = results["hub"].picture
                steps = method.iterate(
                    content, styles, config, masks=masks, init=first, stop=stop
                )
                for step in follow(steps) if name == REFERENCE else steps:
                    notes += [step.note] if step.note else []
                    if name == REFERENCE:
                        now, made = meter.clock(), step.index
                        history.append(Moment(now, step.size, step.losses))
                        yield step
                picture = method.finish(step, content, config, masks=masks)
            else:
                picture = method.stylize(content, styles, config, masks=masks)
        now = time.perf_counter()
        losses = measure(picture)
        distances = patches.measure(content, styles, picture, shares)._asdict()
        measuring = time.perf_counter() - now
        memory = meter.peak_memory_mib
        results[name] = Result(picture, losses, meter.seconds, memory, distances)

    level, size = results["hub"].losses["style"], tuple(content.shape[1:3])
    return Comparison(
        results,
        history,
        _caught_up(history, size, level),
        made,
        notes,
        stop is not None and stop.requested,
    )


def _within_budget(config, to_come, spent):
    """Returns a slow config whose time budget is its share of what is left of it."""
    if not config.time_budget:
        return config
    sharing = sum(bool(getattr(other, "time_budget", 0)) for other in to_come)
    left = max(1e-3, (config.time_budget - spent) / sharing)
    return dataclasses.replace(config, time_budget=left)


def draw_panel(content: PictureLike, style: Pictures, comparison: Comparison) -> Pixels:
    """Draws content, styles and all results side by side, as a picture [1, H, W, 3]."""
    content = images.as_picture(content, "content")
    height, width = content.shape[1:3]
    styles = [
        grid.thumbnail(style, max(height, width))
        for style in images.as_pictures(style, "style")
    ]
    columns = [
        grid.Cell(content, f"content\n{width}x{height}"),
        *[grid.Cell(style, "style") for style in styles],
        *[
            grid.Cell(result.picture, "\n".join([name, *_describe(result)]))
            for name, result in comparison.results.items()
        ],
    ]
    return grid.draw([columns])


def save_plot(path: StrPath, comparison: Comparison) -> None:
    """Plots the losses of gatys over time, with those of the others as lines.

    Args:
        path: PNG file to write.
        comparison: a `Comparison`.

    Raises:
        OSError: the file cannot be written.
    """
    # Takes a second to import, and only this function needs it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    results = dict(comparison.results)
    times = ", ".join(f"{name} {r.seconds:.1f} s" for name, r in results.items())
    results.pop(REFERENCE)
    seconds = [moment.seconds for moment in comparison.history]
    for loss, colour in LOSS_COLORS.items():
        values = [moment.losses[loss] for moment in comparison.history]
        axes.plot(seconds, values, colour, label=f"{REFERENCE}, {loss}")
        for (name, result), dashes in zip(results.items(), ("--", ":", "-.")):
            level, label = result.losses[loss], f"{name}, {loss}"
            axes.axhline(level, color=colour, ls=dashes, lw=1, label=label)
    sizes = [moment.size for moment in comparison.history]
    for moment, before in zip(comparison.history[1:], sizes):
        if moment.size != before:
            axes.axvline(moment.seconds, color="0.7", lw=1)
    axes.set(yscale="log", xlabel="seconds", ylabel="weighted loss")
    axes.set_title(f"{times}; grey: change of size", fontsize=10)
    axes.legend()
    with files.replacing(files.local(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Returns the numbers of a comparison, without the pictures, ready for JSON."""
    results = {name: _numbers(r) for name, r in comparison.results.items()}
    history = [_numbers(moment) for moment in comparison.history]
    return comparison._asdict() | {"results": results, "history": history}


def to_lines(comparison: Comparison) -> list[str]:
    """Returns the numbers of a comparison as text: a line per method, and a note."""
    lines = [
        f"{name}: {', '.join(_describe(result))}"
        for name, result in comparison.results.items()
    ]
    return [*lines, NOTE]


def _numbers(measured):
    """Returns a `Result` or `Moment` as JSON has it, which knows no infinity."""
    numbers = {k: v for k, v in measured._asdict().items() if k != "picture"}
    losses = {k: v if np.isfinite(v) else None for k, v in measured.losses.items()}
    return numbers | {"losses": losses}


def _describe(result):
    """Returns the numbers of a `Result` in words, a list."""
    memory = result.peak_memory_mib
    peak = "" if memory is None else f", {memory / 1024:.1f} GiB"
    losses = [f"{name} {result.losses[name]:.3g}" for name in LOSS_COLORS]
    distances = [f"{name} {value:.3f}" for name, value in result.distances.items()]
    return [f"{result.seconds:.1f} s{peak}", *losses, *distances]


def measurer(
    content: PictureLike,
    style: Pictures,
    config: GatysConfig | None = None,
    *,
    masks: Masks = None,
) -> Callable[[PictureLike], dict[str, float]]:
    """Returns a function from a picture of the content's size to float32 losses.

    For the arguments and errors see `gatys.stylize`.
    """
    config = dataclasses.replace(checked(config, GatysConfig), precision="float32")
    content = images.as_picture(content, "content")
    styles, size = images.as_pictures(style, "style"), content.shape[1:3]
    masks = masking.fit(masks, content, len(styles))
    objective, style = gatys.load_objective(config, size), gatys.encode(styles, config)
    targets = gatys.measure_targets(objective, content, style, size, config, masks)

    def measure(picture):
        picture = images.as_picture(picture, "picture")
        if picture.shape != content.shape:
            sizes = [f"{x.shape[2]}x{x.shape[1]}" for x in (picture, content)]
            raise InvalidInput("picture has {} pixels, not {}".format(*sizes))
        losses = objective.measure(picture, targets)
        return {name: float(loss) for name, loss in losses.items()}

    return measure


def _caught_up(history, size, level):
    times = (
        moment.seconds
        for moment in history
        if moment.size == size and moment.losses["style"] <= level
    )
    return next(times, None)
