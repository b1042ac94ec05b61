"""Films, written frame by frame: as H.264 in MP4, or as GIF.

GIF shows everywhere, and needs Pillow only; MP4 has all colours in a fraction of the
bytes. Times are in seconds.
"""

import contextlib
import errno
import heapq
import json
import os
import re
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import GifImagePlugin, Image

from tf_style import __version__
from tf_style.jobs import manifest
from tf_style.system import arrays, files
from tf_style.video import reader

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

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
# Between frames that can be jumped to; a segment of a film in the making is as long.
KEYFRAME_EVERY_S = 2
# Frames of a segment are kept as they are until it is full; this bounds their room.
MAX_SEGMENT_FRAMES = 250
# After so much painting a killed run need not do it again.
COMMIT_EVERY_S = 2.0
# A frame of 8192x8192 pixels takes half of it.
STATE_MAX_BYTES = 2 << 30
# Says that a progress folder is ours, and what of it counts.
MARKER = "progress.json"
# Is locked while a run writes there.
LOCK = "lock"
# All else that we write there, `files.replacing` included.
OURS = re.compile(
    r"(segment(-\d{6,})?\.mp4|frame-\d{6,}\.bmp|state-\d{6,}\.npz|\.tf_style-.*)"
)
# Sound that MP4 holds as it is; other sound becomes AAC.
MP4_SOUNDS = ("aac", "ac3", "alac", "eac3", "flac", "mp3", "opus")


class Mp4:
    """Writes frames as H.264 in MP4.

    Args:
        path: file to write.
        rate: frames a second, in the mean; each frame has its own time all the same.
        options: of the container.
    """

    # FFmpeg's own for MPEG; holds all common rates exactly.
    TIME_BASE = Fraction(1, 90000)

    def __init__(self, path, rate, options=FROM_THE_START):
        import av

        self._container = av.open(str(path), "w", format="mp4", options=options)
        self._stream = self._container.add_stream("libx264", rate=rate, options=H264)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self.TIME_BASE
        self._stream.codec_context.gop_size = _keyframe_distance(rate)
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


def _keyframe_distance(rate):
    return min(MAX_SEGMENT_FRAMES, max(1, round(KEYFRAME_EVERY_S * rate)))


def progress_folder(path):
    """Returns the folder of a film in the making, which stands beside it."""
    return Path(f"{path}.partial")


def check_progress(path):
    """Tells early if a film cannot be kept in its progress folder while it is made.

    Args:
        path: the film.

    Raises:
        ValueError: something stands there that is not ours.
    """
    _read_progress(progress_folder(path))


def remove_progress(path, account):
    """Removes the progress folder of a film that was finished, if it is this one's.

    Args:
        path: the film.
        account: what it depends on, as of `manifest.describe`.
    """
    folder = progress_folder(path)
    found = _read_progress(folder)
    if "account" in found and not manifest.difference(found["account"], account):
        _remove(folder)


