"""Decodes picture files of any kind to sRGB.

It handles whatever a file may be: rotated, CMYK, 16-bit, transparent, animated, or in
    another colour space.
"""

import contextlib
import importlib.util
import io
import math
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, PngImagePlugin

from tf_style.images import metadata
from tf_style.system.errors import InvalidInput
from tf_style.system.files import StrPath

# Supported formats, by their usual endings; the content of a file decides.
READABLE = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
READABLE += (".heic", ".avif")
# Pillow's names of them. Pillow supports more, but some of those start programs.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
if importlib.util.find_spec("PIL._avif"):  # since Pillow 11.3, in most builds
    FORMATS += ("AVIF",)
# Number of bytes that identify a file.
HEADER_BYTES = 1024
# Share of its rows that a file may lack at its end.
MAX_LACKING = 0.1
# PNG chunks that affect the picture, and those that it needs. If one is broken, all
# others are dropped.
SHOWN_CHUNKS = (
    b"IHDR PLTE IDAT IEND tRNS iCCP sRGB gAMA cHRM eXIf acTL fcTL fdAT".split()
)
NEEDED_CHUNKS = b"IHDR PLTE IDAT IEND".split()
# Largest colour profile in a PNG, in bytes; Pillow allows 1 MiB.
PROFILE_MAX_BYTES = 16 << 20
# First bytes of other files that users mistake for pictures, and what to do.
OTHER_FILES = (
    (
        rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head)",
        "is a web page; give the address of the picture",
    ),
    (
        rb"(\xef\xbb\xbf)?(\s*<\?xml.*?)?\s*<(!--.*?--|!doctype svg|svg)",
        "is SVG; export it as PNG",
    ),
    (
        rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf",
        "is an archive or a document; unpack it first",
    ),
    (rb"ID3|\xff[\xf2-\xfb]|OggS|fLaC|RIFF....WAVE", "is sound"),
    (rb"version https://git-lfs", "is a Git LFS pointer; run git lfs pull"),
    (rb"%PDF|%!PS", "is PDF or PostScript; export it as PNG"),
    (rb"8BPS", "is a Photoshop file; export it as PNG or JPEG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "is JPEG XL; save it as PNG or JPEG"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "is JPEG 2000; save it as PNG or JPEG"),
    (
        rb"II[*]\0.{4}CR|....ftypcrx|FUJIFILM|IIRO|IIU\0",
        "is a camera's raw file; export it as JPEG or TIFF",
    ),
    (
        rb"....ftyp(avif|avis)",
        "is AVIF, which this version of Pillow cannot read; run pip install -U pillow",
    ),
    (
        rb"....ftyp(hei|hev|mif1|msf1)",
        "is HEIC, which needs pillow-heif; install it with pip install "
        "'tf_style[heif]'",
    ),
    (
        rb"....(ftyp|moov|mdat)|\x1a\x45\xdf\xa3|RIFF....AVI |\0\0\1\xba|FLV",
        "is a film, not a picture; to paint it, its name must end in .mp4 or the like",
    ),
    (
        rb"II[*]\0|MM\0[*]",
        "is a TIFF that Pillow cannot read, for example with float or 16-bit colours; "
        "save it with 8 bits a channel",
    ),
)


# Operations that turn a picture upright, by EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _Unreadable(Exception):
    """A file is not a readable picture; the message says what it is and what to do."""


def open_srgb(data: bytes) -> tuple[Image.Image, bytes, str]:
    """Decodes the bytes of a file, upright, to an image of mode RGB, RGBA or F.

    F is grey in [0, 1], for files with more than 8 bits. Of an animation, it decodes
    the first frame. Metadata may be broken, and a few rows may be missing at the end.
    It can raise anything; see `explained`.

    Returns:
        The image, what `metadata.read` finds, and a note on missing rows, usually
        empty.
    """
    try:
        return *_decode(data), ""
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise
    except (_Unreadable, MemoryError):
        raise
    except Exception as error:
        damage = error
    with _lenient():
        if data.startswith(b"\x89PNG"):
            for names in (SHOWN_CHUNKS, NEEDED_CHUNKS):
                data = _with_chunks(data, names)
                with contextlib.suppress(Exception):
                    return *_decode(data), ""
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            image, exif = _decode(data)
        except Image.UnidentifiedImageError:
            raise _Unreadable(_describe(data)) from damage
        except Exception:
            raise damage from None
    rows = _count_lacking(image, data)
    if rows > MAX_LACKING * image.height:
        raise damage
    which = f"; {rows} of its {image.height} rows may be missing"
    return image, exif, f"is cut short{which if rows else ''}"


