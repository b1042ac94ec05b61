"""The fast path: one pass of a network that was trained for any style.

`magenta` is the published one (`tf_style.magenta`), `builtin` ours
(`tf_style.builtin.stylizer`). This module says what they have in common: a style is
encoded once, for any number of photos; several are blended; the photo shines through.
It neither prints nor touches pictures' files.
"""

import dataclasses
import functools
import zipfile
from typing import NamedTuple

import numpy as np

from tf_style import files, images, magenta
from tf_style.builtin import stylizer
from tf_style.config import MAGENTA_HANDLE

# A longer style costs as a picture of that length, for nothing that its middle lacks.
MOST_ELONGATED = 16
# The built-in stylizer halves a style three times.
LEAST_STYLE_SIDE = 16


class StyleCode(NamedTuple):
    """What a model must know of one style or several, whatever the photo."""

    model: str  # checksum of the model that made it
    parts: list[np.ndarray]  # one for each style
    weights: list[float]  # the share of each, all together 1


def stylize(content, style, config):
    """Repaints `content` in the style of `style` in one pass.

    Args:
        content: photo, [1, H, W, 3] in [0, 1], of any size.
        style: painting, [1, H', W', 3] in [0, 1]; or a sequence of paintings to blend;
            or a `StyleCode`, to which `config`'s style settings do nothing more.
        config: a `HubConfig`.

    Returns:
        float32 [1, H, W, 3] in [0, 1].

    Raises:
        ValueError: as `encode`; or the code is another model's; or the model is not
            called like Magenta's or gives no finite picture.
        OSError: the model cannot be had.
    """
    config, _ = choose(config)
    model = load_model(config.model)
    code = style if isinstance(style, StyleCode) else encode(style, config)
    if code.model != model.checksum:
        raise ValueError(f"the style code is not of model {config.model}; encode again")
    return model.paint(content, code.parts, code.weights, config.strength)


def encode(style, config):
    """Returns the `StyleCode` of a painting, or of several that are blended.

    Args:
        style: [1, H, W, 3] in [0, 1], or a sequence of such; each is scaled to
            `config.style_size`, along the side by which the model measures.
        config: a `HubConfig`; its `style_weights` are made to sum to one, and none
            means all alike.

    Raises:
        ValueError: a style is too elongated, or there is not one weight for each.
        OSError: the model cannot be had.
    """
    config, _ = choose(config)
    styles = [style] if hasattr(style, "shape") else list(style)
    weights = config.style_weights or [1.0] * len(styles)
    if len(weights) != len(styles):
        raise ValueError(
            f"style_weights are {len(weights)} numbers for {len(styles)} styles; "
            "give one for each"
        )
    model = load_model(config.model)
    scaled = [_scale_style(s, config.style_size, model) for s in styles]
    return StyleCode(
        model.checksum,
        [model.encode(s) for s in scaled],
        [weight / sum(weights) for weight in weights],
    )


def save_code(path, code):
    """Writes a `StyleCode` into a file, by custom .npz.

    Raises:
        OSError: it cannot be written.
    """
    with files.replacing(path) as temporary, temporary.open("wb") as stream:
        parts = {f"part{i}": part for i, part in enumerate(code.parts)}
        np.savez_compressed(stream, model=code.model, weights=code.weights, **parts)


def load_code(path):
    """Reads what `save_code` wrote.

    Raises:
        ValueError: it is no style code.
        OSError: it cannot be read.
    """
    path = files.local(path)
    try:
        with np.load(path) as held:
            weights = held["weights"].tolist()
            parts = [held[f"part{i}"] for i in range(len(weights))]
            return StyleCode(str(held["model"]), parts, weights)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a style code of tf_style") from error


def choose(config):
    """Settles what `auto` means on this machine, once per process.

    Returns:
        The `HubConfig` with a model that has a name, and a line that says which and
        why; empty if nothing was to be chosen.
    """
    if config.model != "auto":
        return config, ""
    name, note = _choose()
    return dataclasses.replace(config, model=name), note


@functools.lru_cache(maxsize=1)
def _choose():
    try:
        fetch = functools.partial(magenta.fetch, MAGENTA_HANDLE)
        place = files.find_or_fetch(magenta.cached(), MAGENTA_HANDLE, fetch)
        load_model("magenta")
    except OSError as error:
        return "builtin", (
            f"painting with our built-in stylizer, since Magenta's model cannot be had "
            f"({error}); --model=magenta insists on it"
        )
    return "magenta", (
        f"painting with Magenta's model, {place}; --model=builtin is our own"
    )


@functools.lru_cache(maxsize=2)
def load_model(name_or_handle):
    """Loads a model, once per process.

    Args:
        name_or_handle: "builtin"; or "magenta", a URL, or the folder of a SavedModel
            that is called like Magenta's (see `magenta.load`).

    Returns:
        It has a name, a source, a checksum, the size at which it wants a style and the
        side by which it measures that, and paints: `encode(style)` and
        `paint(content, codes, weights, strength)`.

    Raises:
        OSError: the model does not exist, cannot be downloaded or is damaged.
    """
    if name_or_handle == "builtin":
        return stylizer.Stylizer()
    return magenta.load(name_or_handle)


def _scale_style(style, size, model):
    height, width = style.shape[1:3]
    if max(height, width) > MOST_ELONGATED * min(height, width):
        raise ValueError(
            f"a style of {width}x{height} pixels is too elongated: "
            f"at most {MOST_ELONGATED} times as long as wide"
        )
    factor = (size or model.style_size) / model.style_side(height, width)
    factor = max(factor, LEAST_STYLE_SIDE / min(height, width))
    return images.resize(style, round(height * factor), round(width * factor))