def _remove(folder):
    """Deletes what we wrote into a folder, and the folder if nothing is left."""
    with contextlib.suppress(OSError):
        _clear(folder)
        for name in (MARKER, LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _clear(folder):
    """Deletes what is of a film, and has a name of ours."""
    for path in list(folder.iterdir()):
        if OURS.fullmatch(path.name) and path.is_file():
            path.unlink()


def _read_progress(folder):
    """Returns what the marker of a progress folder says; {} where nothing is there."""
    try:
        names = os.listdir(folder) if os.path.lexists(folder) else []
        # A process that was killed early leaves no more than these.
        if all(name == LOCK or files.is_temporary(name) for name in names):
            return {}
        found = json.loads((folder / MARKER).read_text("utf-8"))
        if isinstance(found, dict) and "tf_style" in found:
            return found
    except (OSError, ValueError, RecursionError):
        pass
    raise ValueError(
        f"{folder} is not ours, and the frames of the film would be kept there; move "
        "it away, or choose another output"
    )


class VideoWriter:
    """A film in the making, with which a run goes on that was stopped or killed.

    Until the film is finished, its frames are in a folder beside it, NAME.partial:

        progress.json       whose film it is, and which of the following count
        segment-NNNNNN.mp4  encoded frames, each file a film of one group of pictures
        frame-NNNNNN.bmp    the frames since the last segment; of a GIF, all frames
        state-NNNNNN.npz    what is needed to paint on after so many frames

    `commit` writes the state, and then replaces progress.json: whatever that does not
    count is left over from a run that ended in between, and is overwritten. A segment
    begins at the same frames, and is encoded from the same pixels, wherever a run was
    stopped; so the finished film does not tell that it was.

    Use: paint on from `frames` and `state`; `add` each frame; `keep` the state wherever
    it could be gone on from; `commit`, `finish` and `remove` at the end.

    Args:
        path: film to write or replace, .gif or .mp4.
        rate: frames a second, in the mean.
        account: what the film depends on, as of `manifest.describe`.

    Attributes:
        folder: of the frames.
        committed: number of frames that a later run finds.
        state: arrays that were given to `keep` after them, by name.
        note: what the user should know of an earlier run, or "".
        end: of the last frame, in seconds.

    Raises:
        ValueError: the folder is there, and not ours; or another run writes there.
        OSError: it cannot be written.
    """

    def __init__(self, path, rate, account):
        self._path = Path(path)
        self._rate = rate
        self._about = {"tf_style": __version__, "account": account}
        self._is_gif = reader.ending_of(path) == ".gif"
        self._length = _keyframe_distance(rate)  # of a segment, in frames
        self._segments = []  # when each begins, in ticks of `Mp4.TIME_BASE`
        self._stills = []  # of the frames after them, begin and duration likewise
        self._encoder = None  # of those frames
        self._kept = None  # what to commit
        self._committed_at = time.monotonic()
        self.folder = progress_folder(path)
        self.committed, self.state, self.note = 0, {}, ""
        self.end = Fraction(0)
        check_progress(path)
        self.folder.mkdir(exist_ok=True)
        self._lock = _locked(self.folder / LOCK)
        found = _read_progress(self.folder)
        try:
            if found.get("frames"):
                self.note = self._resume(found)
            if not self.committed:
                self._write_marker(self._progress())
                _clear(self.folder)
        except BaseException:
            if not found:
                self.remove()
            self._unlock()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # What was committed before stays.
            self.commit()
        self._drop_encoder()
        if not self.committed:
            self.remove()
        self._unlock()

    @property
    def frames(self):
        """Number of frames so far, those of earlier runs included."""
        return self._first_still + len(self._stills)

    def add(self, index, image, time, duration):
        """Adds a frame.

        Args:
            index: its number, which must be `frames`.
            image: uint8 [H, W, 3].
            time: when it begins, in seconds.
            duration: in seconds.

        Raises:
            ValueError: it is not its turn, as after one that failed.
            OSError: it cannot be written.
        """
        if index != self.frames:
            raise ValueError(f"frame {index} came where {self.frames} was due")
        path = self._frame_path(index)
        with _writing(path):
            Image.fromarray(np.ascontiguousarray(image)).save(path)
        begin, length = (round(s / Mp4.TIME_BASE) for s in (time, duration))
        self._stills.append([begin, length])
        try:
            if not self._is_gif:
                self._encode(image)
        except BaseException:
            self._stills.pop()
            self._drop_encoder()
            raise
        self.end = (begin + length) * Mp4.TIME_BASE

    def keep(self, state):
        """Takes the state after the frames so far, and commits it now and then.

        Args:
            state: arrays by name; what frames to come depend on, beside the source.

        Raises:
            OSError: it cannot be written.
        """
        self._kept = self._progress(), state
        if time.monotonic() - self._committed_at >= COMMIT_EVERY_S:
            self.commit()

    def commit(self):
        """Makes what was kept last the point that a later run goes on from.

        Raises:
            OSError: it cannot be written; the point before still holds.
        """
        if not self._kept:
            return
        progress, state = self._kept
        before, now = self.committed, progress["frames"]
        if now != before:
            with files.replacing(self._state_path(now)) as temporary:
                with open(temporary, "wb") as stream:
                    np.savez(stream, **state)
            self._write_marker(progress)
            self.committed = now
            stale = range(before - before % self._length, now - now % self._length)
            for index in () if self._is_gif else stale:
                self._frame_path(index).unlink(missing_ok=True)
            self._state_path(before).unlink(missing_ok=True)
        self._kept, self._committed_at = None, time.monotonic()

    def finish(self, source, path):
        """Writes the film of all frames, with the sound of `source`.

        Args:
            source: path of the film that is painted.
            path: file to write, for the time being.

        Returns:
            What the user should know, mostly "".

        Raises:
            OSError: it cannot be written; what stood there stays.
        """
        if self._is_gif:
            indices, seconds = _in_ticks(
                [begin * Mp4.TIME_BASE for begin, _ in self._stills], self.end
            )
            write_gif(path, list(map(self._frame_path, indices)), seconds)
            return ""
        segments = [
            (self._segment_path(number), begin)
            for number, begin in enumerate(self._segments)
        ]
        if self._stills:
            with _writing(self._open_path):
                self._open_encoder(len(self._stills))
                self._encoder.close()
                self._encoder = None
            segments.append((self._open_path, self._stills[0][0]))
        try:
            _join(segments, source, path, self.end)
        except Exception as error:
            if _is_full(error):  # Without sound there might be room.
                raise
            reason = " ".join(str(error).split())
            _join(segments, None, path, self.end)
            return f"{self._path} is without sound: {reason}"
        return ""

    def remove(self):
        """Deletes what we wrote into the folder, and the folder if nothing is left."""
        self._drop_encoder()
        _remove(self.folder)

    def _resume(self, found):
        """Goes on from what an earlier run committed, if it is the same film's.

        Returns:
            What the user should know.
        """
        try:
            other = manifest.difference(found["account"], self._about["account"])
            if found["tf_style"] != __version__:
                other = f"version {found['tf_style']}, not {__version__}"
            if other:
                return f"starting anew: {self.folder} is of a run with {other}"
            count, end = int(found["frames"]), int(found["end"])
            segments = [int(begin) for begin in found["segments"]]
            stills = [[int(begin), int(length)] for begin, length in found["stills"]]
            if count != len(segments) * self._length + len(stills):
                raise ValueError("frames do not add up")
            first = count - len(stills)
            paths = map(self._segment_path, range(len(segments)))
            for path in (*paths, *map(self._frame_path, range(first, count))):
                path.stat()
            state = arrays.read_npz(self._state_path(count), STATE_MAX_BYTES)
        except (
            *(AttributeError, KeyError, OSError, OverflowError),
            *(TypeError, ValueError),
        ):
            return f"starting anew: {self.folder} is damaged"
        self._segments, self._stills, self.state = segments, stills, state
        self.committed, self.end = count, end * Mp4.TIME_BASE
        return f"going on after frame {count}, with what is in {self.folder}"

    def _unlock(self):
        if self._lock:
            self._lock.close()

    def _progress(self):
        return self._about | {
            "frames": self.frames,
            "end": round(self.end / Mp4.TIME_BASE),
            "segments": list(self._segments),
            "stills": list(self._stills),
        }

    def _write_marker(self, progress):
        with files.replacing(self.folder / MARKER) as temporary:
            temporary.write_text(json.dumps(progress) + "\n", "utf-8")

    @property
    def _first_still(self):
        return len(self._segments) * self._length

    @property
    def _open_path(self):
        return self.folder / "segment.mp4"

    def _segment_path(self, number):
        return self.folder / f"segment-{number:06}.mp4"

    def _frame_path(self, index):
        return self.folder / f"frame-{index:06}.bmp"

    def _state_path(self, count):
        return self.folder / f"state-{count:06}.npz"

    def _encode(self, image):
        """Encodes the last of the frames, and closes its segment if that is full."""
        with _writing(self._open_path):
            self._open_encoder(len(self._stills) - 1)
            self._feed(image, *self._stills[-1])
            if len(self._stills) == self._length:
                self._encoder.close()
                self._encoder = None
                number = len(self._segments)
                os.replace(self._open_path, self._segment_path(number))
                self._segments.append(self._stills[0][0])
                self._stills = []

    def _open_encoder(self, count):
        """Begins a segment anew, with its first `count` frames, unless it is open."""
        if self._encoder:
            return
        self._encoder = Mp4(self._open_path, self._rate, {})
        for index, times in enumerate(self._stills[:count], self._first_still):
            self._feed(np.asarray(read_still(self._frame_path(index))), *times)

    def _feed(self, image, begin, duration):
        begin -= self._stills[0][0]
        self._encoder.add(image, begin * Mp4.TIME_BASE, duration * Mp4.TIME_BASE)

    def _drop_encoder(self):
        encoder, self._encoder = self._encoder, None
        if encoder:
            with contextlib.suppress(Exception):  # It may have failed before.
                encoder.close()
        with contextlib.suppress(OSError):
            self._open_path.unlink()


def _locked(path):
    """Locks a file, which is made, for as long as it is open.

    Returns:
        The open file; None where there are no such locks.

    Raises:
        ValueError: another process has it.
    """
    if not fcntl:
        return None
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open(path, "wb"))
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another run is writing to {path.parent}") from None
        except OSError:  # Not all file systems have locks.
            return None
        stack.pop_all()
        return stream


