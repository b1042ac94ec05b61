"""Both paths on one pair, measured alike: what do the extra minutes buy?"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_style import images
from tf_style.config import LOSS_COLORS, GatysConfig, HubConfig
from tf_style.fast import hub
from tf_style.images import PictureLike, Pictures, Pixels, grid
from tf_style.images import masks as masking
from tf_style.images.masks import Masks
from tf_style.optimization import gatys
from tf_style.system import files, hardware
from tf_style.system.checks import checked
from tf_style.system.errors import InvalidInput
from tf_style.system.files import StrPath
from tf_style.system.stop import StopToken


class Result(NamedTuple):
    """What one path made of the pair."""

    picture: np.ndarray  # [1, H, W, 3] in [0, 1]
    losses: dict[str, float]  # as of `gatys.Step`, of `picture`
    seconds: float  # wall time of painting, models already loaded
    peak_memory_mib: float | None  # of the whole process meanwhile; None if unknown


class Moment(NamedTuple):
    """One step of the slow path on the clock."""

    seconds: float  # since it began
    size: tuple[int, int]  # height and width it worked at
    losses: dict[str, float]


class Comparison(NamedTuple):
    """Both results, measured by the same backbone against the same targets."""

    fast: Result
    slow: Result
    history: list[Moment]  # of the slow path, step by step
    caught_up_s: float | None  # when its style loss first was as low as the fast one's
    steps: int  # updates that the slow path made
    notes: list[str]  # what it had to say
    interrupted: bool  # by Ctrl-C: `slow` is the best picture until then


def compare(
    content: PictureLike,
    style: Pictures,
    gatys_config: GatysConfig | None = None,
    hub_config: HubConfig | None = None,
    *,
    masks: Masks = None,
    init: PictureLike | None = None,
) -> Comparison:
    """Paints one pair on both paths and returns a `Comparison`; see `iterate`."""
    steps = iterate(content, style, gatys_config, hub_config, masks=masks, init=init)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def iterate(
    content: PictureLike,
    style: Pictures,
    gatys_config: GatysConfig | None = None,
    hub_config: HubConfig | None = None,
    *,
    masks: Masks = None,
    init: PictureLike | None = None,
    stop: StopToken | None = None,
    follow: Callable[[Iterator[gatys.Step]], Iterator[gatys.Step]] = iter,
) -> Generator[gatys.Step, None, Comparison]:
    """Paints one pair on both paths, step by step.

    Losses are measured at the content's size, by the backbone and weights of
    `gatys_config`; smaller scales do not count for `caught_up_s`, since their losses
    have other targets.

    Args:
        content, style, masks: as for `gatys.stylize`.
        gatys_config: a `GatysConfig`; None: the defaults.
        hub_config: a `HubConfig`; None: the defaults.
        init: as for `gatys.stylize`; without one, "hub" is the fast picture.
        stop: as for `gatys.iterate`.
        follow: what the steps of the slow path are passed through.

    Yields:
        Every `gatys.Step` of the slow path.

    Returns:
        A `Comparison`, the value of `yield from`.

    Raises:
        ValueError, OSError: as `gatys.stylize` and `hub.stylize`.
    """
    gatys_config = checked(gatys_config, GatysConfig, "gatys_config")
    hub_config = checked(hub_config, HubConfig, "hub_config")
    content = images.as_picture(content, "content")
    styles = images.as_pictures(style, "style")
    masks = masking.fit(masks, content, len(styles))
    inputs = (content, styles, gatys_config, hub_config, masks, init, stop, follow)
    return _iterate(*inputs)


def _iterate(content, styles, gatys_config, hub_config, masks, init, stop, follow):
    began = time.perf_counter()
    hub_config, _ = hub.choose(hub_config)
    hub.load_model(hub_config.model)
    measure = measurer(content, styles, gatys_config, masks=masks)

    with _Meter() as fast_meter:
        fast = hub.stylize(content, styles, hub_config, masks=masks)
    measuring = time.perf_counter()
    fast_losses = measure(fast)
    if gatys_config.time_budget:
        now = time.perf_counter()
        # The slow picture will be measured too.
        spent = now - began + (now - measuring)
        left = max(1e-3, gatys_config.time_budget - spent)
        gatys_config = dataclasses.replace(gatys_config, time_budget=left)
    if init is None and gatys_config.init == "hub":
        init = fast

    history = []
    with _Meter() as slow_meter:
        steps = gatys.iterate(
            content, styles, gatys_config, masks=masks, init=init, stop=stop
        )
        notes = []
        for step in follow(steps):
            history.append(Moment(slow_meter.clock(), step.size, step.losses))
            notes += [step.note] if step.note else []
            yield step
        slow = gatys.finish(step, content, gatys_config, masks=masks)

    return Comparison(
        Result(fast, fast_losses, fast_meter.seconds, fast_meter.peak_memory_mib),
        Result(slow, measure(slow), slow_meter.seconds, slow_meter.peak_memory_mib),
        history,
        _caught_up(history, tuple(content.shape[1:3]), fast_losses["style"]),
        step.index,
        notes,
        stop is not None and stop.requested,
    )


def draw_panel(content: PictureLike, style: Pictures, comparison: Comparison) -> Pixels:
    """Draws content, styles, fast and slow side by side, as a picture [1, H, W, 3]."""
    content = images.as_picture(content, "content")
    height, width = content.shape[1:3]
    styles = [
        grid.thumbnail(style, max(height, width))
        for style in images.as_pictures(style, "style")
    ]
    columns = [
        grid.Cell(content, f"content\n{width}x{height}"),
        *[grid.Cell(style, "style") for style in styles],
        grid.Cell(comparison.fast.picture, f"fast: hub\n{_caption(comparison.fast)}"),
        grid.Cell(comparison.slow.picture, f"slow: gatys\n{_caption(comparison.slow)}"),
    ]
    return grid.draw([columns])


def save_plot(path: StrPath, comparison: Comparison) -> None:
    """Plots the losses of the slow path over time, with the fast one's as lines.

    Args:
        path: where to write, a PNG; ~ is the home folder.
        comparison: a `Comparison`.

    Raises:
        OSError: it cannot be written.
    """
    # Takes a second to import, and only this function needs it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    seconds = [moment.seconds for moment in comparison.history]
    for name, colour in LOSS_COLORS.items():
        values = [moment.losses[name] for moment in comparison.history]
        axes.plot(seconds, values, colour, label=f"gatys, {name}")
        level = comparison.fast.losses[name]
        axes.axhline(level, color=colour, ls="--", lw=1, label=f"hub, {name}")
    sizes = [moment.size for moment in comparison.history]
    for moment, before in zip(comparison.history[1:], sizes):
        if moment.size != before:
            axes.axvline(moment.seconds, color="0.7", lw=1)
    axes.set(yscale="log", xlabel="seconds", ylabel="weighted loss")
    axes.set_title(
        f"hub took {comparison.fast.seconds:.1f} s, "
        f"gatys {comparison.slow.seconds:.1f} s; grey: change of size",
        fontsize=10,
    )
    axes.legend()
    with files.replacing(files.local(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Returns the numbers of a comparison, without the pictures, ready for JSON."""
    return {
        "fast": _numbers(comparison.fast),
        "slow": _numbers(comparison.slow),
        "caught_up_s": comparison.caught_up_s,
        "steps": comparison.steps,
        "notes": comparison.notes,
        "interrupted": comparison.interrupted,
        "history": [_numbers(moment) for moment in comparison.history],
    }


