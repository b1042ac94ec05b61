"""Films read: every frame upright, in its time and colours, whatever the file is."""

import importlib.util
import struct
from fractions import Fraction

import films
import numpy as np
import pytest
from PIL import Image

from tf_style import images
from tf_style.images import decode
from tf_style.system import files
from tf_style.video import hdr, reader

H264 = {"codec": "libx264", "pix_fmt": "yuv420p"}
UNEVEN = [Fraction(n, 1000) for n in (0, 40, 80, 250, 290, 1000)]


@pytest.fixture
def av():
    return pytest.importorskip("av")


def read(path, max_side=0):
    """Returns the `reader.Film` of a path, and all of its frames."""
    with reader.opened(path, max_side) as found:
        return found, list(found.frames)


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.mkv", {}),
        ("a.MKV", {}),
        ("a.avi", {"codec": "ffv1", "times": None}),
        ("a.mp4", H264),
        ("a.m4v", H264),
        ("a.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
        ("a.webm", {"codec": "libvpx-vp9", "pix_fmt": "yuv420p"}),
    ],
)
def test_every_kind_of_film_is_read_frame_by_frame(av, tmp_path, name, options):
    frames = films.pan(5, 48, 64)
    path = tmp_path / name
    # AVI has no times of its own.
    times = films.even_times(5) if name != "a.avi" else None
    films.write(path, frames, **{"times": times} | options)
    assert reader.is_film(path)
    _, found = read(path)
    assert len(found) == 5
    for index, (image, time, _) in enumerate(found):
        assert (image.shape, image.dtype) == ((48, 64, 3), np.uint8)
        off = [np.abs(image.astype(float) - frame).mean() for frame in frames]
        assert np.argmin(off) == index and off[index] < 8
        assert float(time) == pytest.approx(index / 25, abs=1e-3)


def test_frames_without_loss_are_read_without_loss(av, tmp_path):
    frames = films.pan(6, 37, 51)
    films.write(tmp_path / "a.mkv", frames, UNEVEN)
    _found, read_frames = read(tmp_path / "a.mkv")
    np.testing.assert_array_equal([frame.image for frame in read_frames], frames)
    assert [frame.time for frame in read_frames] == UNEVEN
    assert all(frame.duration > 0 for frame in read_frames)


def test_colours_run_smoothly_although_the_file_has_half_of_their_rows_and_columns(
    av, tmp_path
):
    across = np.linspace(0, 250, 32)
    ramp = np.broadcast_to(across[:, None] / 2 + across / 2, (32, 32))
    image = np.stack([ramp, np.full_like(ramp, 128), 250 - ramp], -1).astype(np.uint8)
    path = tmp_path / "ramp.mkv"
    films.write(path, [image], codec="ffv1", pix_fmt="yuv420p")
    _, (frame,) = read(path)
    for axis in (0, 1):
        steps = np.abs(np.diff(frame.image.astype(int), axis=axis)[4:-4, 4:-4, 0])
        assert 2 <= steps.min() and steps.max() <= 7  # 4 in the mean


def test_time_begins_with_the_first_frame(av, tmp_path):
    late = [time + 2 for time in UNEVEN]
    films.write(tmp_path / "a.mkv", films.pan(6, 48, 64), late)
    _, found = read(tmp_path / "a.mkv")
    assert [frame.time for frame in found] == UNEVEN


def test_a_film_tells_its_rate_and_how_many_frames_it_has(av, tmp_path):
    times = films.even_times(12, 10)
    films.write(tmp_path / "a.mp4", films.pan(12, 48, 64), times, **H264)
    found, _ = read(tmp_path / "a.mp4")
    assert found.count == 12
    assert float(found.rate) == pytest.approx(10, rel=0.1)
    films.write(tmp_path / "a.mkv", films.pan(3, 48, 64))
    found, _ = read(tmp_path / "a.mkv")
    assert (found.rate, found.count) == (25, 0)  # Matroska does not say.


