"""What a result keeps of its photo besides pixels: date, author, title, resolution.

The place where it was taken (GPS) is kept on request only: results are made to be
shown.
"""

import io
import math
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from tf_style.system.errors import InvalidInput

# Others describe the camera, or pixels that are no longer there.
OF_PICTURE = (Base.ImageDescription, Base.Artist, Base.Copyright, Base.DateTime)
OF_SHOT = (
    *(Base.DateTimeOriginal, Base.DateTimeDigitized),
    *(Base.OffsetTime, Base.OffsetTimeOriginal, Base.OffsetTimeDigitized),
    *(Base.SubsecTime, Base.SubsecTimeOriginal, Base.SubsecTimeDigitized),
)
# Longest text; JPEG holds 64 KiB of EXIF in all.
MAX_LENGTH = 4096
# Units of resolution in EXIF.
INCH, CENTIMETRE = 2, 3


def read(image: Image.Image) -> bytes:
    """Returns what to keep of an opened picture, as EXIF; empty if there is nothing.

    Whatever is broken is left out.
    """
    try:
        exif = image.getexif()
        kept = _kept(exif, image.info.get("dpi") or _resolution(exif))
        return kept.tobytes() if kept else b""
    except Exception:  # Decoders can raise anything.
        return b""


def save_options(exif: bytes, kind: str, location: bool = False) -> dict[str, Any]:
    """Returns the options for `Image.save` that write what `read` returned.

    Args:
        exif: as from `read`.
        kind: Pillow's name of the format.
        location: whether to write the GPS data too.

    Raises:
        ValueError: it is not EXIF.
    """
    if not exif:
        return {}
    found, options = _parse(exif), {}
    dpi = _resolution(found)
    if dpi and kind != "WEBP":
        options["dpi"] = dpi
    kept = _kept(found, dpi)
    if not location:
        kept.pop(IFD.GPSInfo, None)
    if kept and kind != "BMP":
        options["exif"] = kept.tobytes()
        if kind == "TIFF":  # Of bytes, Pillow would write texts as ASCII.
            loaded = _parse(options["exif"])
            loaded.update({t: v for t, v in kept.items() if isinstance(v, bytes)})
            options["exif"] = loaded
    return options


def tells_place(data: bytes, exif: bytes) -> bool:
    """Tells whether a picture file says where it was taken.

    Args:
        data: the file.
        exif: what `read` returned of it.
    """
    return IFD.GPSInfo in _parse(exif) or b"GPSLatitude" in data  # in XMP


def without_place(jpeg: bytes) -> bytes:
    """Returns a JPEG file that does not say where it was taken.

    Of its EXIF, what `read` returns stays, and how it is turned; its XMP is left out.

    Raises:
        ValueError: it is not a usual JPEG.
    """
    with Image.open(io.BytesIO(jpeg)) as image:
        kept = _parse(read(image))
        kept.pop(IFD.GPSInfo, None)
        turned = image.getexif().get(Base.Orientation)
        kind = image.format
    if turned:
        kept[Base.Orientation] = turned
    body = kept.tobytes()  # begins with Exif\0\0
    segments = [b"\xff\xd8\xff\xe1", (len(body) + 2).to_bytes(2, "big"), body]
    place = 2
    while kind == "JPEG" and jpeg[place : place + 1] == b"\xff":
        marker = jpeg[place + 1]
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if marker == 0xDA:  # Pixels follow, to the end of the picture.
            return b"".join([*segments, jpeg[place:]])
        segments += [jpeg[place:end]] * (marker != 0xE1)
        place = end
    raise InvalidInput(f"a {kind} file is not a usual JPEG")


def _parse(exif):
    """Returns the `Image.Exif` of bytes; raises ValueError if they are none."""
    found = Image.Exif()
    try:
        found.load(exif)
    except Exception as error:  # Pillow raises even SyntaxError.
        raise InvalidInput(f"exif is not EXIF data ({error})") from error
    return found


def _kept(exif, dpi):
    """Returns the `Image.Exif` of all that is kept of another, and of a resolution."""
    kept = Image.Exif()
    for tag, value in _sound(exif, OF_PICTURE).items():
        # It may be UTF-8, which Pillow reads as Latin-1 and would write as ASCII.
        kept[tag] = value.encode("latin-1") if isinstance(value, str) else value
    for place, tags in ((IFD.Exif, OF_SHOT), (IFD.GPSInfo, GPS)):
        if part := _sound(exif.get_ifd(place), tags):
            kept[place] = part
    if dpi and all(math.isfinite(x) and 1 <= x <= 65535 for x in dpi):
        kept[Base.XResolution], kept[Base.YResolution] = map(float, dpi)
        kept[Base.ResolutionUnit] = INCH
    return kept


def _sound(found, tags):
    """Returns those of some tags that are there and can be written."""
    sound = {}
    for tag in tags:
        value = found.get(int(tag))
        if isinstance(value, (str, bytes)):
            fits = 0 < len(value) <= MAX_LENGTH
        else:
            numbers = value if isinstance(value, tuple) else (value,)
            fits = value is not None and all(map(math.isfinite, map(float, numbers)))
        if fits:
            sound[int(tag)] = value
    return sound


def _resolution(exif):
    """Returns the dots an inch, across and down; None if they are not stated."""
    values = [exif.get(int(tag)) for tag in (Base.XResolution, Base.YResolution)]
    unit = exif.get(int(Base.ResolutionUnit), INCH)
    if None in values or unit not in (INCH, CENTIMETRE):
        return None
    return tuple(float(x) * (2.54 if unit == CENTIMETRE else 1) for x in values)
