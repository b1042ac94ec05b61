"""Pictures from files and URLs to arrays, and back.

Beyond this module a picture is float32 RGB in [0, 1], shaped [1, H, W, 3]; transparency
travels beside it as [1, H, W, 1].
"""

import functools
import hashlib
import os
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from tf_style.images import decode, metadata
from tf_style.system import files
from tf_style.system.errors import InvalidInput, IsFolder, NotFound
from tf_style.system.files import StrPath

# Endings that can be written, and how.
WRITABLE: dict[str, tuple[str, dict[str, Any]]] = {
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    # Paintings hardly repeat themselves: looking for that takes three times as long
    # and saves no byte.
    ".png": ("PNG", {"compress_type": zlib.Z_RLE}),
    ".webp": ("WEBP", {"quality": 95}),
    # LZW makes paintings larger, and its encoder cannot hold the date.
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".bmp": ("BMP", {}),
}
HAS_QUALITY = tuple(e for e, (_, options) in WRITABLE.items() if "quality" in options)
HOLDS_ALPHA = (".png", ".webp", ".tif", ".tiff")

FILE_MAX_BYTES = 1 << 30

# The most that a format's header can say, in pixels a side.
LARGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}

URL_MAX_BYTES = 64 << 20
URL_MAX_SECONDS = 60.0


# What callers may pass, as errors say it.
PICTURE = (
    "one RGB picture, [H, W, 3] or [1, H, W, 3], of floats in [0, 1], uint8 or uint16, "
    "or a PIL image"
)
BATCH = "call it once for each, or hub.stylize_batch"
ALPHA = "[H, W], [H, W, 1] or [1, H, W, 1], of floats in [0, 1], uint8 or uint16"
# What is 1 in arrays of whole numbers.
WHITE = {"bool": 1, "uint8": 255, "uint16": 65535}
# How far beyond [0, 1] floats may be, by rounding.
TOLERANCE = 1e-3


Pixels: TypeAlias = npt.NDArray[np.float32]
# One picture, several, and a height and a width; see `as_picture`.
PictureLike: TypeAlias = Any  # arrays, tensors of any library, PIL images
Pictures: TypeAlias = PictureLike | Sequence[PictureLike]
Size: TypeAlias = Sequence[int]


class Picture(NamedTuple):
    """A picture as read from a file."""

    pixels: np.ndarray  # [1, H, W, 3] float32 in [0, 1], transparent parts on white
    alpha: np.ndarray | None  # [1, H, W, 1] float32 in [0, 1]; None if opaque
    sha256: str  # of the file, as hex digits
    note: str = ""  # one line on what the file lacks
    exif: bytes = b""  # see `metadata.read`


def load_image(source: StrPath, max_side: int = 0) -> Pixels:
    """Reads a picture as [1, H, W, 3] float32 in [0, 1]; see `load_picture`."""
    return load_picture(source, max_side).pixels