@pytest.mark.parametrize(
    "size, max_side, expected",
    [
        ((48, 64), 0, (48, 64)),
        ((48, 64), 64, (48, 64)),
        ((48, 64), 100, (48, 64)),
        ((48, 64), 32, (24, 32)),
        ((64, 48), 32, (32, 24)),
        ((37, 51), 20, (15, 20)),
    ],
)
@pytest.mark.parametrize("name", ["a.mkv", "a.gif"])
def test_max_side_shrinks_in_proportion_and_never_enlarges(
    av, tmp_path, name, size, max_side, expected
):
    frames = films.pan(2, *size)
    if name == "a.gif":
        write_gif(tmp_path / name, frames)
    else:
        films.write(tmp_path / name, frames)
    _, found = read(tmp_path / name, max_side)
    assert {frame.image.shape for frame in found} == {(*expected, 3)}
    # As a picture would be shrunk.
    images.save_image(tmp_path / "a.png", frames[0][None] / 255)
    still = 255 * images.load_image(tmp_path / "a.png", max_side)[0]
    assert np.abs(found[0].image - still).mean() < (12 if name == "a.gif" else 2)


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (13, 13, 13), (200, 100, 40)]


def planes(colours, height, width, matrix, full=False):
    """Returns a yuv444p frame of stripes of colours, by the numbers of a standard."""
    red, blue = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}[matrix]
    rgb = np.repeat(np.array(colours) / 255, width // len(colours), 0)
    light = rgb @ [red, 1 - red - blue, blue]
    cb, cr = ((rgb[:, c] - light) / (2 - 2 * w) for c, w in ((2, blue), (0, red)))
    if full:
        rows = [255 * light, 255 * cb + 128, 255 * cr + 128]
    else:
        rows = [219 * light + 16, 224 * cb + 128, 224 * cr + 128]
    planes = np.round(np.stack(rows))[:, None].repeat(height, 1)
    return np.clip(planes, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "height, matrix, tags",
    [
        (48, "601", {}),  # Who does not tell means this one in small films,
        (720, "709", {}),  # and that one in large ones.
        (48, "709", {"colorspace": "bt709"}),
        (48, "601", {"colorspace": "smpte170m"}),
        (48, "601", {"colorspace": "bt470bg"}),
        (720, "601", {"colorspace": "smpte170m"}),
        (720, "709", {"colorspace": "bt709"}),
        (48, "709", {"colorspace": "bt709", "color_range": "pc"}),
        (48, "601", {"color_range": "pc"}),
    ],
)
@pytest.mark.parametrize("shrunk", [False, True])
def test_colours_come_back_as_the_file_means_them(
    av, tmp_path, height, matrix, tags, shrunk
):
    width = 80 if height < 100 else 400
    pixels = planes(COLOURS, height, width, matrix, tags.get("color_range") == "pc")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", 25, {"crf": "4", **tags})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv444p"
        frame = av.VideoFrame.from_ndarray(pixels, "yuv444p")
        # What the frame says would be believed instead.
        for name, value in FRAME_TAGS.items():
            if tags.get(name) in value:
                setattr(frame, name, value[tags[name]])
        container.mux([*stream.encode(frame), *stream.encode()])
    _, (found,) = read(tmp_path / "a.mp4", max(height, width) // 2 if shrunk else 0)
    width = found.image.shape[1]
    middles = found.image[found.image.shape[0] // 2, width // 10 :: width // 5]
    np.testing.assert_allclose(middles.astype(float), COLOURS, atol=4)


FRAME_TAGS = {
    "colorspace": {"bt709": 1, "bt470bg": 5, "smpte170m": 6},
    "color_range": {"pc": 2},
}


@pytest.mark.parametrize(
    "turn, matrix",
    [
        (lambda frame: frame, (1, 0, 0, 1)),
        (lambda frame: frame, (0, 0, 0, 0)),
        (np.rot90, (0, -1, 1, 0)),
        (lambda frame: np.rot90(frame, 2), (-1, 0, 0, -1)),
        (lambda frame: np.rot90(frame, 3), (0, 1, -1, 0)),
        (np.fliplr, (-1, 0, 0, 1)),
        (np.flipud, (1, 0, 0, -1)),
        (lambda frame: frame.swapaxes(0, 1), (0, 1, 1, 0)),
    ],
)
@pytest.mark.parametrize("max_side", [0, 32])
def test_a_film_is_shown_as_it_was_held(av, tmp_path, turn, matrix, max_side):
    """As telephones write it: the matrix of the track says how it was held."""
    (frame,) = films.pan(1, 48, 64)
    path = tmp_path / "a.mp4"
    films.write(path, [frame] * 2, **H264)
    turn_track(path, matrix)
    _, found = read(path, max_side)
    shown = turn(frame)
    if max_side:
        shown = 255 * images.resize(
            shown[None] / np.float32(255), *np.array(shown.shape[:2]) // 2
        )
        shown = shown[0]
    assert found[0].image.shape == shown.shape
    assert np.abs(found[0].image - shown.astype(float)).mean() < 8
    # The first one is what the size of the film is taken from.
    assert reader.load_first(path, max_side).pixels.shape[1:3] == shown.shape[:2]


def turn_track(path, matrix):
    """Overwrites the upper left of the matrix in the header of a film's track.

    ISO/IEC 14496-12, 8.3.2: 40 bytes after the box's name, row by row, 16.16.
    """
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 65536 for value in matrix)
    assert struct.unpack_from(">9i", data, at)[:5] == (65536, 0, 0, 0, 65536)
    struct.pack_into(">2i", data, at, a, b)
    struct.pack_into(">2i", data, at + 12, c, d)
    path.write_bytes(data)


def write_gif(path, frames, durations=100, **options):
    stills = [Image.fromarray(frame) for frame in frames]
    stills[0].save(
        path, save_all=True, append_images=stills[1:], duration=durations, **options
    )


@pytest.mark.parametrize("ending", [".gif", ".GIF"])
def test_a_gif_has_its_frames_each_for_its_time(tmp_path, ending):
    frames = films.pan(4, 24, 32)
    write_gif(tmp_path / f"a{ending}", frames, [50, 80, 200, 1000])
    found, read_frames = read(tmp_path / f"a{ending}")
    assert [frame.time for frame in read_frames] == [
        Fraction(n, 1000) for n in (0, 50, 130, 330)
    ]
    assert [1000 * frame.duration for frame in read_frames] == [50, 80, 200, 1000]
    assert (found.rate, found.count) == (Fraction(4000, 1330), 4)
    off = np.abs(np.float32([frame.image for frame in read_frames]) - frames)
    assert off.mean() < 8


@pytest.mark.parametrize("durations", [0, [0, 0, 0]])
def test_a_gif_without_times_shows_ten_frames_a_second(tmp_path, durations):
    write_gif(tmp_path / "a.gif", films.pan(3, 24, 32), durations)
    found, read_frames = read(tmp_path / "a.gif")
    assert [frame.time for frame in read_frames] == films.even_times(3, 10)
    assert {frame.duration for frame in read_frames} == {Fraction(1, 10)}
    assert found.rate == 10


def test_transparent_parts_of_a_gif_are_white_or_what_was_there(tmp_path):
    red = Image.new("RGBA", (32, 24), (200, 30, 30, 255))
    red.paste((0, 0, 0, 0), (0, 0, 8, 24))
    blue = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
    blue.paste((30, 30, 200, 255), (20, 0, 32, 24))
    red.save(
        tmp_path / "a.gif",
        save_all=True,
        append_images=[blue],
        duration=100,
        disposal=1,  # what was there stays
    )
    _, (first, second) = read(tmp_path / "a.gif")
    for image, right in ((first.image, (200, 30, 30)), (second.image, (30, 30, 200))):
        np.testing.assert_allclose(image[12, 4], (255, 255, 255))
        np.testing.assert_allclose(image[12, 14], (200, 30, 30), atol=6)
        np.testing.assert_allclose(image[12, 28], right, atol=6)


def test_a_gif_that_moves_is_a_film_and_another_is_a_picture(tmp_path):
    write_gif(tmp_path / "moving.gif", films.pan(2, 24, 32))
    write_gif(tmp_path / "still.gif", films.pan(1, 24, 32))
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    assert reader.is_film(tmp_path / "moving.gif")
    assert decode.is_animated(tmp_path / "moving.gif")
    for name in ("still.gif", "broken.gif", "nowhere.gif"):
        assert not reader.is_film(tmp_path / name)


def write_with(path, **settings):
    """Writes a film of an encoder with some attributes, and two tracks of sound."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 24, 32, "yuv420p"
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        tones = [container.add_stream("aac", rate=44100, layout="mono") for _ in "ab"]
        for image in films.pan(2, 24, 32):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
        for tone in tones:
            container.mux(films.encode_tone(tone, 44100, 0.1))


def test_pixels_that_are_not_square_are_shown_as_players_show_them(tmp_path):
    write_with(tmp_path / "a.mp4", sample_aspect_ratio=Fraction(3, 2))
    _, frames = read(tmp_path / "a.mp4")
    assert [frame.image.shape for frame in frames] == [(24, 48, 3)] * 2
    _, frames = read(tmp_path / "a.mp4", 24)
    assert frames[0].image.shape == (12, 24, 3)


@pytest.mark.parametrize("number, name", [(1, None), (16, "PQ"), (18, "HLG")])
def test_what_of_a_film_is_not_kept_is_told(tmp_path, number, name):
    write_with(tmp_path / "a.mkv", color_trc=number)
    film, _ = read(tmp_path / "a.mkv")
    tracks, *rest = film.notes
    assert tracks.endswith("a.mkv: these tracks are dropped: 1 of sound")
    assert [f"is HDR ({name})" in line for line in rest] == [True] * bool(name)


@pytest.mark.parametrize(
    "name, codec, kind",
    [
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mov", "prores_ks", "yuv422p10le"),
    ],
)
def test_transparency_of_a_film_that_is_dropped_is_told(
    av, tmp_path, name, codec, kind
):
    films.write(tmp_path / name, films.pan(2, 24, 32), codec=codec, pix_fmt=kind)
    film, _ = read(tmp_path / name)
    notes = [line for line in film.notes if "alpha channel" in line]
    assert len(notes) == kind.startswith("yuva")


def test_a_second_track_of_pictures_is_told(av, tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in "ab"]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = 24, 32, "bgr0"
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(films.scene(24, 32), "rgb24")
            container.mux([*stream.encode(frame), *stream.encode()])
    film, _ = read(tmp_path / "a.mkv")
    [note] = film.notes
    assert note.endswith("a.mkv: these tracks are dropped: 1 of pictures")


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_a_film_that_starts_late_lasts_no_longer(av, tmp_path, name):
    times = [1000 + time for time in films.even_times(5)]
    films.write(tmp_path / name, films.pan(5, 48, 64), times, **H264)
    film, _ = read(tmp_path / name)
    assert film.duration == pytest.approx(0.2, abs=0.05)


def linear(srgb):
    """The light of levels of sRGB, from 0 to 1."""
    codes = np.asarray(srgb) / 255
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def codes_of_pq(light):
    """The inverse of SMPTE ST 2084, for cd/m2."""
    power = (np.asarray(light, float) / 10000) ** (2610 / 16384)
    ratio = (3424 + 32 * 2413 * power) / (4096 + 32 * 2392 * power)
    return ratio ** (2523 / 32)


def codes_of_hlg(light):
    """The inverse of BT.2100's, for a screen of 1000 cd/m2, of cd/m2."""
    light = np.asarray(light, float) / 1000
    luminance = light @ [0.2627, 0.678, 0.0593]
    scene = light * np.maximum(luminance, 1e-9)[..., None] ** (1 / 1.2 - 1)
    logs = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), logs)


