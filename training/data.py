"""Training pictures: files and drawings in memory, handed out as augmented crops."""

import glob
import itertools

import drawings
import numpy as np
from PIL import Image, ImageOps


def read(patterns, side=512):
    """Reads the pictures of globs as uint8 [H, W, 3], longest side at most `side`."""
    pictures = []
    for path in sorted(itertools.chain.from_iterable(map(glob.glob, patterns))):
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image).convert("RGB")
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        pictures.append(np.asarray(image))
    if not pictures:
        raise ValueError(f"no picture matches {' '.join(patterns)}")
    return pictures


def draw(count, seed, side=384):
    """Draws `count` pictures as uint8 [side, side, 3]."""
    return [drawings.draw(np.random.default_rng([seed, i]), side) for i in range(count)]


def crops(pictures, side, rng, colour=0.5, reach=(0.4, 1)):
    """Yields crops without end.

    Args:
        pictures: uint8 [H, W, 3] each.
        side: height and width of the crops in pixels.
        rng: a `numpy.random.Generator`.
        colour: share of crops whose colours are changed.
        reach: bounds of a crop's side, as shares of its picture's shorter side.

    Yields:
        float32 [side, side, 3] in [0, 1].
    """
    while True:
        picture = pictures[rng.integers(len(pictures))]
        height, width = picture.shape[:2]
        cut = min(height, width) * rng.uniform(*reach)
        stretch = np.exp(rng.normal() * 0.1)
        box_h, box_w = min(height, cut * stretch), min(width, cut / stretch)
        top, left = rng.uniform(0, height - box_h), rng.uniform(0, width - box_w)
        crop = Image.fromarray(picture).resize(
            (side, side),
            Image.Resampling.BICUBIC,
            (left, top, left + box_w, top + box_h),
            reducing_gap=3,
        )
        pixels = np.asarray(crop, np.float32) / 255
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        if rng.random() < colour:
            pixels = _recolour(pixels, rng)
        yield pixels


def tile(crop, rng):
    """Repeats a crop [side, side, 3] at a half or a third of its size, mirrored.

    Such a picture is all detail and no composition, as bricks or pebbles are.
    """
    side, times = crop.shape[0], int(rng.integers(2, 4))
    small = Image.fromarray(np.uint8(crop * 255 + 0.5))
    small = small.resize([-(-side // times)] * 2, Image.Resampling.LANCZOS)
    pixels = np.asarray(small, np.float32) / 255
    pixels = pixels.mean() + (pixels - pixels.mean()) * rng.uniform(1, 1.8)
    rim = side - pixels.shape[0]
    tiled = np.pad(pixels, [(0, rim), (0, rim), (0, 0)], "symmetric")
    return np.clip(tiled, 0, 1).astype(np.float32)


def batches(sources, shares, size):
    """Yields float32 [size, H, W, 3] with the same numbers from each source."""
    counts = [round(size * share) for share in shares]
    while True:
        yield np.stack(
            [next(s) for s, n in zip(sources, counts, strict=True) for _ in range(n)]
        )


def _recolour(pixels, rng):
    """Changes gamma, contrast, saturation and the order of channels."""
    pixels = pixels ** np.float32(np.exp(rng.normal() * 0.3))
    grey = pixels.mean(-1, keepdims=True)
    pixels = grey + (pixels - grey) * np.float32(rng.uniform(0, 1.6))
    pixels = 0.5 + (pixels - 0.5) * np.float32(rng.uniform(0.6, 1.3))
    pixels = pixels + np.float32(rng.normal(size=3) * 0.05)
    if rng.random() < 0.5:
        pixels = pixels[..., rng.permutation(3)]
    return np.clip(pixels, 0, 1)
