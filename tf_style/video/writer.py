"""Writes films: H.264 in MP4, or GIF.

GIF plays everywhere and needs only Pillow; MP4 has all colours in a fraction of the
bytes. Times are in seconds.
"""

import contextlib
import errno
import heapq
import re
from fractions import Fraction

import numpy as np
from PIL import GifImagePlugin, Image

from tf_style.video.container import open_film

# Number of frames for the palette of a GIF, and their longest side in pixels.
PALETTE_FRAMES = 32
PALETTE_SIDE = 128
# GIF counts in hundredths of a second, and players slow down shorter frames.
GIF_TICK = Fraction(1, 100)
GIF_MIN_TICKS = 2

H264 = {
    # Visually lossless or nearly so, according to FFmpeg's guide to H.264.
    "crf": "18",
    # A third of the default's time, and no larger files for stylized films.
    "preset": "veryfast",
    # Frames are not reordered, so that the last one keeps its duration.
    "bf": "0",
    # Players assume BT.601 for small untagged films, which shifts reds and greens.
    "colorspace": "bt709",
    "color_range": "tv",
    "color_primaries": "bt709",
    # The transfer function of sRGB, which the frames have. That of BT.709 would lighten
    # shadows in players that obey it.
    "color_trc": "iec61966-2-1",
}
# Otherwise a player needs the whole file before it can start.
FROM_THE_START = {"movflags": "+faststart"}
# Distance of keyframes; a segment of an unfinished film has the same length.
KEYFRAME_EVERY_S = 2
# Frames of a segment are stored uncompressed until it is full; this limits their size.
MAX_SEGMENT_FRAMES = 250
# What films tell of themselves that MP4 holds, and where they say their place.
TAGS = "title artist date creation_time copyright description comment".split()
PLACES = ("location", "location-eng", "com.apple.quicktime.location.iso6709")
# Shorter places are left, as the same bytes stand for pixels somewhere.
MIN_PLACE_BYTES = 5
# Audio codecs that MP4 holds; others are converted to AAC.
MP4_SOUNDS = ("aac", "ac3", "alac", "eac3", "flac", "mp3", "opus")