# What is darker than the knee of the curve has the colours that it has in SDR.
DARK_COLOURS = np.array([[150, 40, 30], [40, 140, 60], [30, 50, 150], [120, 120, 120]])


def in_bt2020(srgb):
    """Light in cd/m2, of which white has 203, by the primaries of BT.2020."""
    matrix = [
        [0.6274, 0.3293, 0.0433],
        [0.0691, 0.9195, 0.0114],
        [0.0164, 0.088, 0.8956],
    ]
    return 203 * linear(srgb) @ np.transpose(matrix)


@pytest.mark.parametrize("transfer, encode", [(16, codes_of_pq), (18, codes_of_hlg)])
def test_colours_of_hdr_are_those_of_sdr(transfer, encode):
    codes = np.round(65535 * encode(in_bt2020(DARK_COLOURS))).astype(np.uint16)[None]
    np.testing.assert_allclose(hdr.to_srgb(codes, transfer)[0], DARK_COLOURS, atol=2)


@pytest.mark.parametrize("transfer, encode", [(16, codes_of_pq), (18, codes_of_hlg)])
def test_what_is_brighter_than_paper_in_hdr_stays_apart(transfer, encode):
    light = np.array([100, 203, 400, 1000.0])[:, None] * np.ones(3)
    codes = np.round(65535 * encode(light)).astype(np.uint16)[None]
    shown = hdr.to_srgb(codes, transfer)[0]
    assert (shown == shown[:, :1]).all()
    assert (np.diff(shown[:, 0].astype(int)) > 0).all()
    assert 215 < shown[1, 0] < 245 and shown[-1, 0] >= 254
    # A colour that is too bright keeps its hue.
    codes = encode(np.array([[900, 450, 225.0]]))
    red, green, blue = linear(hdr.to_srgb(np.uint16([65535 * codes]), transfer)[0, 0])
    assert red > green > blue > 0.02


