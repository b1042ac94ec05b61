"""Films, written frame by frame: as H.264 in MP4, or as GIF.

GIF shows everywhere, and needs Pillow only; MP4 has all colours in a fraction of the
bytes. Times are in seconds.
"""

import contextlib
import heapq
import os
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import GifImagePlugin, Image

from tf_style import files, film

# The palette of a GIF is taken from so many frames, shrunk to so many pixels a side.
PALETTE_FRAMES = 32
PALETTE_SIDE = 128
# GIF counts in hundredths of a second, and players slow down what is shorter.
GIF_TICK = Fraction(1, 100)
GIF_LEAST_TICKS = 2

H264 = {
    # FFmpeg's guide to H.264 calls it visually lossless, or nearly so.
    "crf": "18",
    # A third of the time of the default; painted films become no larger by it.
    "preset": "veryfast",
    # Frames come out as they went in, so that the last one keeps its duration.
    "bf": "0",
    # Players take small pictures without tags for BT.601, which turns reds and greens.
    "colorspace": "bt709",
    "color_range": "tv",
    "color_primaries": "bt709",
    # The curve of sRGB, which the frames have; that of BT.709 would lighten shadows in
    # the players that obey it.
    "color_trc": "iec61966-2-1",
}
# Otherwise a player needs the whole file before it can start.
FROM_THE_START = {"movflags": "+faststart"}
# Can be played however far it came, if not in all players.
IN_FRAGMENTS = {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}
# Between frames that can be jumped to, and that begin a fragment.
KEYFRAME_EVERY_S = 2
# Sound that MP4 holds as it is; other sound becomes AAC.
MP4_SOUNDS = ("aac", "ac3", "alac", "eac3", "flac", "mp3", "opus")


class Mp4:
    """Writes frames as H.264 in MP4.

    Args:
        path: file to write.
        rate: frames a second, in the mean; each frame has its own time all the same.
        options: `FROM_THE_START` or `IN_FRAGMENTS`.
    """

    # FFmpeg's own for MPEG; holds all common rates exactly.
    TIME_BASE = Fraction(1, 90000)

    def __init__(self, path, rate, options):
        import av

        self._container = av.open(str(path), "w", format="mp4", options=options)
        self._stream = self._container.add_stream("libx264", rate=rate, options=H264)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self.TIME_BASE
        self._stream.codec_context.gop_size = max(1, round(KEYFRAME_EVERY_S * rate))
        self._size = None
        self._durations = {}  # of frames on their way through the encoder, by time

    def add(self, image, time, duration):
        """Adds uint8 [H, W, 3], which loses its last row or column if that is odd."""
        import av

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


