"""Films of a picture on the way: their frames, and what a player would show."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from tf_style import images
from tf_style.jobs import timelapse
from tf_style.video import reader, writer

# Each as the colour of a whole frame.
COLOURS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (128, 128, 128),
    (13, 13, 13),
    (51, 153, 230),
]


def _plain(colour, height=6, width=8):
    pixels = np.full((1, height, width, 3), colour, np.float32)
    return pixels / 255


def _passage(count):
    """Returns as many colours, no two alike, that pass through `COLOURS`."""
    places = np.linspace(0, len(COLOURS) - 1, count)
    channels = zip(*COLOURS)
    mixed = [np.interp(places, range(len(COLOURS)), values) for values in channels]
    return np.stack(mixed, -1)


def _frames(folder, count=len(COLOURS), size=(36, 50)):
    """Writes the frames of such a passage and returns their paths."""
    frames = timelapse.Frames(folder, size)
    for index, colour in enumerate(_passage(count)):
        frames.add(index, _plain(colour))
    return frames.paths


def _shade(height, width):
    """A picture [1, H, W, 3] of many colours, smooth as far as films need it."""
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    pixels = np.stack([down, across, 1 - down * across], -1)[None]
    return pixels.astype(np.float32)


def _mean_colours(pictures):
    return [picture.reshape(-1, 3).mean(0) for picture in pictures]


def _read_gif(path):
    """Returns the frames of a GIF, [H, W, 3] in 0..255, and their milliseconds."""
    pictures, durations = [], []
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            pictures.append(np.asarray(image.convert("RGB"), float))
            durations.append(image.info["duration"])
    return pictures, durations


def _to_rgb(frame):
    """Converts as BT.709 says, since older versions of PyAV do not."""
    planes = frame.to_ndarray().astype(float)
    height, width = frame.height, frame.width
    light = (planes[:height] - 16) / 219
    halves = (planes[height:].reshape(2, height // 2, width // 2) - 128) / 224
    blue, red = halves.repeat(2, 1).repeat(2, 2)
    green = -0.187324 * blue - 0.468124 * red
    pixels = np.stack([light + 1.5748 * red, light + green, light + 1.8556 * blue], -1)
    return 255 * np.clip(pixels, 0, 1)


def _read_mp4(path):
    """Returns the frames of an MP4, [H, W, 3] in 0..255, and their seconds."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [_to_rgb(frame) for frame in frames], [frame.time for frame in frames]


def test_frames_are_named_by_step_and_come_in_its_order(tmp_path):
    frames = timelapse.Frames(tmp_path / "new" / "frames", (36, 50))
    assert frames.paths == []
    for index in (1000000, 50, 0, 999999):
        frames.add(index, _plain(COLOURS[0]))
    names = ["000000.png", "000050.png", "999999.png", "1000000.png"]
    assert frames.paths == [tmp_path / "new" / "frames" / name for name in names]


def test_frames_have_their_full_size_and_the_colours_of_the_picture(tmp_path):
    frames = timelapse.Frames(tmp_path, (36, 50))
    for index, size in enumerate([(9, 12), (18, 25), (36, 50)]):
        frames.add(index, _shade(*size))
        read = images.load_image(frames.paths[index])
        assert read.shape == (1, 36, 50, 3)
        # The rims of a picture that was scaled up are half an old pixel off.
        np.testing.assert_allclose(read, _shade(36, 50), atol=0.1)
    np.testing.assert_allclose(read, _shade(36, 50), atol=0.5 / 255 + 1e-6)


def test_values_beyond_the_range_are_clipped(tmp_path):
    frames = timelapse.Frames(tmp_path, (6, 8))
    frames.add(0, np.concatenate([_plain(-300), _plain(600)], 2)[:, :, 4:12])
    read = images.load_image(frames.paths[0])
    assert (read[:, :, :4] == 0).all() and (read[:, :, 4:] == 1).all()


def test_frame_of_the_same_step_is_replaced(tmp_path):
    frames = timelapse.Frames(tmp_path, (6, 8))
    frames.add(0, _plain(0))
    frames.add(0, _plain(255))
    (path,) = frames.paths
    assert images.load_image(path).min() == 1


def test_remove_deletes_the_frames_and_their_empty_folder(tmp_path):
    folder = tmp_path / "kept" / "frames"
    frames = timelapse.Frames(folder, (6, 8))
    frames.remove()
    frames.add(0, _plain(0))
    frames.add(50, _plain(0))
    frames.remove()
    assert not folder.exists() and folder.parent.exists()


