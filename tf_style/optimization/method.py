"""What the slow methods have in common, from arguments to the engine's steps."""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tf_style import color, images
from tf_style.config import HubConfig, SlowConfig
from tf_style.fast import hub
from tf_style.images import PictureLike, Pictures, Pixels, Size
from tf_style.images import masks as masking
from tf_style.images.masks import Masks
from tf_style.networks import features, losses, tracing
from tf_style.networks.backbone import Backbone
from tf_style.optimization import engine, memory, optimizers, pyramid
from tf_style.optimization.engine import State, Step
from tf_style.optimization.objective import Objective, Target
from tf_style.optimization.style import Style
from tf_style.optimization.tiles import TiledObjective
from tf_style.system import hardware
from tf_style.system.checks import checked
from tf_style.system.errors import InvalidInput
from tf_style.system.stop import StopToken

# Number of pixels up to which the fast picture is not traced. Larger ones would need
# more memory than the steps do.
UNTRACED_PIXELS = 1 << 19


class Prior(NamedTuple):
    """What the previous frame of a film says about a frame."""

    picture: np.ndarray  # [1, H, W, 3], moved to where things are now
    trust: np.ndarray  # [1, H, W, 1] in [0, 1], 0 where they were hidden
    # `Step.found` of that frame, moved likewise; -1 where they were hidden. It is what
    # the search found, of each layer int32 [R, h, w]; empty if the method has none.
    found: Sequence[np.ndarray] = ()


class MeasureTargets(Protocol):
    """Measures the targets of a picture.

    Args:
        objective: result of `Method.load_objective`.
        content: photo, [1, H, W, 3], of any size.
        style: result of `Method.encode`.
        size: height and width to work at.
        config: of the method.
        masks: result of `masks.fit`.
        prior: see `Method.iterate`.
        picture: the result so far, [1, H', W', 3] of that size; None: the photo.

    Returns:
        A `Target` for each term of the objective.
    """

    def __call__(
        self,
        objective: Objective | TiledObjective,
        content: Pixels,
        style: Style,
        size: Size,
        config: Any,
        masks: Sequence[Pixels] = (),
        prior: Prior | None = None,
        picture: Pixels | None = None,
    ) -> list[Target]: ...


