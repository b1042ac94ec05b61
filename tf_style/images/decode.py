"""Decodes picture files of any kind to sRGB.

Everything that a file may be (turned on its side, CMYK, 16-bit, transparent, animated,
in another colour space) ends here.
"""

import contextlib
import io
import threading
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageOps

from tf_style.system.errors import InvalidInput

# Endings that a folder is searched for; a file itself may have any.
READABLE = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
# Pillow's names of what is read; it knows more, and some of these start programs.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")


def open_srgb(data):
    """Decodes the bytes of a file, upright, to an image of mode RGB, RGBA or F.

    F is grey in [0, 1], of files that hold more than 8 bits. Of an animation it is the
    first frame. Raises nearly anything; see `explained`.
    """
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        image.load()
        return to_srgb(image)


def is_animated(path):
    """Tells whether a file is an animation; raises nearly anything."""
    with Image.open(path, formats=FORMATS) as image:
        return getattr(image, "is_animated", False)


@contextlib.contextmanager
def opened_animation(source, path):
    """Gives an animation frame by frame.

    Args:
        source: its name for messages.
        path: where it is.

    Yields:
        The milliseconds of each frame, and an iterator of its frames, of mode RGB,
        transparent parts on white.

    Raises:
        ValueError: it is damaged.
    """
    with explained(source):
        image = Image.open(path, formats=FORMATS)
    with image:
        durations, damage = [], None
        try:
            with explained(source):
                for index in range(image.n_frames):
                    image.seek(index)
                    # As browsers do where a file says nothing.
                    durations.append(image.info.get("duration") or 100)
        except ValueError as error:
            if not durations:
                raise
            damage = error

        def frames():
            for index in range(len(durations)):
                with explained(source):
                    image.seek(index)
                    frame = image.convert("RGBA")
                    white = Image.new("RGBA", frame.size, "white")
                    shown = Image.alpha_composite(white, frame).convert("RGB")
                yield shown
            if damage:
                raise damage

        yield durations, frames()


# How warnings are taken is one for the whole process, and threads decode too.
_WARNINGS = threading.RLock()


@contextlib.contextmanager
def explained(source):
    """Turns whatever a decoder raises into one line; decoders raise nearly anything."""
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = Image.MAX_IMAGE_PIXELS / 1e6
        raise InvalidInput(
            f"{source} has more than {limit:.0f} million pixels; shrink it first"
        ) from error
    except Image.UnidentifiedImageError as error:
        raise InvalidInput(
            f"{source} is not a picture that can be read ({', '.join(READABLE)})"
        ) from error
    except (Exception, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInput(f"{source} cannot be decoded: {reason}") from error


def to_srgb(image):
    """Converts an image of any mode as `open_srgb` does."""
    image = ImageOps.exif_transpose(image)
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
    if alpha is not None:
        image.putalpha(alpha)
    return image


def _apply_profile(image):
    """Converts to sRGB by the embedded profile, or plainly where there is none."""
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
            # A broken profile, or one of another colour space, is worth less than
            # the picture.
            pass
    return image.convert("RGB")


def _grey_in_unit_range(image):
    """Scales 16-bit, 32-bit and float grey to [0, 1]; Pillow's convert would clip."""
    grey = np.asarray(image, np.float32)
    if not np.isfinite(grey).all():
        raise InvalidInput("it has values that are not finite")
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:  # Files do not say what white is: take the least usual one that fits.
        brightest = float(grey.max())
        if image.mode == "F":  # Filters overshoot, and there are lights beyond white.
            fitting = (w for w in (255.0, 65535.0) if w / 4 <= brightest <= w * 4)
            white = 1.0 if brightest <= 4 else next(fitting, brightest)
        else:
            white = next((w for w in (1, 255, 65535) if brightest <= w), brightest)
    return Image.fromarray(np.clip(grey / white, 0, 1))
