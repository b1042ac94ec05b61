"""One function for all methods: `stylize`."""

import difflib
import importlib
import os
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from tf_style.config import (
    GatysConfig,
    HubConfig,
    NeighborsConfig,
    SlowConfig,
    StyleConfig,
)
from tf_style.system.checks import checked
from tf_style.system.errors import InvalidInput

if TYPE_CHECKING:
    from tf_style.images import Pixels

# The module and the config of each method; `config.MethodConfigs` lists them too. A
# method is a module with functions `stylize(content, style, config, *, masks)`, as
# below, and `choose(config)`. A fast one also has `load_model(name)`. A slow one has a
# `SlowConfig` and the functions `encode`, `iterate`, `finish`, `plan_scales`,
# `load_backbone` and `estimate_memory`, as in `gatys`.
METHODS: dict[str, tuple[str, type[StyleConfig]]] = {
    "hub": ("tf_style.fast.hub", HubConfig),
    "neighbors": ("tf_style.optimization.neighbors", NeighborsConfig),
    "gatys": ("tf_style.optimization.gatys", GatysConfig),
}


def stylize(
    content: Any,
    style: Any,
    method: str = "hub",
    config: StyleConfig | None = None,
    *,
    masks: Any = None,
    **settings: Any,
) -> "Pixels":
    """Repaints a photo in the style of a painting.

        import tf_style as ts

        photo, painting = ts.load_image("photo.jpg"), ts.load_image("painting.jpg")
        ts.save_image("out.png", ts.stylize(photo, painting))
        better = ts.stylize(photo, painting, method="neighbors")
        classic = ts.stylize(photo, painting, method="gatys", steps=200)

    Args:
        content: photo, [1, H, W, 3] or [H, W, 3], floats in [0, 1] or uint8: an array,
            a tensor or a PIL image.
        style: painting, likewise, of any size; or a list of paintings to blend; or the
            result of `encode` in the method's module, for many photos.
        method: "hub", one pass of a network, which takes a fraction of a second;
            "neighbors", which takes seconds and looks most like paint; or "gatys", the
            classic, which takes minutes.
        config: settings of the method, a `HubConfig`, `NeighborsConfig` or
            `GatysConfig`; None: the defaults.
        masks: where to paint; None: everywhere. One mask, or a list with one for each
            style; [H, W] with the content's proportions, from 0 (the photo) to 1.
        **settings: fields of the config instead of a config: `strength=0.5`. `init` of
            slow methods may also be a picture.

    Returns:
        float32 [1, H, W, 3] in [0, 1], with the photo's exact height and width.

    Raises:
        Error: an argument is invalid (also a ValueError), or a model is not available
            (also an OSError).
    """
    if method not in METHODS:
        raise InvalidInput(
            f"method is {method!r}; it must be {' or '.join(METHODS)}"
            + _did_you_mean(method, METHODS)
        )
    _, kind = METHODS[method]
    arguments = {}
    if isinstance(config, dict):
        raise InvalidInput("config is a dict; give its items by keyword, as **config")
    if settings:
        if config is not None:
            raise InvalidInput(
                f"config and the setting {next(iter(settings))} are both given; put "
                "it into the config, or give all settings by keyword"
            )
        _check_names(settings, method)
        if not isinstance(settings.get("init", ""), (str, os.PathLike)):
            arguments["init"] = settings.pop("init")
        config = kind(**settings)
    config = checked(config, kind)
    return load(method).stylize(content, style, config, masks=masks, **arguments)


def load(method: str) -> Any:
    """Returns the module of a method."""
    return importlib.import_module(METHODS[method][0])


def load_model(method: str, config: StyleConfig) -> Any:
    """Loads the network of a method, once per process.

    Args:
        method: name of the method.
        config: config of that method.

    Raises:
        Error: it is not available.
    """
    if isinstance(config, SlowConfig):
        return load(method).load_backbone(config)
    chosen, _ = load(method).choose(config)
    return load(method).load_model(chosen.model)


def by_method(configs: Sequence[StyleConfig | None]) -> dict[str, StyleConfig]:
    """Returns the config of each method; its defaults if none is given.

    Args:
        configs: configs of methods, in any order.

    Raises:
        InvalidInput: one is not a config, or two belong to one method.
    """
    kinds = {kind: method for method, (_, kind) in METHODS.items()}
    found = {}
    for config in configs:
        if config is None:
            continue
        if type(config) not in kinds:
            allowed = " or ".join(kind.__name__ for kind in kinds)
            came = type(config).__name__
            raise InvalidInput(f"a config is {came}; it must be a {allowed}")
        method = kinds[type(config)]
        if method in found:
            raise InvalidInput(f"there are two configs of {method}; give one")
        found[method] = config
    return {method: found.get(method) or kind() for kind, method in kinds.items()}


def _check_names(settings, method):
    """Raises InvalidInput for the first setting that the method does not have."""
    names = {
        name: [f.name for f in fields(kind)] for name, (_, kind) in METHODS.items()
    }
    for setting in settings:
        if setting in names[method]:
            continue
        hint = _did_you_mean(setting, names[method])
        if owners := [name for name in names if setting in names[name]]:
            hint = f"; method {' or '.join(owners)} has"
        raise InvalidInput(
            f"method {method} has no setting {setting!r}"
            + (hint or f"; it has {', '.join(sorted(names[method]))}")
        )


def _did_you_mean(name, names):
    close = difflib.get_close_matches(str(name).lower(), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
