"""Films for tests: drawn, so that it is known what moves, and written by PyAV."""

from fractions import Fraction

import numpy as np

# Holds all times that tests use exactly.
TICK = Fraction(1, 1000)


def scene(height, width, seed=0, contrast=60):
    """A picture uint8 [H, W, 3] of soft blots, of which no two are alike."""
    rng = np.random.default_rng(seed)
    # Films hold less of colours than of light.
    light = _blots(rng, height, width, 1, 0.12)
    colours = _blots(rng, height, width, 3, 0.03)
    pixels = 128 + contrast * (0.8 * light + 0.6 * colours)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _blots(rng, height, width, channels, highest):
    """Returns noise of mean 0 and deviation 1 without waves shorter than some."""
    spectrum = np.fft.rfft2(rng.normal(size=(height, width, channels)), axes=(0, 1))
    down, across = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    waves = np.hypot(down[:, None], across)[..., None]
    spectrum *= np.exp(-((waves / highest) ** 2))
    spectrum[0, 0] = 0
    blots = np.fft.irfft2(spectrum, (height, width), axes=(0, 1))
    return blots / blots.std()


def pan(count, height, width, step=(1, 2), seed=0):
    """Frames of a camera that moves by so many rows and columns a frame.

    What is at a place of a frame was `step` further down and right in the one before.
    """
    down, across = step
    whole = scene(height + count * down, width + count * across, seed)
    return [whole[i * down :, i * across :][:height, :width] for i in range(count)]


def even_times(count, rate=25):
    return [Fraction(index, rate) for index in range(count)]


def write(
    path,
    frames,
    times=None,
    codec="ffv1",
    pix_fmt="bgr0",
    sound=None,
    damaged=None,
    tags=None,
):
    """Writes a film, by custom without loss, which .mkv holds.

    Args:
        path: file to write.
        frames: uint8 [H, W, 3] each.
        times: seconds of each; by custom there are 25 frames a second.
        codec: that FFmpeg has.
        pix_fmt: likewise.
        sound: codec, rate and seconds of a tone, if there is one.
        damaged: index of a frame that is zeros in the file; codecs of stills only.
        tags: options of the codec.
    """
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=tags or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = pix_fmt, TICK
        stream.time_base = TICK
        tone = sound and container.add_stream(sound[0], rate=sound[1], layout="mono")
        packets = []
        for image, time in zip(frames, times or even_times(len(frames))):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            # It tells the matrix to the codec too.
            frame = frame.reformat(format=pix_fmt) if pix_fmt != "bgr0" else frame
            frame.pts, frame.time_base = round(time / TICK), TICK
            packets += stream.encode(frame)
        packets += stream.encode()
        if damaged is not None:
            packets[damaged] = _zeroed(packets[damaged])
        packets += encode_tone(tone, *sound[1:]) if sound else []
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)


def write_sizes(path, frames):
    """Writes frames that need not be of one size, each a JPEG by itself."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p"
        for index, image in enumerate(frames):
            jpeg = av.CodecContext.create("mjpeg", "w")
            jpeg.height, jpeg.width = image.shape[:2]
            jpeg.pix_fmt, jpeg.time_base = stream.pix_fmt, Fraction(1, 25)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            for packet in jpeg.encode(frame.reformat(format=stream.pix_fmt)):
                packet.pts = packet.dts = index
                packet.stream, packet.time_base = stream, jpeg.time_base
                container.mux(packet)


def _zeroed(packet):
    import av

    zeros = av.Packet(bytes(packet.size))
    zeros.pts, zeros.dts, zeros.time_base = packet.pts, packet.dts, packet.time_base
    zeros.stream = packet.stream
    return zeros


def encode_tone(stream, rate, seconds):
    """Returns the packets of a rising tone."""
    import av

    at = np.arange(round(seconds * rate)) / rate
    wave = 16000 * np.sin(2 * np.pi * (300 + 400 * at) * at)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], "s16", "mono")
    frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    return [*stream.encode(frame), *stream.encode()]


def read(path):
    """Returns the frames of a film, uint8 [H, W, 3], and the seconds of each."""
    from tf_style.video import reader

    with reader.opened(path) as found:
        frames = list(found.frames)
    return [frame.image for frame in frames], [frame.time for frame in frames]


def packets_of(path, kind="audio"):
    """Returns the bytes of each packet of sound or picture, and the seconds of each."""
    import av

    with av.open(str(path)) as container:
        streams = getattr(container.streams, kind)
        packets = [p for p in container.demux(streams[:1]) if p.size] if streams else []
        return [bytes(p) for p in packets], [p.pts * p.time_base for p in packets]