@pytest.mark.parametrize("transfer, encode", [(16, codes_of_pq), (18, codes_of_hlg)])
def test_a_film_in_hdr_is_read_as_one_in_sdr(tmp_path, av, transfer, encode):
    codes = np.round(65535 * encode(in_bt2020(DARK_COLOURS))).astype(np.uint16)
    image = np.repeat(np.repeat(codes[None], 32, 0), 16, 1)
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9}
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv444p10le"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        frame = av.VideoFrame.from_ndarray(image, "rgb48le")
        frame = frame.reformat(format="yuv444p10le", dst_colorspace="BT2020")
        frame.colorspace = 9
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    film, (shown,) = read(tmp_path / "a.mkv")
    assert shown.image.dtype == np.uint8
    np.testing.assert_allclose(shown.image[16, 8::16], DARK_COLOURS, atol=4)
    [told] = film.notes
    assert "is HDR" in told


def combs(image):
    """How much each row differs from those above and below."""
    image = image.astype(float)
    return np.abs(image[1:-1] - (image[:-2] + image[2:]) / 2).mean()


def test_an_interlaced_film_has_no_combs_and_all_frames_in_their_time(tmp_path, av):
    fields = films.pan(12, 96, 128, (0, 6))
    woven = [np.array(first) for first in fields[::2]]
    for image, second in zip(woven, fields[1::2]):
        image[1::2] = second[1::2]
    options = {"flags": "+ilme+ildct", "qmin": "1", "top": "1"}
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.bit_rate = 8_000_000
        for image in woven:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    _, shown = read(tmp_path / "a.mkv")
    assert [float(frame.time) for frame in shown] == [n / 25 for n in range(6)]
    assert all(frame.duration == Fraction(1, 25) for frame in shown)
    assert np.mean([*map(combs, woven)]) > 30
    assert np.mean([combs(frame.image) for frame in shown]) < 10


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.apng", "a.avif"])
def test_other_pictures_that_move_are_films_as_gifs_are(tmp_path, name):
    if name == "a.avif":
        pytest.importorskip("PIL._avif")
    frames = films.pan(3, 24, 32)
    pictures = [Image.fromarray(frame) for frame in frames]
    kind = {"a.webp": "WEBP", "a.avif": "AVIF"}.get(name, "PNG")
    options = {} if kind == "PNG" else {"quality": 100}
    pictures[0].save(
        tmp_path / name,
        kind,
        save_all=True,
        append_images=pictures[1:],
        duration=40,
        **options,
    )
    assert reader.is_film(tmp_path / name)
    film, found = read(tmp_path / name)
    assert film.rate == 25
    assert [frame.time for frame in found] == [0, Fraction(1, 25), Fraction(2, 25)]
    for frame, image in zip(found, frames):
        difference = np.abs(frame.image.astype(int) - image)
        assert difference.mean() < (0.01 if kind == "PNG" else 4)


