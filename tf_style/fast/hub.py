"""The fast method: one pass of a network trained for any style.

`magenta` is the published model (`fast.magenta`), `builtin` our own
(`fast.builtin.stylizer`). This module does what they have in common: it encodes a
style once for any number of photos, blends styles, and mixes in the photo. It neither
prints nor reads or writes pictures.
"""

import dataclasses
import functools
import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_style import color, images
from tf_style.config import FAST_MODELS, MAGENTA_HANDLE, HubConfig
from tf_style.fast import magenta
from tf_style.images import PictureLike, Pictures, Pixels
from tf_style.images import masks as masking
from tf_style.images.masks import Masks
from tf_style.networks import tracing
from tf_style.system import arrays, fallback, files
from tf_style.system.checks import checked
from tf_style.system.errors import InvalidInput
from tf_style.system.files import StrPath

# Of either model, a code is a picture.
CODE_MAX_BYTES = 1 << 30
# A longer style costs as a picture of that length, for nothing that its middle lacks.
MOST_ELONGATED = 16


class StyleCode(NamedTuple):
    """What a model knows about one or more styles, for any photo."""

    model: str  # checksum of the model that made it
    parts: list[np.ndarray]  # one for each style
    weights: list[float]  # the share of each, all together 1


def stylize(
    content: PictureLike,
    style: Pictures | StyleCode,
    config: HubConfig | None = None,
    *,
    masks: Masks = None,
) -> Pixels:
    """Repaints `content` in the style of `style` in one pass.

    Args:
        content: photo, [1, H, W, 3] in [0, 1], of any size; or anything that
            `images.as_picture` accepts, like all pictures here.
        style: painting, [1, H', W', 3] in [0, 1]; or a list of paintings to blend; or a
            `StyleCode`, for which the style settings of `config` are ignored.
        config: a `HubConfig`; None: the defaults.
        masks: where to paint; None: everywhere. One mask, or a list with one for each
            style; [1, H, W, 1] with the content's proportions, from 0 (the photo) to 1,
            or anything that `masks.as_mask` accepts.

    Returns:
        float32 [1, H, W, 3] in [0, 1].

    Raises:
        ValueError: see `encode`; or an argument is invalid, the code belongs to another
            model, masks do not fit, the model does not have Magenta's signature, or its
            picture is not finite.
        OSError: the model is not available.
    """
    config = checked(config, HubConfig)
    content, masks = images.as_picture(content, "content"), masking.as_masks(masks)
    if not isinstance(style, StyleCode):
        style = encode(style, config, content=content)
    (picture,) = stylize_batch([content], style, config, masks=masks)
    return finish(picture, content, config, masks=masks)


def finish(
    picture: PictureLike,
    content: PictureLike,
    config: HubConfig | None = None,
    *,
    masks: Masks = None,
) -> Pixels:
    """Applies preserved colours and masks to a painted picture.

    For the arguments and errors see `stylize`.
    """
    config = checked(config, HubConfig)
    picture = images.as_picture(picture, "picture")
    content = images.as_picture(content, "content")
    if picture.shape != content.shape:
        sizes = [
            f"{width}x{height}"
            for _, height, width, _ in (picture.shape, content.shape)
        ]
        raise InvalidInput("picture has {} pixels, but content has {}".format(*sizes))
    masks = masking.as_masks(masks)
    picture = color.restore(picture, content, config)
    return masking.compose(content, picture, masking.fit(masks, content, len(masks)))