@contextlib.contextmanager
def _writing(path):
    """Names the path where it cannot be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise OSError(f"cannot write {path}: {reason}") from error


def _is_full(error):
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, MemoryError)


def _join(segments, source, path, end):
    """Writes the pictures of segments, and the sound of `source` up to an end.

    Args:
        segments: the path of each, and when it begins, in ticks of `Mp4.TIME_BASE`.
        source: path of a film, or None.
        path: file to write.
        end: of the last frame, in seconds.
    """
    import av

    with contextlib.ExitStack() as stack:
        options = FROM_THE_START
        mp4 = stack.enter_context(av.open(str(path), "w", "mp4", options=options))
        tracks = [_pictures(segments, mp4)]
        if source:
            original = stack.enter_context(av.open(str(source)))
            tracks += [_sound(original, mp4, end)] if original.streams.audio else []
        for packet in heapq.merge(*tracks, key=lambda p: p.dts * p.time_base):
            mp4.mux(packet)


def _pictures(segments, mp4):
    """Returns the packets of segments, one after the other."""
    import av

    with av.open(str(segments[0][0])) as container:
        copy = mp4.add_stream_from_template(container.streams.video[0])

    def packets():
        for path, begin in segments:
            with av.open(str(path)) as container:
                for packet in container.demux(video=0):
                    if packet.dts is None:  # Nothing more comes.
                        break
                    shift = round(begin * Mp4.TIME_BASE / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = copy
                    yield packet

    return packets()


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


def _in_ticks(times, end):
    """Returns which frames a GIF can hold, and the seconds of each."""
    indices, ticks = [], []
    for index, begin in enumerate(times):
        tick = round(begin / GIF_TICK)
        if not ticks or tick - ticks[-1] >= GIF_LEAST_TICKS:
            indices.append(index)
            ticks.append(tick)
    ends = [*ticks[1:], max(round(end / GIF_TICK), ticks[-1] + GIF_LEAST_TICKS)]
    return indices, [(stop - start) * GIF_TICK for start, stop in zip(ticks, ends)]


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