def _numbers(measured):
    """Returns a `Result` or `Moment` as JSON has it, which knows no infinity."""
    numbers = {k: v for k, v in measured._asdict().items() if k != "picture"}
    losses = {k: v if np.isfinite(v) else None for k, v in measured.losses.items()}
    return numbers | {"losses": losses}


def _caption(result):
    memory = result.peak_memory_mib
    peak = "" if memory is None else f", {memory / 1024:.1f} GiB"
    return (
        f"{result.seconds:.1f} s{peak}\n"
        f"style {result.losses['style']:.3g}\n"
        f"content {result.losses['content']:.3g}"
    )


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
            raise InvalidInput("picture is of {} pixels, not {}".format(*sizes))
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


class _Meter(contextlib.AbstractContextManager):
    """Measures the wall time and the peak memory of a stretch of the program."""

    def __enter__(self):
        # Linux forgets the peak when told so; elsewhere there is only the peak of the
        # process's whole life, which says nothing about a stretch.
        self._peak_is_ours = False
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
            self._peak_is_ours = True
        self._start = time.perf_counter()
        return self

    def clock(self):
        return time.perf_counter() - self._start

    def __exit__(self, *_):
        self.seconds = self.clock()
        peak = hardware.peak_memory() if self._peak_is_ours else None
        self.peak_memory_mib = None if peak is None else peak / 2**20