@pytest.mark.parametrize(
    "name", ["000050.jpg", "50.png", "result.png", "x000050.png", "000050.png.txt"]
)
def test_what_is_no_frame_is_neither_shown_nor_removed(name, tmp_path):
    foreign = tmp_path / name
    frames = timelapse.Frames(tmp_path, (6, 8))
    frames.add(7, _plain(0))
    foreign.write_bytes(b"foreign")
    assert frames.paths == [tmp_path / "000007.png"]
    frames.remove()
    assert list(tmp_path.iterdir()) == [foreign]
    assert foreign.read_bytes() == b"foreign"


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    """The user's own numbered pictures are not frames of ours."""
    folder = tmp_path / "frames"
    folder.mkdir()
    timelapse.Frames(folder, (6, 8)).check_ours()
    (folder / "000001.png").write_bytes(b"mine")
    frames = timelapse.Frames(folder, (6, 8))
    for touch in (frames.check_ours, frames.remove, lambda: frames.add(1, _plain(0))):
        with pytest.raises(ValueError, match="is not a folder of frames by tf_style"):
            touch()
    assert [path.read_bytes() for path in folder.iterdir()] == [b"mine"]


@pytest.mark.parametrize("path", ["a.gif", "b/a.GIF", "a.mp4", "a.Mp4"])
def test_film_endings_pass_in_any_case(path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    reader.check(path)


@pytest.mark.parametrize("path", ["a.avi", "a", "gif", "a.gif.png"])
def test_other_endings_are_refused(path, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    for refused in (
        reader.check,
        lambda path: timelapse.write(path, ["000000.png"]),
    ):
        with pytest.raises(ValueError) as error:
            refused(tmp_path / path)
        message = str(error.value)
        assert str(tmp_path / path) in message and "\n" not in message
        assert ".gif, .mp4" in message


def test_missing_encoder_is_named_with_its_installation(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    reader.check("a.gif")
    with pytest.raises(ImportError) as error:
        reader.check("a.MP4")
    message = str(error.value)
    assert "a.MP4" in message and "pip install 'tf_style[video]'" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
def test_film_of_no_frames_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(ValueError, match=f"{name}: .* at least one frame"):
        timelapse.write(tmp_path / name, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "count, milliseconds",
    [
        (2, 200),  # not slower than 5 a second
        (40, 200),
        (64, 120),  # 8 a second; GIF has hundredths of a second only
        (80, 100),
        (200, 40),
        (220, 40),  # not faster than 25 a second
    ],
)
def test_gif_lasts_eight_seconds_and_holds_its_last_frame(
    count, milliseconds, tmp_path
):
    path = tmp_path / "reader.gif"
    timelapse.write(path, _frames(tmp_path / "frames", count, (12, 16)))
    pictures, durations = _read_gif(path)
    # Pillow makes one of neighbours that the palette has made alike.
    assert count * 0.9 < len(pictures) <= count
    assert sum(durations) == milliseconds * (count - 1) + 2000
    means = np.repeat(_mean_colours(pictures), durations, axis=0)
    shown = means[milliseconds // 2 :: milliseconds]
    np.testing.assert_allclose(shown[:count], _passage(count), atol=12)
    np.testing.assert_allclose(means[-2000:], [COLOURS[-1]] * 2000, atol=12)


def test_gif_has_each_frame_in_its_time(tmp_path):
    path = tmp_path / "reader.gif"
    timelapse.write(path, _frames(tmp_path / "frames"))
    pictures, durations = _read_gif(path)
    assert durations == [200] * (len(COLOURS) - 1) + [2000]
    np.testing.assert_allclose(_mean_colours(pictures), COLOURS, atol=2)


def test_gif_loops_for_ever_at_the_size_of_its_frames(tmp_path):
    path = tmp_path / "reader.GIF"
    timelapse.write(path, _frames(tmp_path / "frames", size=(35, 51)))
    with Image.open(path) as image:
        assert (image.format, image.size, image.info["loop"]) == ("GIF", (51, 35), 0)


def test_gif_shows_many_colours_as_they_are(tmp_path):
    frames = timelapse.Frames(tmp_path / "frames", (96, 128))
    shades = [_shade(96, 128) * factor for factor in (1, 0.6, 0.3)]
    for index, shade in enumerate(shades):
        frames.add(index, shade)
    timelapse.write(tmp_path / "reader.gif", frames.paths)
    for picture, shade in zip(_read_gif(tmp_path / "reader.gif")[0], shades):
        off = picture / 255 - shade[0]
        # The eye averages what is dithered.
        blocks = off.reshape(12, 8, 16, 8, 3).mean((1, 3))
        assert np.abs(blocks).mean() < 0.01 and np.abs(off).mean() > 1e-3


def test_gif_keeps_the_colours_of_what_stands_still(tmp_path):
    """A palette for each frame would follow the half that changes."""
    rng = np.random.default_rng(0)
    frames = timelapse.Frames(tmp_path / "frames", (64, 96))
    for index, colour in enumerate(COLOURS):
        # Dithering goes on downwards, so what stands still is above.
        changing = rng.random((1, 32, 96, 3), np.float32) * _plain(colour, 32, 96)
        frames.add(index, np.concatenate([_shade(32, 96), changing], 1))
    timelapse.write(tmp_path / "reader.gif", frames.paths)
    pictures, _ = _read_gif(tmp_path / "reader.gif")
    for picture in pictures[1:]:
        np.testing.assert_array_equal(picture[:31], pictures[0][:31])


@pytest.mark.parametrize(
    "count, rate", [(2, 5), (40, 5), (64, 8), (101, 101 / 8), (220, 25)]
)
def test_mp4_lasts_eight_seconds_and_holds_its_last_frame(count, rate, tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "reader.mp4"
    timelapse.write(path, _frames(tmp_path / "frames", count, (16, 24)))
    pictures, seconds = _read_mp4(path)
    assert len(pictures) == count - 1 + round(2 * rate)
    np.testing.assert_allclose(seconds, np.arange(len(pictures)) / rate, atol=1e-3)
    colours = _passage(count)
    expected = [*colours, *[colours[-1]] * (len(pictures) - count)]
    np.testing.assert_allclose(_mean_colours(pictures), expected, atol=4)


@pytest.mark.parametrize(
    "size, even", [((36, 50), (36, 50)), ((37, 51), (36, 50)), ((36, 51), (36, 50))]
)
def test_mp4_shows_the_colours_of_its_frames_at_even_sides(size, even, tmp_path):
    pytest.importorskip("av")
    frames = timelapse.Frames(tmp_path / "frames", size)
    for index, colour in enumerate(COLOURS):
        frames.add(index, _plain(colour))
    frames.add(len(COLOURS), _shade(*size))
    timelapse.write(tmp_path / "reader.mp4", frames.paths)
    pictures, _ = _read_mp4(tmp_path / "reader.mp4")
    assert {picture.shape for picture in pictures} == {(*even, 3)}
    np.testing.assert_allclose(_mean_colours(pictures[: len(COLOURS)]), COLOURS, atol=2)
    shade = 255 * _shade(*size)[0, : even[0], : even[1]]
    assert np.abs(pictures[-1] - shade).mean() < 3
    assert np.abs((pictures[-1] - shade).mean((0, 1))).max() < 1


def test_mp4_says_what_its_colours_mean_and_starts_at_once(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "reader.MP4"
    timelapse.write(path, _frames(tmp_path / "frames"))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        assert "mp4" in container.format.name
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        # By ITU-T H.273: BT.709, the curve of sRGB, BT.709; and the limited range.
        tags = (codec.color_primaries, codec.color_trc, codec.colorspace)
        assert (*tags, codec.color_range) == (1, 13, 1, 1)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("name", ["reader.gif", "reader.mp4"])
def test_film_of_one_frame_shows_it(name, tmp_path):
    if name.endswith("mp4"):
        pytest.importorskip("av")
    path = tmp_path / name
    timelapse.write(path, _frames(tmp_path / "frames", 1))
    read = _read_gif if name.endswith("gif") else _read_mp4
    for mean in _mean_colours(read(path)[0]):
        np.testing.assert_allclose(mean, COLOURS[0], atol=2)


@pytest.mark.parametrize("name", ["reader.gif", "reader.mp4"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, MemoryError])
def test_interrupted_film_leaves_the_old_one_and_nothing_else(
    name, error, tmp_path, monkeypatch
):
    if name.endswith("mp4"):
        pytest.importorskip("av")
    paths = _frames(tmp_path / "frames")
    path = tmp_path / "films" / name
    path.parent.mkdir()
    path.write_bytes(b"old")
    read, calls = writer.read_still, []

    def read_some(frame):
        calls.append(frame)
        if len(calls) > len(paths):
            raise error("in the middle")
        return read(frame)

    monkeypatch.setattr(writer, "read_still", read_some)
    with pytest.raises(error, match="in the middle"):
        timelapse.write(path, paths)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_frame_that_is_gone_is_an_error(tmp_path):
    path = tmp_path / "reader.gif"
    with pytest.raises(OSError, match=str(path)):
        timelapse.write(path, [*_frames(tmp_path / "frames"), tmp_path / "gone.png"])
    assert not path.exists()
