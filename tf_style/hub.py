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

from tf_style import color, files, images, magenta, masks
from tf_style.builtin import stylizer
from tf_style.config import MAGENTA_HANDLE

# A longer style costs as a picture of that length, for nothing that its middle lacks.
MOST_ELONGATED = 16


class StyleCode(NamedTuple):
    """What a model must know of one style or several, whatever the photo."""

    model: str  # checksum of the model that made it
    parts: list[np.ndarray]  # one for each style
    weights: list[float]  # the share of each, all together 1


def stylize(content, style, config, regions=()):
    """Repaints `content` in the style of `style` in one pass.

    Args:
        content: photo, [1, H, W, 3] in [0, 1], of any size.
        style: painting, [1, H', W', 3] in [0, 1]; or a sequence of paintings to blend;
            or a `StyleCode`, to which `config`'s style settings do nothing more.
        config: a `HubConfig`.
        regions: where to paint, everywhere if empty: one mask, or one for each style;
            [1, H, W, 1] of the content's proportions, from 0, the photo, to 1.

    Returns:
        float32 [1, H, W, 3] in [0, 1].

    Raises:
        ValueError: as `encode`; or the code is another model's, or masks do not fit; or
            the model is not called like Magenta's or gives no finite picture.
        OSError: the model cannot be had.
    """
    code = style if isinstance(style, StyleCode) else encode(style, config, content)
    (picture,) = stylize_batch([content], code, config, regions)
    return finish(picture, content, config, regions)


def finish(picture, content, config, regions=()):
    """Returns a painted picture as `config` and masks want it.

    Its colours are brought to the photo's as far as those are to be kept, and it is put
    into the photo where masks say.
    """
    picture = color.restore(picture, content, config)
    return masks.compose(content, picture, masks.fit(regions, content, len(regions)))


def stylize_batch(contents, code, config, regions=(), memory=None):
    """Repaints several photos of one size at once.

    Args:
        contents: [1, H, W, 3] in [0, 1] each.
        code: a `StyleCode`.
        config: a `HubConfig`.
        regions: as of `stylize`; each style is painted where its own mask says.
        memory: of frames that follow each other, a dict that is empty at the first of
            a scene: what "builtin" measures of them is smoothed over time.

    Returns:
        A list of pictures for `finish`. They differ from those of one photo at a time
        by rounding, which in bfloat16 comes to a third of an 8-bit level in the mean.
    """
    config, _ = choose(config)
    model = load_model(config.model)
    if code.model != model.checksum:
        raise ValueError(f"the style code is not of model {config.model}; encode again")
    regions = masks.fit(regions, contents[0], len(code.parts))
    photos = np.concatenate(contents)

    def paint(parts, weights, index=0):
        own = None if memory is None else memory.setdefault(index, {})
        return model.paint(photos, parts, weights, config.strength, own)

    if len(regions) > 1:
        # Where only a style of no weight would go, the photo stays.
        parts, regions, shares = zip(
            *(found for found in zip(code.parts, regions, code.weights) if found[-1])
        )
        each = [paint([part], [1], index) for index, part in enumerate(parts)]
        pictures = masks.mix(each, regions, shares)
    else:
        pictures = paint(code.parts, code.weights)
    return np.split(pictures, len(contents))


def encode(style, config, content=None):
    """Returns the `StyleCode` of a painting, or of several that are blended.

    Args:
        style: [1, H, W, 3] in [0, 1], or a sequence of such; each is scaled to
            `config.style_size`, along the side by which the model measures.
        config: a `HubConfig`.
        content: the photo, [1, H, W, 3], whose colours the styles are given first where
            `config` wants them kept.

    Raises:
        ValueError: a style is too elongated, or there is not one weight for each.
        OSError: the model cannot be had.
    """
    config, _ = choose(config)
    styles = images.several(style)
    shares = config.share_among(len(styles))
    model = load_model(config.model)
    scaled = [_scale_style(s, config, model) for s in styles]
    if content is not None:
        scaled = [color.prepare(s, content, config) for s in scaled]
    return StyleCode(model.checksum, [model.encode(s) for s in scaled], shares)


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
        side by which it measures that, the shortest side that it sees, how many pixels
        are best painted at once, and paints: `encode(style)` and
        `paint(content, codes, weights, strength, memory)`.

    Raises:
        OSError: the model does not exist, cannot be downloaded or is damaged.
    """
    if name_or_handle == "builtin":
        return stylizer.Stylizer()
    return magenta.load(name_or_handle)


def _scale_style(style, config, model):
    height, width = style.shape[1:3]
    if max(height, width) > MOST_ELONGATED * min(height, width):
        raise ValueError(
            f"a style of {width}x{height} pixels is too elongated: "
            f"at most {MOST_ELONGATED} times as long as wide"
        )
    size = config.style_scale * (config.style_size or model.style_size)
    factor = size / model.style_side(height, width)
    factor = max(factor, model.least_style_side / min(height, width))
    return images.resize(style, round(height * factor), round(width * factor))
