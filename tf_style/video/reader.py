"""Reads films frame by frame: with PyAV, all that FFmpeg supports; and animations.

Times are in seconds.
"""

import contextlib
import importlib.util
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tf_style import images
from tf_style.images import decode
from tf_style.system import files
from tf_style.system.errors import InvalidInput, MissingPackage
from tf_style.video import hdr
from tf_style.video.container import open_film

# Endings of films, and of pictures that may be animated.
MOVING_PICTURES = (".gif", ".webp", ".png", ".apng", ".avif")
READABLE = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m1v", ".m2ts"),
    *(".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf"),
    *(".nut", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
    *MOVING_PICTURES,
)
WRITABLE = (".gif", ".mp4")
# FFmpeg's flags for scaling by Lanczos' window, accurately, and for colours too. Else
# it repeats colours for two by two pixels, and they flicker where things move.
SCALING = 1 << 9 | 1 << 18 | 1 << 13

# FFmpeg's flag of a picture that stands for a file, AV_DISPOSITION_ATTACHED_PIC.
COVER = 1 << 10
# PyAV's names of the matrices of colour that files tell by number (ITU-T H.273, 8.3).
COLOUR_SPACES = {
    1: "ITU709",
    4: "FCC",
    5: "ITU601",
    6: "ITU601",
    7: "SMPTE240M",
    9: "BT2020",
    10: "BT2020",
}


class Frame(NamedTuple):
    """A frame of a film."""

    image: np.ndarray  # uint8 RGB, [H, W, 3]
    time: Fraction  # since the first
    duration: Fraction


class Film(NamedTuple):
    """A film that is being read."""

    rate: Fraction  # frames a second, in the mean
    count: int  # number of frames, according to the file; 0 if unknown
    duration: float  # in seconds, according to the file; its sound may be longer
    frames: Iterator[Frame]
    notes: tuple[str, ...] = ()  # notes on what is dropped
    plays: int = 0  # how often an animation plays; 0: for ever


def is_film(source):
    """Tells whether a source is a film, by its ending or because it is animated.

    Of pictures from the web, only GIFs are examined.
    """
    ending = ending_of(source)
    if ending not in MOVING_PICTURES:
        return ending in READABLE
    if images.is_url(source) and ending != ".gif":
        return False
    try:
        return decode.is_animated(images.fetch(source))
    except Exception:  # Decoders can raise anything; reading it will report the error.
        return False


def ending_of(source):
    """Returns the ending of a path or URL in lower case."""
    name = str(source)
    return Path(name.split("?")[0] if images.is_url(name) else name).suffix.lower()


def check(path, verb="write"):
    """Raises early if a film cannot be written to a path, or read from it.

    Raises:
        ValueError: its ending is not that of a film.
        ImportError: it needs PyAV, which is not installed.
    """
    endings = WRITABLE if verb == "write" else READABLE
    ending = ending_of(path)
    if verb == "read" and ending in MOVING_PICTURES:
        return
    if ending not in endings:
        raise InvalidInput(
            f"cannot {verb} {path}: the ending of a film must be one of "
            f"{', '.join(endings)}"
        )
    if ending != ".gif" and importlib.util.find_spec("av") is None:
        raise MissingPackage(
            f"cannot {verb} {path}: {ending} needs PyAV; install it with pip install "
            "'tf_style[video]', or use .gif"
        )


@contextlib.contextmanager
def opened(source, max_side=0):
    """Opens the `Film` of a source; its frames are read on demand.

    Frames are turned upright, deinterlaced and converted to sRGB.

    Args:
        source: path or URL.
        max_side: longest side in pixels to shrink frames to; 0 keeps the size.

    Raises:
        ValueError: it is not a film, or, while frames are read, one is damaged; the
            message names it.
        OSError: it cannot be read.
        ImportError: it needs PyAV, which is not installed.
    """
    path = images.fetch(source)
    check(source, "read")
    if not path.stat().st_size:
        raise InvalidInput(f"{source} is empty (0 bytes)")
    moves = ending_of(source) in MOVING_PICTURES
    open_it = _opened_animation if moves else _opened_by_ffmpeg
    with open_it(source, path, max_side) as film:
        yield film


def load_first(source, max_side=0):
    """Reads the first frame, like `images.load_picture`; the checksum is the film's.

    Raises:
        ValueError, OSError, ImportError: see `opened`.
    """
    if ending_of(source) in MOVING_PICTURES:  # It needs no look at the others.
        return images.load_picture(source, max_side)
    with opened(source, max_side) as film:
        first = next(film.frames, None)
    if first is None:
        raise InvalidInput(f"{source} has no frames")
    pixels = images.to_float(first.image)
    return images.Picture(pixels, None, files.sha256(images.fetch(source)))


@contextlib.contextmanager
def _opened_animation(source, path, max_side):
    with decode.opened_animation(source, path) as (plays, durations, frames):

        def shrink(image):
            if max_side and max(image.size) > max_side:
                size = images.fit(image.size, max_side)
                image = image.resize(size, Image.Resampling.LANCZOS)
            return np.asarray(image)

        def found():
            time = Fraction(0)
            for image, milliseconds in zip(frames, durations):
                with decode.explained(source):
                    image = shrink(image)
                duration = Fraction(milliseconds, 1000)
                yield Frame(image, time, duration)
                time += duration

        rate = Fraction(1000 * len(durations), sum(durations))
        seconds = sum(durations) / 1000
        yield Film(rate, len(durations), seconds, found(), plays=plays)