def _decode(data):
    with _opened(data) as image:
        image.load()
        return to_srgb(image), metadata.read(image)


def _opened(data):
    """Opens the bytes of a file with Pillow, or with its plugin for HEIC."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        if not (image := _open_heif(data)):
            raise
    # In many raw files, Pillow would read the small preview that comes first.
    if image.format == "TIFF" and (
        image.tag_v2.get(254, 0) & 1 or 50706 in image.tag_v2
    ):
        raise _Unreadable("is a camera's raw file; export it as JPEG or TIFF")
    return image


def _open_heif(data):
    """Returns the image of a HEIC file; None if it is not HEIC or unreadable."""
    if not _is_heif(data):
        return None
    import pillow_heif  # optional, and rarely needed

    image = pillow_heif.open_heif(io.BytesIO(data))
    if image.size[0] * image.size[1] > (Image.MAX_IMAGE_PIXELS or math.inf):
        raise Image.DecompressionBombError
    return image.to_pillow()


def _is_heif(data):
    """Tells whether data is, or starts, a file that the plugin reads."""
    if data[4:8] != b"ftyp" or not importlib.util.find_spec("pillow_heif"):
        return False
    import pillow_heif

    return pillow_heif.is_supported(data)


def _describe(data):
    """Returns what a file is if it is not a picture, from its first bytes."""
    for pattern, what in OTHER_FILES:
        if re.match(pattern, data[:HEADER_BYTES], re.DOTALL | re.IGNORECASE):
            return what
    return f"is not a picture that can be read ({', '.join(READABLE)})"


@contextlib.contextmanager
def _lenient():
    """Lets Pillow read long profiles, and files that are cut short if told so."""
    before = PngImagePlugin.MAX_TEXT_CHUNK, ImageFile.LOAD_TRUNCATED_IMAGES
    with _PILLOW:
        PngImagePlugin.MAX_TEXT_CHUNK = PROFILE_MAX_BYTES
        try:
            yield
        finally:
            PngImagePlugin.MAX_TEXT_CHUNK, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _with_chunks(data, names):
    """Returns a PNG with some of its chunks, and with corrected checksums."""
    kept, place = [data[:8]], 8
    while place + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        name = data[place + 4 : place + 8]
        body = data[place + 4 : place + 8 + size]
        if name in names:
            # A wrong checksum of pixels indicates damage.
            checksum = data[place + 8 + size : place + 12 + size]
            if name[:1].islower():
                checksum = struct.pack(">I", zlib.crc32(body))
            kept.append(data[place : place + 4] + body + checksum)
        place += 12 + size
    return b"".join(kept)


def _count_lacking(image, data):
    """Returns the number of rows at the end that decoders left in one colour."""
    pixels = np.asarray(image)
    if data.startswith(b"BM"):  # from the bottom row up
        pixels = pixels[::-1]
    if data.startswith(b"\x89PNG") and data[28]:  # Interlaced: rows lack everywhere.
        return len(pixels)
    painted = np.flatnonzero(
        (pixels != pixels[-1:, -1:]).reshape(len(pixels), -1).any(1)
    )
    return len(pixels) - 1 - painted[-1] if painted.size else len(pixels)


def refuse(path: StrPath) -> str:
    """Returns a message about a file that is not a picture, or an empty one."""
    try:
        with explained(path), open(path, "rb") as stream:
            start = stream.read(HEADER_BYTES)
            if start.startswith(b"\x89PNG") or _is_heif(start):
                return ""
            try:
                Image.open(stream, formats=FORMATS)
            except Image.UnidentifiedImageError as error:
                raise _Unreadable(_describe(start)) from error
    except InvalidInput as error:
        return str(error)
    return ""


def is_animated(path: StrPath) -> bool:
    """Tells whether a file is an animation; can raise anything."""
    with explained(path), Image.open(path, formats=FORMATS) as image:
        # The second picture in a phone's JPEG is not a frame.
        return image.format != "MPO" and getattr(image, "is_animated", False)


@contextlib.contextmanager
def opened_animation(source, path):
    """Opens an animation, frame by frame.

    Args:
        source: its name for messages.
        path: where it is.

    Yields:
        How often it plays, 0 for ever; the milliseconds of each frame, and an iterator
        of its frames, of mode RGB, transparent parts on white.

    Raises:
        ValueError: it is damaged.
    """
    with explained(source):
        try:
            image = Image.open(path, formats=FORMATS)
        except Image.UnidentifiedImageError as error:
            with open(path, "rb") as stream:
                raise _Unreadable(_describe(stream.read(HEADER_BYTES))) from error
    with image:
        durations, damage = [], None
        try:
            with explained(source):
                # Some PNGs start with a picture for programs that show only one.
                first = int(bool(image.info.get("default_image")))
                for index in range(first, image.n_frames):
                    image.seek(index)
                    if image.format in ("WEBP", "AVIF"):  # It is known only then.
                        image.load()
                    # The default of browsers.
                    durations.append(round(image.info.get("duration") or 100) or 1)
        except ValueError as error:
            if not durations:
                raise
            damage = error

        def frames():
            for index in range(len(durations)):
                with explained(source):
                    image.seek(first + index)
                    frame = image.convert("RGBA")
                    white = Image.new("RGBA", frame.size, "white")
                    shown = Image.alpha_composite(white, frame).convert("RGB")
                yield shown
            if damage:
                raise damage

        yield _count_plays(image), durations, frames()


def _count_plays(image):
    """Returns how often an animation plays; 0: for ever."""
    loop = image.info.get("loop")
    if image.format == "GIF":  # It says how often it repeats, or nothing.
        return 1 if loop is None else loop and loop + 1
    return loop or 0


# Warnings and tolerance of damage are global to the process.
_PILLOW = threading.RLock()


@contextlib.contextmanager
def explained(source: StrPath) -> Iterator[None]:
    """Turns anything that a decoder raises into one line."""
    try:
        with _PILLOW, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise InvalidInput(
            f"{source} has more than {limit:.0f} million pixels; shrink it first"
        ) from error
    except _Unreadable as error:
        raise InvalidInput(f"{source} {error}") from error
    except Image.UnidentifiedImageError as error:
        raise InvalidInput(f"{source} {_describe(b'')}") from error
    except (Exception, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInput(f"{source} cannot be decoded: {reason}") from error


def to_srgb(image: Image.Image) -> Image.Image:
    """Converts an image of any mode, like `open_srgb`."""
    image = _upright(image)
    if image.mode.startswith(("I", "F")):
        return _grey_in_unit_range(image)
    has_alpha = image.has_transparency_data
    if image.mode in ("P", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA" if has_alpha else "RGB")
    alpha = image.getchannel("A") if has_alpha else None
    if image.mode in ("LA", "RGBA"):
        colour = image.convert("L" if image.mode == "LA" else "RGB")
        colour.info = image.info
        image = colour
    image = _apply_profile(image)
    # A fully transparent picture is a mistake; ignore the alpha.
    if alpha is not None and alpha.getextrema() != (0, 0):
        image.putalpha(alpha)
    return image


def _upright(image):
    """Turns an image upright by its EXIF data, and ignores broken data."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # It can raise anything.
        return image
    return image if turn is None else image.transpose(turn)


def _apply_profile(image):
    """Converts to sRGB with the embedded profile, or without one."""
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        profile = ImageCms.createProfile("LAB")
    elif profile:
        profile = io.BytesIO(profile)
    if profile:
        try:
            return ImageCms.profileToProfile(
                image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError):
            # Ignore a broken profile, or one for another colour space.
            pass
    return image.convert("RGB")


def _grey_in_unit_range(image):
    """Scales 16-bit, 32-bit and float grey to [0, 1]; Pillow's convert would clip."""
    grey = np.asarray(image, np.float32)
    if not np.isfinite(grey).all():
        raise InvalidInput("it has values that are not finite")
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:  # Files do not state their white level: take the smallest that fits.
        brightest = float(grey.max())
        if image.mode == "F":  # Filters overshoot; lights exceed white.
            fitting = (w for w in (255.0, 65535.0) if w / 4 <= brightest <= w * 4)
            white = 1.0 if brightest <= 4 else next(fitting, brightest)
        else:
            white = next((w for w in (1, 255, 65535) if brightest <= w), brightest)
    return Image.fromarray(np.clip(grey / white, 0, 1))