class Method:
    """A method that optimises the picture, built from its objective and its targets.

    Args:
        kind: class of its configs; its fields that end in "layers" name all layers.
        terms: (config, whether the picture is a frame of a film) -> what is minimised,
            a list of (weight, `losses.Loss`).
        measure_targets: see `MeasureTargets`.
        find_every: number of steps after which targets that depend on the picture are
            found again; 0: they do not depend on it.
        keeps_detail: whether each size starts with the first picture's fine detail, or
            large ones repainted by the fast model; see `pyramid.enlarge`.
        history: number of pairs that L-BFGS remembers.
        whole_pixels: number of pixels above which a picture is processed in tiles, even
            if there is memory for the whole.
    """

    def __init__(
        self,
        kind: type[SlowConfig],
        terms: Callable[[Any, bool], list[tuple[float, losses.Loss]]],
        measure_targets: MeasureTargets,
        find_every: int = 0,
        keeps_detail: bool = False,
        history: int = optimizers.LBFGS.HISTORY,
        whole_pixels: float = math.inf,
    ) -> None:
        self._kind = kind
        self._terms = terms
        self._measure_targets = measure_targets
        self._find_every = find_every
        self._keeps_detail = keeps_detail
        self._history = history
        self._whole_pixels = whole_pixels
        self._load = functools.lru_cache(maxsize=8)(self._build)

    def stylize(
        self,
        content: PictureLike,
        style: "Pictures | Style",
        config: Any = None,
        *,
        masks: Masks = None,
        init: PictureLike | None = None,
    ) -> Pixels:
        """Repaints `content` in the style of `style`.

        Args:
            content: photo, [1, H, W, 3] in [0, 1]; or anything that `images.as_picture`
                accepts, like all pictures here.
            style: painting, [1, H', W', 3] in [0, 1]; or a list of paintings to blend;
                or the result of `encode`.
            config: config of the method; None: the defaults.
            masks: where to paint; None: everywhere. One mask, or a list with one for
                each style; [1, H, W, 1] with the content's proportions, from 0 (the
                photo) to 1, or anything that `masks.as_mask` accepts.
            init: picture to start from, [1, H'', W'', 3]; overrides `config.init`, and
                is required if that is "hub" or a path.

        Returns:
            The best picture found, float32 [1, H, W, 3] in [0, 1].

        Raises:
            ValueError: an argument is invalid, a picture is too small for the layers, a
                layer does not exist, the first loss is not finite, or masks or weights
                do not fit.
            OSError: the backbone's weights are not available.
        """
        for step in self.iterate(content, style, config, masks=masks, init=init):
            pass
        return self.finish(step, content, config, masks=masks)

    def finish(
        self,
        step: Step,
        content: PictureLike,
        config: Any = None,
        *,
        masks: Masks = None,
    ) -> Pixels:
        """Returns the best picture up to `step`, at the size of `content`.

        Applies preserved colours and masks. For the arguments and errors see `stylize`.
        """
        config = checked(config, self._kind)
        content, masks = images.as_picture(content, "content"), masking.as_masks(masks)
        picture = step.best_at(*content.shape[1:3])
        picture = color.restore(picture, content, config)
        masks = masking.fit(masks, content, len(masks))
        return masking.compose(content, picture, masks)

    def iterate(
        self,
        content: PictureLike,
        style: "Pictures | Style",
        config: Any = None,
        *,
        masks: Masks = None,
        init: PictureLike | None = None,
        state: State | None = None,
        stop: StopToken | None = None,
        prior: Prior | None = None,
    ) -> Iterator[Step]:
        """Optimises step by step; see `stylize` for the other arguments and errors.

        Args:
            state: state of an earlier `Step`; continues as if never interrupted.
            stop: a `StopToken` that ends the run after the current step.
            prior: for a frame of a film, the `Prior` that ties it to the one before.

        Yields:
            A `Step` before each update and one at the end: `config.steps` + 1 in all,
            or as many as `config.time_budget` allows. If that leaves no time after the
            fast model's picture, it is the only one, without losses.
        """
        config, _ = self.choose(config)
        content = images.as_picture(content, "content")
        tracing.require_eager()
        if isinstance(style, Style):
            style.check_config(config)
        else:
            style = self.encode(style, config)
        fitted = masking.fit(masks, content, len(style.paintings))
        if init is not None:
            init = images.as_picture(init, "init")
        for name, value, kind in (("state", state, State), ("prior", prior, Prior)):
            if not isinstance(value, (kind, type(None))):
                came = type(value).__name__
                raise InvalidInput(f"{name} is {came}; it must be a {kind.__name__}")
        if prior is not None:
            prior = Prior(
                images.as_picture(prior.picture, "prior.picture"),
                masking.as_mask(prior.trust, "prior.trust"),
                prior.found,
            )
        # Its budget starts here.
        pace = StopToken(
            config.time_budget, watch=(lambda: stop.requested) if stop else None
        )
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()

        found = []  # by the last search; the targets are too large to be kept

        def problem_at(size):
            objective = self.load_objective(config, size, is_frame=prior is not None)

            def find(picture):
                targets = self._measure_targets(
                    objective, content, style, size, config, fitted, prior, picture
                )
                found[:] = [each for target in targets for each in target.found]
                return targets

            return objective, find

        scales = self.plan_scales(content, style, config)
        optimizer = _load_optimizer(
            config.optimizer,
            config.learning_rate,
            config.beta1,
            config.epsilon,
            self._history,
        )
        began = time.monotonic()
        first, enlarge = init, images.resize
        if self._keeps_detail:
            first, enlarge = self._start(content, style, config, fitted, init)
            if init is None and first.size < content.size:  # It is repainted large.
                took = time.monotonic() - began
                pace.reserve(took * content.size / first.size)
        elif first is None and state is None:
            first = self.first_picture(content, style, config, fitted)
        if state is None:
            # The first step is compiled as that picture was, and takes as long.
            no_time = pace.seconds_left() < time.monotonic() - began
            if (
                no_time
                and self._keeps_detail
                and not (first is None or first is content)
            ):
                return iter([engine.without_steps(first, enlarge)])
            image = enlarge(first, *scales[0].size)
            state = State(0, image, optimizer.rate)
        elif state.image.shape[1:3] not in [scale.size for scale in scales]:
            height, width = state.image.shape[1:3]
            raise InvalidInput(
                f"state has {width}x{height} pixels, which is not a size of this "
                "run; pass the content and config that it was made with"
            )
        steps = engine.optimize(
            state, scales, problem_at, optimizer, pace, self._find_every, enlarge
        )
        return (step._replace(found=[*found]) for step in steps)

    def _start(self, content, style, config, masks, init):
        """Returns the picture to start from, and how `pyramid` enlarges results."""
        paint = functools.partial(
            self.first_picture, style=style, config=config, masks=masks
        )
        if init is not None or config.init != "builtin":
            first = paint(content) if init is None else init
            return first, functools.partial(pyramid.enlarge, detail=first)
        first = paint(images.limit_longest(content, pyramid.FAST_SIDE))
        return first, functools.partial(pyramid.enlarge, detail=first, repaint=paint)

    def encode(self, style: Pictures, config: Any = None) -> Style:
        """Prepares one or more paintings for any number of photos; see `hub.encode`.

        Args:
            style: [1, H, W, 3] in [0, 1], or a list of paintings.
            config: config of the method; `stylize` needs one with the same settings of
                styles.

        Returns:
            A `Style`.
        """
        config = checked(config, self._kind)
        paintings = images.as_pictures(style, "style")
        tracing.require_eager()
        config.share_among(len(paintings))
        return Style(paintings, config)

    def first_picture(
        self,
        content: Pixels,
        style: Style,
        config: Any,
        masks: Sequence[Pixels] = (),
    ) -> Pixels:
        """Returns the picture that `config.init` names, in the photo's size.

        If there are several masks, the fast model paints each region in its own style.

        Raises:
            ValueError: it names a picture that the caller must pass.
        """
        if config.init == "content":
            return content
        if config.init == "noise":
            noise = np.random.default_rng(config.seed).random(content.shape)
            return noise.astype(np.float32)
        if config.init == "builtin":
            small = content.size <= UNTRACED_PIXELS * content.shape[-1]
            with tracing.untraced() if small else contextlib.nullcontext():
                how = HubConfig.builtin_as(config)
                regions = masks if len(masks) > 1 else None
                return hub.stylize(content, style.paintings, how, masks=regions)
        raise InvalidInput(
            f"init is {config.init!r}: pass that picture as the argument init"
        )

    def plan_scales(
        self, content: Pixels, style: Style, config: Any
    ) -> list[pyramid.Scale]:
        """Returns the `pyramid.Scale`s to work at."""
        least, size = self.load_backbone(config).least_size, content.shape[1:3]

        def is_seen(scaled):
            shapes = [scaled, *style.size_beside(size, scaled)]
            return min(map(min, shapes)) >= least

        return pyramid.plan(tuple(size), config, is_seen)

    def choose(self, config: Any = None) -> tuple[Any, str]:
        """Chooses the backbone for `auto` on this machine; see `hub.choose`."""
        config = checked(config, self._kind)
        if config.precision == "auto":
            config = dataclasses.replace(config, precision=hardware.fastest_dtype())
        note = ""
        if config.backbone == "auto":
            backbone, note = features.choose()
            config = dataclasses.replace(config, backbone=backbone)
        if config.pooling == "auto":
            pooling = "average" if config.backbone == "builtin" else "max"
            config = dataclasses.replace(config, pooling=pooling)
        return config, note

    def load_backbone(self, config: Any) -> Backbone:
        """Loads the network that `config` names, with all layers it needs."""
        config, _ = self.choose(config)
        layers = [
            layer
            for spec in fields(config)
            if spec.name.endswith("layers")
            for layer in getattr(config, spec.name)
        ]
        return features.load_backbone(
            config.backbone, tuple(layers), config.pooling, config.precision
        )

    def estimate_memory(self, content: Pixels, config: Any) -> float:
        """Estimates the memory in bytes that a picture like `content` takes."""
        extract, size = self.load_backbone(config), content.shape[1:3]
        side = self._choose_side(config, extract, size)
        return memory.estimate_memory(extract, size, side)

    def load_objective(
        self, config: Any, size: Size, is_frame: bool = False
    ) -> Objective | TiledObjective:
        """Loads the objective of `config`, once per process for the same settings.

        Args:
            config: of the method.
            size: height and width of the picture; it is processed in tiles if the whole
                would not fit into memory.
            is_frame: whether the picture is a frame of a film.

        Returns:
            An `Objective` or a `TiledObjective`.
        """
        extract = self.load_backbone(config)
        side = self._choose_side(config, extract, size)
        defining = {
            spec.name: getattr(config, spec.name)
            for spec in fields(config)
            if spec.name.endswith(("layers", "_layer_weights", "_weight"))
        }
        return self._load(extract, side, self._kind(**defining), is_frame)

    def _choose_side(self, config, extract, size):
        return config.tile or memory.choose_side(extract, size, self._whole_pixels)

    def _build(self, extract, side, config, is_frame):
        terms = self._terms(config, is_frame)
        if side:
            return TiledObjective(extract, terms, side)
        return Objective(extract, terms)


def hold_to_prior(prior: Prior, size: Size) -> Target:
    """Returns the target of `losses.temporal` at a size."""
    parts = prior.picture, prior.trust
    held = tuple(tf.constant(images.resize(part, *size)) for part in parts)
    return Target([held], [()])


@functools.lru_cache(maxsize=4)
def _load_optimizer(kind, rate, beta1, epsilon, history):
    if kind == "lbfgs":
        return optimizers.LBFGS(rate, history)
    return optimizers.Adam(rate, beta1, epsilon)