def load_picture(source: StrPath, max_side: int = 0) -> Picture:
    """Reads a picture and its transparency.

    Applies the EXIF orientation, converts colour profiles to sRGB, keeps the range of
    16-bit and float files, takes the first frame of an animation and shows transparent
    parts on white. A file that lacks less than a tenth is read.

    Args:
        source: path of a file, or an http(s) URL, which is cached.
        max_side: longest side of the result in pixels; 0 keeps the size. Smaller
            pictures are not enlarged.

    Raises:
        ValueError: the file is not a picture, is damaged, or has more pixels than
            Pillow's `Image.MAX_IMAGE_PIXELS`.
        OSError: the file cannot be read, or the URL cannot be fetched.
    """
    path = fetch(source)
    with files.naming(source, "read"):
        if path.stat().st_size > FILE_MAX_BYTES:
            raise InvalidInput(f"{source} is larger than {FILE_MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
    try:
        return _decode(source, data, max_side)
    except ValueError:
        if is_url(source):  # The next try shall ask the server again.
            path.unlink(missing_ok=True)
        raise


def fetch(source: StrPath) -> Path:
    """Returns the path of a file, or of what was downloaded from a URL.

    Raises:
        OSError, ValueError: it is not a file, or the URL cannot be fetched.
    """
    return _download(source) if is_url(source) else _existing_file(source)


def _download(url):
    """Returns the file of a URL, which is downloaded once into the cache."""
    name = hashlib.sha256(url.encode()).hexdigest()
    path = files.cache_folder() / "pictures" / name
    if not path.exists():
        path = files.writable_cache() / "pictures" / name
    if not path.exists():
        files.download(url, path, URL_MAX_BYTES, URL_MAX_SECONDS)
    return path


def _existing_file(source):
    path = files.local(source)
    with files.naming(source, "read"):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{source} does not exist") from None
    if stat.S_ISDIR(mode):
        raise IsFolder(f"{source} is a folder; give a picture file")
    if not stat.S_ISREG(mode):
        raise InvalidInput(f"{source} is a device or a pipe; give a picture file")
    return path


def _decode(source, data, max_side):
    if not data:
        raise InvalidInput(f"{source} is empty (0 bytes)")
    with decode.explained(source):
        image, exif, note = decode.open_srgb(data)
        if max_side and max(image.size) > max_side:
            image = image.resize(fit(image.size, max_side), Image.Resampling.LANCZOS)
        arrays, checksum = _to_arrays(image), hashlib.sha256(data).hexdigest()
        return Picture(*arrays, checksum, note and f"{source} {note}", exif)


def is_url(source: StrPath) -> bool:
    """Tells whether a source is a web address."""
    return str(source).lower().startswith(("http://", "https://"))


def as_picture(
    value: PictureLike, name: str = "picture", several: str = BATCH
) -> Pixels:
    """Converts a picture to the form that all modules use.

    Args:
        value: [1, H, W, 3] or [H, W, 3], of floats in [0, 1], uint8 or uint16: an
            array, a tensor or a variable; or a PIL image of any mode, with transparent
            parts shown on white. Floats that rounding put outside [0, 1] are clipped.
        name: name of the argument, for messages.
        several: what to do with several pictures, for messages.

    Returns:
        float32 [1, H, W, 3] in [0, 1]; `value` itself if it has that form.

    Raises:
        ValueError: it is anything else; the message says what came, what was expected
            and, if known, what to do.
    """
    return as_array(value, name, PICTURE, several)


def as_pictures(value: Pictures, name: str = "pictures") -> list[Pixels]:
    """Returns one picture, or a list or tuple of them, as a list; see `as_picture`."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        if not value:
            raise InvalidInput(f"{name} is empty; give at least one picture")
        return [as_picture(item, f"{name}[{i}]") for i, item in enumerate(value)]
    return [as_picture(value, name, "give them as a list")]


def as_array(
    value: Any,
    name: str,
    wanted: str,
    several: str = "",
    channels: tuple[int, ...] = (3,),
    limited: bool = True,
) -> Pixels:
    """Converts an array to float32 [1, H, W, C] in [0, 1]; see `as_picture`.

    Args:
        value: an array, a tensor or a variable; where C may be 3, a PIL image.
        name: of the argument.
        wanted: what it should be, for messages.
        several: what to do with several of them.
        channels: which C are right. With 1, [H, W] and bool are right too.
        limited: whether values far beyond [0, 1] are refused, rather than clipped.

    Raises:
        ValueError: it is anything else.
    """
    if isinstance(value, Image.Image) and 3 in channels:
        return from_pil(value, name)[0]
    refusal = functools.partial(_refusal, name, wanted, several, channels, value)
    if value is None or isinstance(value, (str, bytes, os.PathLike, list, tuple, dict)):
        raise refusal()
    try:
        array = np.asarray(value)
    except Exception as error:  # Tensors of other libraries raise what they like.
        raise refusal() from error
    white = WHITE.get(array.dtype.name)
    is_float = array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    shaped = array[..., None] if array.ndim == 2 and 1 in channels else array
    shaped = shaped[None] if shaped.ndim == 3 else shaped
    if not (
        (is_float or (white and (white > 1 or 1 in channels)))
        and (shaped.ndim == 4 and shaped.shape[0] == 1 and shaped.shape[3] in channels)
        and shaped.size
    ):
        raise refusal(array)
    if white:
        return shaped.astype(np.float32) / np.float32(white)
    low, high = float(shaped.min()), float(shaped.max())  # NaN if there is any
    beyond = low < -TOLERANCE or high > 1 + TOLERANCE
    if not np.isfinite([low, high]).all() or (limited and beyond):
        raise refusal(array)
    if low < 0 or high > 1:
        shaped = np.clip(shaped, 0, 1)
    return np.asarray(shaped, np.float32)


def _refusal(name, wanted, several, channels, value, array=None):
    """Returns the ValueError that says what is wrong with a picture, and what to do."""
    came, advice = type(value).__name__, ""
    if value is None:
        came = "None"
    elif isinstance(value, (str, bytes, os.PathLike)):
        came, advice = f"{os.fsdecode(value)!r}", "read files with images.load_image"
    elif isinstance(value, Picture):
        advice = "pass its pixels"
    elif isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        came, advice = f"a {came} of {len(value)}", several
    elif hasattr(value, "shape") and array is None:
        advice = "it has no values here; call this outside of tf.function"
    elif hasattr(value, "shape"):
        came = f"{came} {array.dtype} {list(array.shape)}"
        if array.size and array.dtype.kind in "fiu":
            low, high = float(array.min()), float(array.max())
            finite = np.isfinite([low, high]).all()
            came += f" from {low:g} to {high:g}" if finite else " that is not finite"
        advice = _advice(array, channels, several)
    return InvalidInput(
        f"{name} is {came}; it must be {wanted}{advice and '; '}{advice}"
    )


def _advice(array, channels, several):
    """Returns what to do about an array that is no picture; empty if nobody knows."""
    shape, kind = array.shape, array.dtype.kind
    if len(shape) == 4 and shape[0] > 1:
        return several
    if len(shape) == 2 and 1 not in channels:
        return "repeat its one channel three times"
    if not 2 <= len(shape) <= 4:
        return ""
    if len(shape) > 2 and shape[-1] not in channels:
        if shape[-1] == 1:
            return "repeat its one channel three times"
        if shape[-3] in channels:
            return "move its channels to the end"
        return "leave out its last channel" if shape[-1] == 4 else ""
    if kind not in "fiu" or not array.size or not np.isfinite(array).all():
        return ""
    low, high = array.min(), array.max()
    if low >= -TOLERANCE and high > 2:
        return f"in [0, 255]? {'divide by 255' if kind == 'f' else 'make it uint8'}"
    if -1 - TOLERANCE <= low < -TOLERANCE and high <= 1 + TOLERANCE:
        return "in [-1, 1]? add 1 and divide by 2"
    return "bring it to [0, 1], as floats"


def from_pil(image: Image.Image, name: str) -> tuple[Pixels, Pixels | None]:
    """Returns the pixels and the alpha of a PIL image, as `Picture` has them."""
    if 0 in image.size:
        raise InvalidInput(f"{name} is an image of {image.width}x{image.height} pixels")
    with decode.explained(name):
        return _to_arrays(decode.to_srgb(image))


def save_image(
    path: StrPath, pixels: PictureLike, alpha: PictureLike | None = None
) -> None:
    """Writes a picture; see `write_image`. A failed write leaves the old file.

    Raises:
        ValueError: see `write_image`.
        OSError: the file cannot be written.
    """
    path = files.local(path)
    writing_format(path)
    with files.replacing(path) as temporary:
        write_image(temporary, pixels, alpha, path)


def write_image(
    path: StrPath,
    pixels: PictureLike,
    alpha: PictureLike | None = None,
    name: StrPath | None = None,
    quality: int = 0,
    exif: bytes = b"",
    location: bool = False,
) -> None:
    """Writes a picture, in the format of the path's ending.

    Args:
        path: file to write or replace; see `WRITABLE` for the endings.
        pixels: see `as_picture`, but all floats outside [0, 1] are clipped.
        alpha: [1, H, W, 1] in [0, 1]; None: that of a PIL image, else opaque. `pixels`
            show the picture on white, as `load_picture` returns them; formats without
            transparency store just that.
        name: the path that messages name, if `path` is a temporary one.
        quality: quality of JPEG and WebP, from 1 to 100; 0 is 95.
        exif: date, author and the like, of a `Picture`.
        location: whether to write the GPS data among them.

    Raises:
        ValueError: the ending is unknown, `pixels` are not a picture or not finite,
            `alpha` has another size, `exif` is not EXIF, or the picture is too large
            for the format.
        OSError: the file cannot be written.
    """
    path, name = files.local(path), name or path
    if isinstance(pixels, Image.Image):
        pixels, own = from_pil(pixels, "pixels")
        alpha = own if alpha is None else alpha
    pixels = as_array(pixels, f"the picture for {name}", PICTURE, limited=False)[0]
    kind, options = writing_format(name, pixels.shape[:2])
    if quality and "quality" in options:
        options = options | {"quality": quality}
    options = options | metadata.save_options(exif, kind, location)
    if alpha is not None:
        alpha = as_array(alpha, "alpha", ALPHA, channels=(1,))[0]
        if alpha.shape[:2] != pixels.shape[:2]:
            sizes = [f"{x.shape[1]}x{x.shape[0]}" for x in (alpha, pixels)]
            raise InvalidInput("alpha is of {} pixels, and pixels of {}".format(*sizes))
        pixels = _off_white(pixels, alpha)
        if path.suffix.lower() in HOLDS_ALPHA:
            pixels = np.concatenate([pixels, alpha], -1)
        else:
            pixels = _on_white(pixels, alpha)
    Image.fromarray(to_uint8(pixels)).save(path, format=kind, **options)


def writing_format(path: StrPath, size: Size = (1, 1)) -> tuple[str, dict[str, Any]]:
    """Returns Pillow's format name and options for a path's ending.

    Args:
        path: file to write.
        size: height and width of the picture.

    Raises:
        ValueError: the ending is unknown, or the picture is too large for it.
    """
    try:
        name, options = WRITABLE[Path(path).suffix.lower()]
    except KeyError:
        raise InvalidInput(
            f"cannot write {path}: its ending must be one of {', '.join(WRITABLE)}"
        ) from None
    if max(size) > LARGEST_SIDE.get(name, max(size)):
        raise InvalidInput(
            f"{name} holds at most {LARGEST_SIDE[name]} pixels a side and {path} would "
            f"have {size[1]}x{size[0]}; write .png"
        )
    return name, options


def to_uint8(pixels: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Rounds [0, 1] to 0..255; truncation would darken by half a level."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def to_float(image: npt.ArrayLike) -> Pixels:
    """Returns uint8 [H, W, C] as float32 [1, H, W, C] in [0, 1]."""
    return np.asarray(image, np.float32)[None] / np.float32(255)


def resize(pixels: PictureLike, height: int, width: int) -> Pixels:
    """Resizes [1, H, W, 3] to [1, height, width, 3] with an antialiased Lanczos filter.

    Returns the picture itself if it has this size.
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
    return np.clip(np.stack([*map(np.asarray, channels)], -1)[None], 0, 1)


def several(pictures: Any) -> list[Any]:
    """Returns one picture [1, H, W, 3], or a sequence of them, as a list."""
    return [pictures] if hasattr(pictures, "shape") else list(pictures)


def fit_longest(pixels: Pixels, side: int) -> Pixels:
    """Resizes a picture so that its longest side is `side`, keeping proportions."""
    return resize(pixels, *fit(pixels.shape[1:3], side))


def limit_longest(pixels: Pixels, side: int) -> Pixels:
    """Makes a picture smaller if its longest side is more than `side`."""
    return pixels if max(pixels.shape[1:3]) <= side else fit_longest(pixels, side)


def fit(size: Size, side: float) -> tuple[int, ...]:
    """Returns the two lengths of `size` scaled so that the longer is `side`."""
    factor = side / max(size)
    return tuple(max(1, round(length * factor)) for length in size)


def are_alike(size: Size, other: Size) -> bool:
    """Tells whether two sizes, height and width, have the same proportions.

    Sides are whole numbers, so that proportions hold to half a pixel.
    """
    (rows, columns), (height, width) = size, other
    return 2 * abs(rows * width - columns * height) <= rows + columns + height + width


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