def stylize_batch(
    contents: Pictures,
    code: StyleCode,
    config: HubConfig | None = None,
    *,
    masks: Masks = None,
    memory: dict[Any, Any] | None = None,
    motions: Sequence[Any] | None = None,
) -> list[Pixels]:
    """Repaints several photos; small ones of one size in one batch.

    Args:
        contents: a list of photos, [1, H, W, 3] in [0, 1] each; or all of them in one
            array, [N, H, W, 3].
        code: a `StyleCode`.
        config: a `HubConfig`; None: the defaults.
        masks: see `stylize`.
        memory: for consecutive frames of a film, a dict that is empty at the start of
            each scene; "builtin" smooths its statistics over time with it.
        motions: the `flow.Motion` of each frame since the one before, or None; what
            "builtin" found in the paintings moves along.

    Returns:
        A list of pictures for `finish`. They differ by rounding from those of one photo
        at a time; in bfloat16, by a third of an 8-bit level on average.

    Raises:
        ValueError, OSError: see `stylize`; or frames with a memory differ in size, or
            the number of motions does not match.
    """
    config = checked(config, HubConfig)
    if not isinstance(contents, (list, tuple)) and len(np.shape(contents)) == 4:
        contents = [contents[i] for i in range(np.shape(contents)[0] or 0)]
    photos = images.as_pictures(contents, "contents")
    tracing.require_eager()
    model = _model_of(code, config)
    code = _checked_code(code, model, config)
    places = {}  # of the photos of each size
    for place, photo in enumerate(photos):
        places.setdefault(photo.shape, []).append(place)
    if memory is not None and len(places) > 1:
        raise InvalidInput(
            "contents have several sizes; frames of a film must have one"
        )
    if motions is not None and len(motions) != len(photos):
        raise InvalidInput(
            f"there are {len(motions)} motions for {len(photos)} contents; give one "
            "for each"
        )
    painted = {}
    for (_, height, width, _), alike in places.items():
        # More at once would take more memory, and no less time.
        room = max(1, model.batch_pixels // (height * width))
        for start in range(0, len(alike), room):
            some = alike[start : start + room]
            batch = np.concatenate([photos[place] for place in some])
            own = masking.fit(masks, batch, len(code.parts))
            past = None if motions is None else [motions[place] for place in some]
            pictures = _paint(batch, code, model, config, own, memory, past)
            painted |= zip(some, np.split(pictures, len(some)))
    return [painted[place] for place in range(len(photos))]


def _model_of(code, config):
    """Loads the model that `config` names; of "auto", the one that made the code."""
    settled, _ = choose(config)
    model = load_model(settled.model)
    foreign = isinstance(code, StyleCode) and code.model != model.checksum
    if foreign and config.model == "auto":
        # It may be of a time when Magenta's could not be had.
        ours = load_model("builtin")
        return ours if code.model == ours.checksum else model
    return model


def _paint(photos, code, model, config, masks, memory, motions):
    """Repaints photos of one size, [N, H, W, 3]."""

    def paint(parts, weights, index=0):
        own = None if memory is None else memory.setdefault(index, {})
        return model.paint(photos, parts, weights, config.strength, own, motions)

    if len(masks) < 2:
        return paint(code.parts, code.weights)
    # Where only a style of no weight would go, the photo stays.
    parts, masks, shares = zip(
        *(found for found in zip(code.parts, masks, code.weights) if found[-1])
    )
    each = [paint([part], [1], index) for index, part in enumerate(parts)]
    return masking.mix(each, masks, shares)


def encode(
    style: Pictures,
    config: HubConfig | None = None,
    *,
    content: PictureLike | None = None,
) -> StyleCode:
    """Returns the `StyleCode` of a painting, or of several that are blended.

    Args:
        style: [1, H, W, 3] in [0, 1], or a list of paintings; each is scaled to
            `config.style_size`.
        config: a `HubConfig`; None: the defaults.
        content: the photo, [1, H, W, 3]; needed with `preserve_color`, because the
            styles take on its colours first.

    Raises:
        ValueError: a picture is invalid, a style is too elongated, or the number of
            weights does not match.
        OSError: the model is not available.
    """
    config, _ = choose(config)
    styles = images.as_pictures(style, "style")
    if content is not None:
        content = images.as_picture(content, "content")
    tracing.require_eager()
    shares = config.share_among(len(styles))
    model = load_model(config.model)
    scaled = [_scale_style(s, config, model) for s in styles]
    if content is not None:
        scaled = [color.prepare(s, content, config) for s in scaled]
    return StyleCode(model.checksum, [model.encode(s) for s in scaled], shares)


def save_code(path: StrPath, code: StyleCode) -> None:
    """Writes a `StyleCode` to a file, usually named .npz.

    Raises:
        OSError: the file cannot be written.
    """
    with (
        files.replacing(files.local(path)) as temporary,
        temporary.open("wb") as stream,
    ):
        parts: Any = {f"part{i}": part for i, part in enumerate(code.parts)}
        np.savez_compressed(stream, model=code.model, weights=code.weights, **parts)


def load_code(path: StrPath) -> StyleCode:
    """Reads what `save_code` wrote.

    Raises:
        ValueError: the file is not a style code.
        OSError: the file cannot be read.
    """
    path = files.local(path)
    try:
        held = arrays.read_npz(path, CODE_MAX_BYTES)
        weights = held["weights"].tolist()
        parts = [held[f"part{i}"] for i in range(len(weights))]
        return _sound(StyleCode(str(held["model"]), parts, weights))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} is not a style code of tf_style") from error