class Mp4:
    """Writes frames as H.264 in MP4.

    Args:
        path: file to write.
        rate: mean frames a second; each frame has its own time.
        options: options of the container.
    """

    # FFmpeg's time base for MPEG; represents all common rates exactly.
    TIME_BASE = Fraction(1, 90000)

    def __init__(self, path, rate, options=FROM_THE_START):
        self._container = open_film(path, "w", "mp4", options=options)
        self._stream = self._container.add_stream("libx264", rate=rate, options=H264)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self.TIME_BASE
        self._stream.codec_context.gop_size = keyframe_distance(rate)
        self._size = None
        self._durations = {}  # of frames in the encoder, by time

    def add(self, image, time, duration):
        """Adds uint8 [H, W, 3]; drops the last row or column if their number is odd.

        A single row or column is written twice.
        """
        import av

        if min(image.shape[:2]) == 1:
            image = np.pad(image, [(0, 1), (0, 1), (0, 0)], "edge")
        if not self._size:
            height, width = (side // 2 * 2 for side in image.shape[:2])
            self._size = height, width
            self._stream.height, self._stream.width = self._size
        height, width = self._size
        image = np.ascontiguousarray(image[:height, :width])
        frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        frame.pts, frame.time_base = round(time / self.TIME_BASE), self.TIME_BASE
        self._durations[frame.pts] = round(duration / self.TIME_BASE)
        self._mux(frame)

    def close(self):
        """Ends the file."""
        if self._size:
            self._mux(None)
        self._container.close()

    def _mux(self, frame):
        for packet in self._stream.encode(frame):
            packet.duration = self._durations.pop(packet.pts)
            self._container.mux(packet)


def keyframe_distance(rate):
    """Returns the distance of keyframes, in frames."""
    return min(MAX_SEGMENT_FRAMES, max(1, round(KEYFRAME_EVERY_S * rate)))


def join(segments, source, path, end, location=False):
    """Writes the pictures of segments, and the sound of `source` up to an end.

    The result has the source's title, date, author and language.

    Args:
        segments: the path of each, and when it begins, in ticks of `Mp4.TIME_BASE`.
        source: path of a film, or None.
        path: file to write.
        end: of the last frame, in seconds.
        location: whether the result says where the source was taken, too.

    Returns:
        The reason if the source's sound could not be copied, else "".

    Raises:
        Exception: whatever the encoder raises where the pictures cannot be written.
    """
    try:
        _join(segments, source, path, end, location)
    except Exception as error:
        if _is_full(error):  # Without sound, there might be enough space.
            raise
        _join(segments, None, path, end, False)
        return " ".join(str(error).split())
    return ""


def _join(segments, source, path, end, location):
    with contextlib.ExitStack() as stack:
        mp4 = stack.enter_context(open_film(path, "w", "mp4", options=FROM_THE_START))
        tracks = [_pictures(segments, mp4)]
        if source:
            original = stack.enter_context(open_film(source))
            mp4.metadata.update(_tags(original.metadata, location))
            tracks += [_sound(original, mp4, end)] if original.streams.audio else []
        for packet in heapq.merge(*tracks, key=lambda p: p.dts * p.time_base):
            mp4.mux(packet)


def _tags(metadata, location):
    """Returns what the result tells of the film that it was made from."""
    found = {tag.lower(): value for tag, value in metadata.items()}  # as in Matroska
    tags = {tag: found[tag] for tag in TAGS if tag in found}
    places = _places(metadata)
    return tags | ({"location": places[0]} if location and places else {})


def _places(metadata):
    """Returns where a film says that it was taken."""
    return [value for tag, value in metadata.items() if tag.lower() in PLACES]


def blank_place(path):
    """Blanks in the file of a film where it was taken, which leaves all else alone."""
    with open_film(path) as film:
        parts = [film, *film.streams]
        places = [place.encode() for part in parts for place in _places(part.metadata)]
    data = before = path.read_bytes()
    for place in places:
        if len(place) >= MIN_PLACE_BYTES:
            data = data.replace(place, b" " * len(place))
    # A box of MP4 with the place in numbers becomes an empty one.
    box = re.compile(rb"loci\0{4}..[^\0]*\0.{13}", re.DOTALL)
    data = box.sub(lambda m: b"free" + bytes(len(m[0]) - 4), data)
    if data != before:
        path.write_bytes(data)


def _language(stream):
    return {k: v for k, v in stream.metadata.items() if k == "language"}


def _pictures(segments, mp4):
    """Returns the packets of segments, one after the other."""
    with open_film(segments[0][0]) as first:
        copy = mp4.add_stream_from_template(first.streams.video[0])

    def packets():
        for path, begin in segments:
            with open_film(path) as segment:
                for packet in segment.demux(video=0):
                    if packet.dts is None:  # Nothing more comes.
                        break
                    shift = round(begin * Mp4.TIME_BASE / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = copy
                    yield packet

    return packets()


def _sound(original, mp4, end):
    """Returns the packets of a film's first audio track, up to an end."""
    stream = original.streams.audio[0]
    # Our film starts with the first frame.
    begin = _begin(original.streams.video[0])
    if stream.codec.canonical_name in MP4_SOUNDS:
        return _copied(original, stream, mp4, begin, end)
    return _encoded(original, stream, mp4, begin, end)


def _begin(stream):
    return (stream.start_time or 0) * stream.time_base


def _copied(container, stream, mp4, begin=0, end=float("inf")):
    copy = mp4.add_stream_from_template(stream)
    copy.metadata.update(_language(stream))
    shift = round(begin / stream.time_base)

    def packets():
        for packet in container.demux(stream):
            if packet.dts is None:  # Nothing more comes.
                return
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if packet.pts * stream.time_base >= end:
                return
            # Audio decoders need the packet before the first one.
            if packet.pts + (packet.duration or 0) >= 0:
                packet.stream = copy
                yield packet

    return packets()


def _encoded(container, stream, mp4, begin, end):
    layout = stream.layout.name
    if layout.endswith("channels"):  # Some files only number their packets.
        layout = "mono" if stream.channels == 1 else "stereo"
    encoder = mp4.add_stream("aac", rate=stream.rate, layout=layout)
    encoder.metadata.update(_language(stream))

    def packets():
        for frame in container.decode(stream):
            frame.pts -= round(begin / frame.time_base)
            if frame.time >= end:
                break
            if frame.pts >= 0:
                yield from encoder.encode(frame)
        yield from encoder.encode(None)

    return packets()


def _is_full(error):
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, MemoryError)


def gif_times(times, end):
    """Returns which frames a GIF can hold, and the seconds of each.

    Args:
        times: when each frame begins, in seconds.
        end: of the last one.
    """
    indices, ticks = [], []
    for index, begin in enumerate(times):
        tick = round(begin / GIF_TICK)
        if not ticks or tick - ticks[-1] >= GIF_MIN_TICKS:
            indices.append(index)
            ticks.append(tick)
    ends = [*ticks[1:], max(round(end / GIF_TICK), ticks[-1] + GIF_MIN_TICKS)]
    return indices, [(stop - start) * GIF_TICK for start, stop in zip(ticks, ends)]


def write_gif(path, frames, durations, plays=0):
    """Writes a GIF.

    Args:
        path: file to write.
        frames: paths of pictures, all of one size.
        durations: seconds of each.
        plays: how often it plays; 0: for ever.
    """
    # A GIF says how often it repeats, in 16 bits, and nothing if it does not.
    loop = {} if plays == 1 else {"loop": min(max(plays - 1, 0), 65535)}
    # With a palette per frame, even still areas would change their colours.
    palette = _palette(frames)
    with open(path, "wb") as stream:
        for index, (frame, duration) in enumerate(zip(frames, durations, strict=True)):
            image = read_still(frame).quantize(
                palette=palette, dither=Image.Dither.FLOYDSTEINBERG
            )
            if not index:
                header, _ = GifImagePlugin.getheader(image, info=loop)
                stream.writelines(header)
            # `Image.save` would keep all frames in memory.
            stream.writelines(
                GifImagePlugin.getdata(image, duration=round(1000 * duration))
            )
        stream.write(b";")


def _palette(frames):
    """Returns a picture with the best 256 colours for all frames."""
    spread = np.linspace(0, len(frames) - 1, PALETTE_FRAMES).astype(int)
    samples = []
    for index in sorted(set(spread.tolist())):
        sample = read_still(frames[index])
        # Averaging pixels would lose the brightest and most vivid colours.
        sample.thumbnail((PALETTE_SIDE, PALETTE_SIDE), Image.Resampling.NEAREST)
        samples.append(np.asarray(sample))
    # Of Pillow's methods, this one is the most accurate after dithering.
    return Image.fromarray(np.concatenate(samples)).quantize(
        256, Image.Quantize.FASTOCTREE
    )


def write_still(path, image):
    """Writes uint8 [H, W, 3] in the format of the path's ending."""
    Image.fromarray(np.ascontiguousarray(image)).save(path)


def read_still(path):
    """Reads the picture of a frame."""
    with Image.open(path) as image:
        return image.convert("RGB")
