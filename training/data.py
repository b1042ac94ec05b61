"""Training pictures: files and drawings in memory, as augmented crops."""

import glob
import itertools

import drawings
import numpy as np
from PIL import Image, ImageOps

# Share of styles that are tiled from small copies.
TILED = 0.2


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


def crops(pictures, side, rng):
    """Yields crops without end, half of them with other colours.

    Args:
        pictures: uint8 [H, W, 3] each.
        side: height and width of the crops in pixels.
        rng: a `numpy.random.Generator`.

    Yields:
        float32 [side, side, 3] in [0, 1].
    """
    while True:
        picture = pictures[rng.integers(len(pictures))]
        pixels = crop(picture, side, rng, (0.4, 1)) / np.float32(255)
        yield _recolour(pixels, rng) if rng.random() < 0.5 else pixels


def tile(pixels, rng):
    """Repeats a crop uint8 [side, side, 3] at half or a third of its size, mirrored.

    Such a picture is all detail and no composition, as bricks or pebbles are.
    """
    side, times = pixels.shape[0], int(rng.integers(2, 4))
    small = Image.fromarray(pixels).resize([-(-side // times)] * 2, Image.LANCZOS)
    rim = side - small.height
    return np.pad(np.asarray(small), [(0, rim), (0, rim), (0, 0)], "symmetric")


def pick(sources, rng):
    """Takes a picture of sources, (pictures, share) each."""
    pictures, _ = sources[rng.choice(len(sources), p=[share for _, share in sources])]
    return pictures[rng.integers(len(pictures))]


def crop(picture, side, rng, reach):
    """Takes a crop of a picture uint8 [H, W, 3], as uint8 [side, side, 3].

    Its side is a share within `reach` of the picture's shorter one, before scaling.
    """
    height, width = picture.shape[:2]
    cut = min(height, width) * rng.uniform(*reach)
    stretch = np.exp(rng.normal() * 0.1)
    box_h, box_w = min(height, cut * stretch), min(width, cut / stretch)
    top, left = rng.uniform(0, height - box_h), rng.uniform(0, width - box_w)
    # What lies around costs time, and counts for nothing.
    rows = slice(int(top), int(top + box_h) + 2)
    columns = slice(int(left), int(left + box_w) + 2)
    top, left = top - rows.start, left - columns.start
    near = Image.fromarray(picture[rows, columns])
    box = left, top, min(left + box_w, near.width), min(top + box_h, near.height)
    pixels = np.asarray(near.resize((side, side), Image.Resampling.BICUBIC, box))
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


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