class Take:
    """A film in the making; what is there of it can be kept at any time.

    Args:
        path: file to write or replace, .gif or .mp4.
        rate: frames a second, in the mean.

    Attributes:
        count: of frames so far.
        end: of the last, in seconds.
        stopped: whether no more frames are taken.

    Raises:
        OSError: its folder cannot be written.
    """

    def __init__(self, path, rate):
        self._path = Path(os.path.realpath(path))
        self._folder = tempfile.TemporaryDirectory(
            dir=self._path.parent, prefix=".tf_style-", ignore_cleanup_errors=True
        )
        self._rushes, self._stills = Path(self._folder.name, "rushes.mp4"), []
        self.end = Fraction(0)
        self.count = 0
        self.stopped = False
        self._mp4 = None
        if film.ending_of(path) == ".mp4":
            self._mp4 = Mp4(self._rushes, rate, IN_FRAGMENTS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._close()
        self._folder.cleanup()

    def add(self, image, time, duration):
        """Adds a frame, uint8 [H, W, 3], and the seconds of its begin and duration.

        Raises:
            OSError: it cannot be written.
        """
        if self._mp4:
            self._mp4.add(image, time, duration)
        else:
            still = Path(self._folder.name, f"{len(self._stills):06}.png")
            Image.fromarray(image).save(still, compress_level=1)
            self._stills.append((still, time))
        self.end = time + duration
        self.count += 1

    def finish(self, source):
        """Writes what there is, with the sound of `source`, to the path.

        Returns:
            What the user should know, mostly "".

        Raises:
            OSError: nothing can be written.
        """
        if self._mp4:
            with contextlib.suppress(OSError):  # The disk is full: all but the end.
                self._close()
            return self._finish_mp4(source)
        return self._finish_gif()

    def _finish_mp4(self, source):
        import av

        reason = ""
        for sound in (source, None):
            try:
                with files.replacing(self._path) as temporary:
                    _join(self._rushes, sound, temporary, self.end)
                return reason and f"{self._path} is without sound: {reason}"
            except (OSError, ValueError, av.error.FFmpegError) as error:
                reason = error
        os.replace(self._rushes, self._path)
        return f"{self._path} is without sound, and in fragments: {reason}"

    def _finish_gif(self):
        while True:
            try:
                with files.replacing(self._path) as temporary:
                    write_gif(temporary, *_in_ticks(self._stills, self.end))
                return ""
            except OSError:
                # What is given up makes room on a full disk.
                half = len(self._stills) // 2
                if not half:
                    raise
                self.end = self._stills[half][1]
                for still, _ in self._stills[half:]:
                    still.unlink()
                del self._stills[half:]
                self.count = half

    def _close(self):
        mp4, self._mp4 = self._mp4, None
        if mp4:
            mp4.close()


def _join(rushes, source, path, end):
    """Writes the picture of `rushes`, and the sound of `source` up to its end."""
    import av

    with contextlib.ExitStack() as stack:
        takes = stack.enter_context(av.open(str(rushes)))
        options = FROM_THE_START
        mp4 = stack.enter_context(av.open(str(path), "w", "mp4", options=options))
        picture = takes.streams.video[0]
        tracks = [_copied(takes, picture, mp4)]
        if source:
            original = stack.enter_context(av.open(str(source)))
            tracks += [_sound(original, mp4, end)] if original.streams.audio else []
        for packet in heapq.merge(*tracks, key=lambda p: p.dts * p.time_base):
            mp4.mux(packet)


def _sound(original, mp4, end):
    """Returns the packets of the first sound of a film, up to an end."""
    stream = original.streams.audio[0]
    # Our film begins with the first frame.
    begin = _begin(original.streams.video[0])
    if stream.codec.canonical_name in MP4_SOUNDS:
        return _copied(original, stream, mp4, begin, end)
    return _encoded(original, stream, mp4, begin, end)


def _begin(stream):
    return (stream.start_time or 0) * stream.time_base


def _copied(container, stream, mp4, begin=0, end=float("inf")):
    copy = mp4.add_stream_from_template(stream)
    shift = round(begin / stream.time_base)

    def packets():
        for packet in container.demux(stream):
            if packet.dts is None:  # Nothing more comes.
                return
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if packet.pts * stream.time_base >= end:
                return
            # Decoders of sound need the one before the first.
            if packet.pts + (packet.duration or 0) >= 0:
                packet.stream = copy
                yield packet

    return packets()


def _encoded(container, stream, mp4, begin, end):
    layout = stream.layout.name
    if layout.endswith("channels"):  # Some files count them only.
        layout = "mono" if stream.channels == 1 else "stereo"
    encoder = mp4.add_stream("aac", rate=stream.rate, layout=layout)

    def packets():
        for frame in container.decode(stream):
            frame.pts -= round(begin / frame.time_base)
            if frame.time >= end:
                break
            if frame.pts >= 0:
                yield from encoder.encode(frame)
        yield from encoder.encode(None)

    return packets()


def _in_ticks(stills, end):
    """Returns the paths of frames that a GIF can hold, and the seconds of each."""
    paths, ticks = [], []
    for path, time in stills:
        tick = round(time / GIF_TICK)
        if not ticks or tick - ticks[-1] >= GIF_LEAST_TICKS:
            paths.append(path)
            ticks.append(tick)
    ends = [*ticks[1:], max(round(end / GIF_TICK), ticks[-1] + GIF_LEAST_TICKS)]
    return paths, [(stop - start) * GIF_TICK for start, stop in zip(ticks, ends)]


def write_gif(path, frames, durations):
    """Writes an endless GIF.

    Args:
        path: file to write.
        frames: paths of pictures, all of one size.
        durations: seconds of each.
    """
    # With a palette for each frame, even what stands still would change its colours.
    palette = _palette(frames)
    with open(path, "wb") as stream:
        for index, (frame, duration) in enumerate(zip(frames, durations, strict=True)):
            image = read_still(frame).quantize(
                palette=palette, dither=Image.Dither.FLOYDSTEINBERG
            )
            if not index:
                header, _ = GifImagePlugin.getheader(image, info={"loop": 0})
                stream.writelines(header)
            # `Image.save` would hold all frames until the end.
            stream.writelines(
                GifImagePlugin.getdata(image, duration=round(1000 * duration))
            )
        stream.write(b";")


def _palette(frames):
    """Returns a picture with the 256 colours that suit the frames as a whole."""
    spread = np.linspace(0, len(frames) - 1, PALETTE_FRAMES).astype(int)
    samples = []
    for index in sorted(set(spread.tolist())):
        sample = read_still(frames[index])
        # Averages of pixels would miss the brightest and the most vivid colours.
        sample.thumbnail((PALETTE_SIDE, PALETTE_SIDE), Image.Resampling.NEAREST)
        samples.append(np.asarray(sample))
    # Of Pillow's methods this one misses the colours least once they are dithered.
    return Image.fromarray(np.concatenate(samples)).quantize(
        256, Image.Quantize.FASTOCTREE
    )


def read_still(path):
    """Reads the picture of a frame."""
    with Image.open(path) as image:
        return image.convert("RGB")