def test_the_second_picture_of_a_phones_jpeg_is_no_frame(tmp_path):
    pictures = [Image.fromarray(image) for image in films.pan(2, 24, 32)]
    pictures[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=pictures)
    assert not decode.is_animated(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    "source, ending",
    [
        ("a.mp4", ".mp4"),
        ("photos/a.b.MOV", ".mov"),
        ("really?.mp4", ".mp4"),
        ("camera.MTS", ".mts"),
        ("https://x.org/a.webm?size=9&name=b.png", ".webm"),
        ("https://x.org/film?name=a.mp4", ""),
        ("a", ""),
    ],
)
def test_endings_are_of_the_path_in_small_letters(source, ending):
    assert reader.ending_of(source) == ending
    assert reader.is_film(source) is (ending in reader.READABLE)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "mp4", "a.mp4.png"])
def test_pictures_are_no_films(name, tmp_path):
    assert not reader.is_film(tmp_path / name)


@pytest.mark.parametrize(
    "name, data, reason",
    [
        ("a.mp4", b"no film at all", "is not a film that can be read"),
        ("a.mp4", b"", "is empty (0 bytes)"),
        ("a.gif", b"", "is empty (0 bytes)"),
        ("a.gif", b"no film at all", "is not a picture that can be read"),
        ("a.gif", b"GIF89a", "a.gif"),
    ],
)
def test_what_is_no_film_is_named_in_one_line(av, tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    for load in (read, reader.load_first):
        with pytest.raises(ValueError) as error:
            load(tmp_path / name)
        assert one_line(error).startswith(str(tmp_path / name))
        assert reason in str(error.value)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_film_that_is_not_there_is_named(av, tmp_path, name):
    with pytest.raises(FileNotFoundError) as error:
        read(tmp_path / name)
    assert one_line(error) == f"{tmp_path / name} does not exist"


def test_other_endings_are_refused_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ValueError) as error:
        read(tmp_path / "a.txt")
    message = one_line(error)
    assert message.startswith(f"cannot read {tmp_path / 'a.txt'}")
    assert all(ending in message for ending in reader.READABLE)