def _checked_code(code, model, config):
    """Returns a code that was made by a model, and is as its codes are.

    Raises:
        ValueError: it is another's, or is none.
    """
    if not isinstance(code, StyleCode):
        came = type(code).__name__
        raise InvalidInput(f"code is {came}; it must be a StyleCode from encode")
    if code.model != model.checksum:
        raise InvalidInput(
            f"the style code was not made by model {config.model}; encode the style "
            "again"
        )
    code = _sound(code)
    for part in code.parts:
        fits = len(part.shape) == len(model.code_shape) and all(
            side >= model.least_style_side if size is None else side == size
            for side, size in zip(part.shape, model.code_shape)
        )
        if not fits or part.dtype != model.code_dtype:
            raise InvalidInput(
                f"the style code has a part {list(part.shape)}, whose shape or type "
                f"does not fit model {config.model}; encode the style again"
            )
    return code


def _sound(code):
    """Returns a code with its parts as float32 or as bytes, whatever the model.

    Raises:
        ValueError: it has parts that are neither finite floats nor bytes, or not one
            weight for each.
    """
    parts, weights = [np.asarray(part) for part in code.parts], np.asarray(code.weights)
    for part in parts:
        floats = part.dtype.kind == "f" and np.isfinite(part).all()
        if not part.size or not (floats or part.dtype == np.uint8):
            raise InvalidInput("the style code has parts that are not finite floats")
    if not (
        weights.shape == (len(parts),)
        and weights.dtype.kind in "fiu"
        and (weights >= 0).all()
        and abs(weights.sum() - 1) < 1e-3
    ):
        raise InvalidInput(
            f"the style code has weights {code.weights} for {len(parts)} styles; give "
            "one for each, adding up to 1"
        )
    parts = [p if p.dtype == np.uint8 else np.float32(p) for p in parts]
    return StyleCode(code.model, parts, weights.tolist())


def choose(config: HubConfig | None) -> tuple[HubConfig, str]:
    """Chooses the model for `auto` on this machine.

    A failed download is tried again after a few minutes.

    Returns:
        The `HubConfig` with the name of a model, and a line that says which and why;
        the line is empty if there was nothing to choose.
    """
    config = checked(config, HubConfig)
    if config.model != "auto":
        return config, ""
    name, note = choose_model()
    return dataclasses.replace(config, model=name), note


@fallback.remembered
def choose_model() -> tuple[str, str]:
    """Returns the name of the model that `auto` means, and a line that says why."""
    try:
        fetch = functools.partial(magenta.fetch, MAGENTA_HANDLE)
        place = files.find_or_fetch(magenta.cached(), MAGENTA_HANDLE, fetch)
        load_model("magenta")
    except OSError as error:
        return "builtin", (
            f"painting with the built-in model, because Magenta's is not available "
            f"({error}); --model=magenta makes that an error"
        )
    return "magenta", (
        f"painting with Magenta's model, {place}; --model=builtin is our own"
    )


@functools.lru_cache(maxsize=2)
def load_model(name_or_handle: str) -> Any:
    """Loads a model, once per process.

    Args:
        name_or_handle: one of `config.FAST_MODELS`, or the URL or folder of a
            SavedModel with Magenta's signature (see `magenta.load`).

    Returns:
        The model. It has a name, a source, a checksum, the size it expects of a style
        and the side that this size measures, the shortest side it can process, the
        shape of its codes (None: any length from that side) and their type, the number
        of pixels to paint in one batch, and the methods `encode(style)` and
        `paint(content, codes, weights, strength, memory, motions)`.

    Raises:
        OSError: the model does not exist, cannot be downloaded or is damaged.
    """
    module = FAST_MODELS.get(name_or_handle, FAST_MODELS["magenta"])
    return importlib.import_module(module).load(name_or_handle)


def _scale_style(style, config, model):
    height, width = style.shape[1:3]
    if max(height, width) > MOST_ELONGATED * min(height, width):
        raise InvalidInput(
            f"a style of {width}x{height} pixels is too elongated: "
            f"at most {MOST_ELONGATED} times as long as wide"
        )
    size = config.style_scale * (config.style_size or model.style_size)
    factor = size / model.style_side(height, width)
    factor = max(factor, model.least_style_side / min(height, width))
    return images.resize(style, round(height * factor), round(width * factor))
