"""Pictures from files and URLs to arrays, and back.

Beyond this module a picture is float32 RGB in [0, 1], shaped [1, H, W, 3]; transparency
travels beside it as [1, H, W, 1].
"""

import hashlib
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tf_style import decode, files

# Endings that can be written, and how.
WRITABLE = {
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    # Paintings hardly repeat themselves: looking for that takes three times as long
    # and saves no byte.
    ".png": ("PNG", {"compress_type": zlib.Z_RLE}),
    ".webp": ("WEBP", {"quality": 95}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".bmp": ("BMP", {}),
}
HOLDS_ALPHA = (".png", ".webp", ".tif", ".tiff")

FILE_MAX_BYTES = 1 << 30

# The most that a format's header can say, in pixels a side.
LARGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}

URL_MAX_BYTES = 64 << 20
URL_MAX_SECONDS = 60.0


class Picture(NamedTuple):
    """A picture as read from a file."""

    pixels: np.ndarray  # [1, H, W, 3] float32 in [0, 1], transparent parts on white
    alpha: np.ndarray | None  # [1, H, W, 1] float32 in [0, 1]; None if opaque
    sha256: str  # of the file, as hex digits


def load_image(source, max_side=0):
    """Reads a picture as [1, H, W, 3] float32 in [0, 1]; see `load_picture`."""
    return load_picture(source, max_side).pixels


def load_picture(source, max_side=0):
    """Reads a picture and its transparency.

    Applies the EXIF orientation, converts colour profiles to sRGB, keeps the range of
    16-bit and float files, takes the first frame of an animation and shows transparent
    parts on white.

    Args:
        source: path of a file, or an http(s) URL, which is cached.
        max_side: longest side of the result in pixels; 0 keeps the size. Smaller
            pictures stay as they are.

    Raises:
        ValueError: the file is no picture, is damaged, or has more pixels than
            Pillow's `Image.MAX_IMAGE_PIXELS`; one line that names it.
        OSError: the file cannot be read or the URL not be fetched.
    """
    path = fetch(source)
    if path.stat().st_size > FILE_MAX_BYTES:
        raise ValueError(f"{source} is larger than {FILE_MAX_BYTES >> 20} MiB")
    try:
        return _decode(source, path.read_bytes(), max_side)
    except ValueError:
        if is_url(source):  # The next try shall ask the server again.
            path.unlink(missing_ok=True)
        raise


def fetch(source):
    """Returns the path of a file, or of what was downloaded from a URL.

    Raises:
        OSError, ValueError: it is no file, or the URL cannot be fetched.
    """
    return _download(source) if is_url(source) else _existing_file(source)


def _download(url):
    """Returns the file of a URL, which is downloaded once into the cache."""
    name = hashlib.sha256(url.encode()).hexdigest()
    path = files.cache_folder() / "pictures" / name
    if not path.exists():
        files.download(url, path, URL_MAX_BYTES, URL_MAX_SECONDS)
    return path


def _existing_file(source):
    path = files.local(source)
    if path.is_dir():
        raise IsADirectoryError(f"{source} is a folder; a picture file is needed here")
    if not path.exists():
        raise FileNotFoundError(f"{source} does not exist")
    if not path.is_file():
        raise ValueError(f"{source} is a device; a picture file is needed here")
    return path


def _decode(source, data, max_side):
    if not data:
        raise ValueError(f"{source} is empty (0 bytes)")
    with decode.explained(source):
        image = decode.open_srgb(data)
        if max_side and max(image.size) > max_side:
            image = image.resize(fit(image.size, max_side), Image.Resampling.LANCZOS)
        return Picture(*_to_arrays(image), hashlib.sha256(data).hexdigest())


def is_url(source):
    """Tells web addresses from paths."""
    return str(source).lower().startswith(("http://", "https://"))


def save_image(path, pixels, alpha=None):
    """Writes a picture as `write_image`, all or nothing.

    Raises:
        OSError: the file cannot be written; what was there before is untouched.
    """
    writing_format(path)
    with files.replacing(path) as temporary:
        write_image(temporary, pixels, alpha, path)