def test_a_film_without_pictures_is_only_sound(av, tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        tone = container.add_stream("aac", rate=48000, layout="mono")
        container.mux(films.encode_tone(tone, 48000, 0.5))
    with pytest.raises(ValueError, match="a.mp4 has no picture, only sound$"):
        read(tmp_path / "a.mp4")


def test_frames_before_a_damaged_one_are_read_and_it_is_named(av, tmp_path):
    path, frames = tmp_path / "a.mkv", films.pan(6, 48, 64)
    films.write(path, frames, codec="mjpeg", pix_fmt="yuvj420p", damaged=4)
    found = []
    with reader.opened(path) as opened, pytest.raises(ValueError) as error:
        for frame in opened.frames:
            found.append(frame)
    assert len(found) == 4
    assert one_line(error).startswith(f"{path}: frame 4 cannot be decoded: ")


class Unforeseen(RuntimeError):
    """As libraries raise."""


def broken(*_, **__):
    raise Unforeseen("it broke\nbadly")


@pytest.mark.parametrize("name", ["a.mkv", "a.gif"])
def test_whatever_a_library_raises_names_the_film_in_one_line(
    av, tmp_path, name, monkeypatch
):
    path = tmp_path / name
    if name == "a.gif":
        write_gif(path, films.pan(2, 24, 32))
    else:
        films.write(path, films.pan(2, 24, 32))
    for owner, function in ((av, "open"), (Image, "open")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, function, broken)
            reader.is_film(path)
            if (owner is av) == (name == "a.gif"):
                continue
            for load in (read, reader.load_first):
                with pytest.raises(ValueError) as error:
                    load(path)
                assert one_line(error).startswith(str(path))


def test_whatever_a_library_raises_over_a_frame_names_that(av, tmp_path, monkeypatch):
    path, found = tmp_path / "a.mkv", []
    write_with(path, color_trc=16)
    with reader.opened(path) as opened, pytest.raises(ValueError) as error:
        for frame in opened.frames:
            found.append(frame)
            monkeypatch.setattr(hdr, "to_srgb", broken)
    assert len(found) == 1
    assert one_line(error) == f"{path}: frame 1 cannot be decoded: it broke badly"


@pytest.mark.parametrize("name", ["a.mkv", "a.gif"])
def test_what_is_raised_by_who_reads_a_film_stays_what_it_is(av, tmp_path, name):
    if name == "a.gif":
        write_gif(tmp_path / name, films.pan(2, 24, 32))
    else:
        films.write(tmp_path / name, films.pan(2, 24, 32))
    with pytest.raises(Unforeseen):
        with reader.opened(tmp_path / name):
            broken()


def test_a_gif_that_is_cut_off_is_named(tmp_path):
    path = tmp_path / "a.gif"
    write_gif(path, films.pan(6, 48, 64))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError) as error:
        read(path)
    assert one_line(error).startswith(f"{path} cannot be decoded: ")