@contextlib.contextmanager
def _opened_by_ffmpeg(source, path, max_side):
    import av  # optional, and slow to load

    with contextlib.ExitStack() as stack:
        try:
            container = stack.enter_context(open_film(path))
            stream = container.streams.best("video")  # A cover picture may come first.
            if stream:
                stream.thread_type = "AUTO"
                rate = stream.average_rate or stream.guessed_rate
                rate, count = Fraction(rate or 25), stream.frames
                notes = _notes_on(source, container, stream)
                seconds = (container.duration or 0) / av.time_base
                if "matroska" in container.format.name:  # It is when the film ends.
                    seconds -= (container.start_time or 0) / av.time_base
        except MemoryError:
            raise
        except Exception as error:  # FFmpeg's constants may differ from PyAV's.
            raise InvalidInput(f"{source} is not a film that can be read") from error
        if not stream:
            if container.streams.audio:
                raise InvalidInput(f"{source} has no picture, only sound")
            raise InvalidInput(f"{source} is a film without pictures; is it cut short?")
        decoded = _deinterlaced(container.decode(stream))
        frames = _decoded(source, decoded, stream, rate, max_side)
        yield Film(rate, count, seconds, frames, notes)


def _notes_on(source, container, stream):
    """Returns notes on the parts of a film that are dropped."""
    pictures = [s for s in container.streams.video if not s.disposition & COVER]
    kinds = {"pictures": pictures[1:], "sound": container.streams.audio[1:]}
    kinds["subtitles"] = container.streams.subtitles
    others = [f"{len(found)} of {kind}" for kind, found in kinds.items() if found]
    notes = (
        [f"{source}: these tracks are dropped: {', '.join(others)}"] if others else []
    )
    opaque = not any(part.is_alpha for part in stream.codec_context.format.components)
    if not opaque or stream.metadata.get("alpha_mode") == "1":  # VP9 has it apart.
        notes += [f"the alpha channel of {source} is dropped"]
    if name := hdr.NAMES.get(stream.codec_context.color_trc):
        notes += [f"{source} is HDR ({name}); the result is SDR"]
    return tuple(notes)


def _deinterlaced(frames):
    """Yields frames, the rows of which are of one time also in interlaced films."""
    graph, shape = None, None
    for frame in frames:
        if graph and shape != (frame.width, frame.height, frame.format.name):
            yield from _filtered(graph, None)
            graph = None
        if frame.interlaced_frame and not graph:
            shape = frame.width, frame.height, frame.format.name
            graph = _load_deinterlacer(frame)
        # From then on progressive ones too, which it leaves as they are.
        yield from _filtered(graph, frame) if graph else [frame]
    if graph:
        yield from _filtered(graph, None)


def _load_deinterlacer(frame):
    import av.filter

    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base,
    )
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph


def _filtered(graph, frame):
    """Yields what a filter gives for a frame, or at the end for None."""
    import av

    graph.push(frame)
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _decoded(source, decoded, stream, rate, max_side):
    first, time = None, Fraction(-1)
    pixel_aspect = stream.sample_aspect_ratio or 1
    size = None
    for index in itertools.count():
        with _explained(source, index):
            frame = next(decoded, None)
        if frame is None:
            return
        now = None if frame.pts is None else frame.pts * frame.time_base
        first = now if first is None else first
        # Some files have frames without a time, or several at the same time.
        later = time + 1 / rate if now is None else now - (first or 0)
        if index and later <= time:
            continue
        time = max(later, Fraction(0))
        duration = Fraction(frame.duration or 0) * frame.time_base
        if not size:  # Used for all frames, even if the film changes it.
            size = round(frame.width * pixel_aspect) or 1, frame.height
            if max_side and max(size) > max_side:
                size = images.fit(size, max_side)
        with _explained(source, index):
            image = _upright_rgb(frame, size, stream.codec_context.color_trc)
        yield Frame(image, time, duration or 1 / rate)


@contextlib.contextmanager
def _explained(source, index):
    """Turns anything that a decoder raises into one line."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InvalidInput(
            f"{source}: frame {index} cannot be decoded: {reason}"
        ) from error


def _upright_rgb(frame, size, transfer):
    # Unmarked files mean BT.601 in small films and BT.709 in large ones.
    default = "ITU709" if frame.height >= 720 else "ITU601"
    frame = frame.reformat(
        *size,
        "rgb48le" if transfer in hdr.NAMES else "rgb24",
        src_colorspace=COLOUR_SPACES.get(frame.colorspace, default),
        interpolation=SCALING,
    )
    image = frame.to_ndarray()
    if transfer in hdr.NAMES:
        image = hdr.to_srgb(image, transfer)
    return _turned(image, frame.side_data.get("DISPLAYMATRIX"))


def _turned(image, matrix):
    """Turns and mirrors an image as a film's display matrix says; None: it has none."""
    if matrix is None:
        return image
    # The pixel at x, y is shown at a x + c y, b x + d y.
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3)
    if abs(int(b)) > abs(int(a)):
        image, a, d = image.swapaxes(0, 1), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