def write_image(path, pixels, alpha=None, name=None):
    """Writes a picture, in the format of the path's ending.

    Args:
        path: file to write or replace; see `WRITABLE` for the endings.
        pixels: [1, H, W, 3] or [H, W, 3], values in [0, 1].
        alpha: [1, H, W, 1] in [0, 1], or None. `pixels` are taken to show the
            picture on white, as `load_picture` gives it. Formats that hold no
            transparency get just that.
        name: what messages call it, where `path` is a temporary one.

    Raises:
        ValueError: the ending is not known, the picture is not finite, or it is
            larger than the format allows.
        OSError: the file cannot be written.
    """
    path, name = Path(path), name or path
    pixels = np.asarray(pixels, np.float32).reshape(np.shape(pixels)[-3:])
    kind, options = writing_format(name, pixels.shape[:2])
    if alpha is not None:
        alpha = np.asarray(alpha, np.float32).reshape(*pixels.shape[:2], 1)
        pixels = _off_white(pixels, alpha)
        if path.suffix.lower() in HOLDS_ALPHA:
            pixels = np.concatenate([pixels, alpha], -1)
        else:
            pixels = _on_white(pixels, alpha)
    if not np.isfinite(pixels).all():
        raise ValueError(f"the picture for {name} has values that are not finite")
    Image.fromarray(to_uint8(pixels)).save(path, format=kind, **options)


def writing_format(path, size=(1, 1)):
    """Returns Pillow's format name and options for a path's ending.

    Args:
        path: file to write.
        size: height and width of the picture.

    Raises:
        ValueError: no picture can be written under this ending, or none so large.
    """
    try:
        name, options = WRITABLE[Path(path).suffix.lower()]
    except KeyError:
        raise ValueError(
            f"cannot write {path}: its ending must be one of {', '.join(WRITABLE)}"
        ) from None
    if max(size) > LARGEST_SIDE.get(name, max(size)):
        raise ValueError(
            f"{name} holds at most {LARGEST_SIDE[name]} pixels a side and {path} would "
            f"have {size[1]}x{size[0]}; write .png"
        )
    return name, options


def to_uint8(pixels):
    """Rounds [0, 1] to 0..255; truncating, as tutorials do, darkens by half a level."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def to_float(image):
    """Returns uint8 [H, W, C] as float32 [1, H, W, C] in [0, 1]."""
    return np.asarray(image, np.float32)[None] / 255


def resize(pixels, height, width):
    """Resizes [1, H, W, 3] to [1, height, width, 3] with an antialiased Lanczos filter.

    Returns the picture itself where it has this size already.
    """
    pixels = np.asarray(pixels, np.float32)
    if pixels.shape[1:3] == (height, width):
        return pixels
    channels = [
        Image.fromarray(np.ascontiguousarray(pixels[0, :, :, c])).resize(
            (width, height), Image.Resampling.LANCZOS
        )
        for c in range(pixels.shape[-1])
    ]
    # Lanczos overshoots at edges.
    return np.clip(np.stack(channels, -1)[None], 0, 1)


def several(pictures):
    """Returns one picture [1, H, W, 3], or a sequence of them, as a list."""
    return [pictures] if hasattr(pictures, "shape") else list(pictures)


def fit_longest(pixels, side):
    """Resizes a picture so that its longest side is `side`, keeping proportions."""
    return resize(pixels, *fit(pixels.shape[1:3], side))


def fit(size, side):
    """Returns the two lengths of `size` scaled so that the longer is `side`."""
    factor = side / max(size)
    return tuple(max(1, round(length * factor)) for length in size)


def _to_arrays(image):
    """Returns pixels and alpha as `Picture` holds them."""
    if image.mode == "F":
        grey = np.clip(np.asarray(image, np.float32), 0, 1)
        return np.repeat(grey[None, :, :, None], 3, -1), None
    pixels = to_float(image)
    if image.mode == "RGB":
        return pixels, None
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() == 1:
        return np.ascontiguousarray(colour), None
    return _on_white(colour, alpha), alpha


def _on_white(colour, alpha):
    return colour * alpha + (1 - alpha)


def _off_white(pixels, alpha):
    """Undoes `_on_white`, as far as colours go; else alpha would fade them twice."""
    colour = (pixels - (1 - alpha)) / np.maximum(alpha, 1 / 255)
    return np.clip(colour, 0, 1)