def test_only_the_first_frame_is_read_for_a_look(av, tmp_path):
    path, frames = tmp_path / "a.mkv", films.pan(3, 48, 64)
    films.write(path, frames, codec="mjpeg", pix_fmt="yuvj420p", damaged=1)
    picture = reader.load_first(path)
    assert picture.pixels.shape == (1, 48, 64, 3)
    assert picture.pixels.dtype == np.float32 and picture.alpha is None
    assert np.abs(255 * picture.pixels[0] - frames[0]).mean() < 8
    # It stands for the whole film.
    assert picture.sha256 == files.sha256(path)


def test_a_gifs_first_frame_is_that_of_a_picture(tmp_path):
    write_gif(tmp_path / "a.gif", films.pan(3, 24, 32))
    first = reader.load_first(tmp_path / "a.gif")
    still = images.load_picture(tmp_path / "a.gif")
    np.testing.assert_allclose(first.pixels, still.pixels, atol=1e-6)
    assert first.sha256 == still.sha256
    with reader.opened(tmp_path / "a.gif") as found:
        frame = next(found.frames)
    np.testing.assert_allclose(first.pixels, images.to_float(frame.image), atol=1e-6)


def test_the_first_frame_of_a_gif_stays_transparent(tmp_path):
    clear = np.zeros((2, 24, 32, 4), np.uint8)
    clear[:, :, 16:] = 255
    clear[1, :, :20] = (200, 0, 0, 255)
    one, two = map(Image.fromarray, clear)
    one.save(tmp_path / "a.gif", save_all=True, append_images=[two], disposal=2)
    first = reader.load_first(tmp_path / "a.gif")
    assert (first.alpha[..., :16, :] == 0).all() and (
        first.alpha[..., 16:, :] == 1
    ).all()
    assert (first.pixels == 1).all()  # shown on white


def test_without_pyav_only_gif_is_read(tmp_path, monkeypatch):
    write_gif(tmp_path / "a.gif", films.pan(2, 24, 32))
    (tmp_path / "a.mp4").write_bytes(b"any")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert len(read(tmp_path / "a.gif")[1]) == 2
    with pytest.raises(ImportError) as error:
        read(tmp_path / "a.mp4")
    message = one_line(error)
    assert message.startswith(f"cannot read {tmp_path / 'a.mp4'}")
    assert "pip install 'tf_style[video]'" in message
