"""Films in the making: read back as they were given, with sound, whatever happens."""

import contextlib
import errno
from fractions import Fraction

import films
import numpy as np
import pytest
from PIL import Image

from tf_style import files, film, reel

av = pytest.importorskip("av")


def take_of(path, frames, times=None, source=None, last=Fraction(1, 25)):
    """Writes a film of frames, and returns what the user is told."""
    times = times or films.even_times(len(frames))
    ends = [*times[1:], times[-1] + last]
    with reel.Take(path, Fraction(len(frames)) / ends[-1]) as take:
        for image, time, end in zip(frames, times, ends):
            take.add(image, time, end - time)
        assert take.count == len(frames)
        return take.finish(source)


def stills_of(path):
    """Returns the frames of a GIF and the milliseconds of each."""
    with Image.open(path) as image:
        found = []
        for index in range(image.n_frames):
            image.seek(index)
            still = np.asarray(image.convert("RGB"), float)
            found.append((still, image.info["duration"]))
    return tuple(zip(*found))


def sound_of(path):
    """Returns the samples of a film's sound, in [-1, 1], and the second it begins."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    samples = []
    for frame in frames:
        values = frame.to_ndarray()
        scale = 1 if frame.format.name.startswith("flt") else 32768
        samples.append(values[0] / scale)
    return np.concatenate(samples), frames[0].time


UNEVEN = [Fraction(n, 1000) for n in (0, 40, 80, 250, 290, 1000)]


@pytest.mark.parametrize("name", ["a.mp4", "a.MP4"])
@pytest.mark.parametrize("times", [films.even_times(6), UNEVEN], ids=["even", "uneven"])
def test_a_film_reads_back_frame_for_frame_in_time(tmp_path, name, times):
    frames = films.pan(6, 48, 64)
    assert take_of(tmp_path / name, frames, times) == ""
    found, when = films.read(tmp_path / name)
    np.testing.assert_allclose(np.float64(when), np.float64(times), atol=1e-4)
    for index, image in enumerate(found):
        off = [(image.astype(float) - frame) for frame in frames]
        sizes = [np.abs(difference).mean() for difference in off]
        assert np.argmin(sizes) == index and sizes[index] < 6
        assert np.abs(off[index].mean((0, 1))).max() < 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("last", [Fraction(1, 25), Fraction(2)])
@pytest.mark.parametrize("times", [films.even_times(6), UNEVEN], ids=["even", "uneven"])
def test_a_film_lasts_to_the_end_of_its_last_frame(tmp_path, name, times, last):
    assert take_of(tmp_path / name, films.pan(6, 48, 64), times, last=last) == ""
    with av.open(str(tmp_path / name)) as container:
        seconds = container.duration / av.time_base
    assert seconds == pytest.approx(float(times[-1] + last), abs=0.01)


@pytest.mark.parametrize(
    "size, even", [((47, 64), (46, 64)), ((48, 63), (48, 62)), ((47, 63), (46, 62))]
)
def test_mp4_loses_an_odd_row_or_column_and_gif_does_not(tmp_path, size, even):
    frames = films.pan(2, *size)
    take_of(tmp_path / "a.mp4", frames)
    found, _ = films.read(tmp_path / "a.mp4")
    assert found[0].shape == (*even, 3)
    # It is the last row and column that go.
    kept = frames[0][: even[0], : even[1]]
    assert np.abs(found[0].astype(float) - kept).mean() < 6
    take_of(tmp_path / "a.gif", frames)
    assert stills_of(tmp_path / "a.gif")[0][0].shape == (*size, 3)


def test_what_is_finished_starts_at_once_and_says_what_its_colours_mean(tmp_path):
    take_of(tmp_path / "a.mp4", films.pan(3, 48, 64))
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat") and b"moof" not in data
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].start_time == 0
        codec = container.streams.video[0].codec_context
        # By ITU-T H.273: BT.709, the curve of sRGB, BT.709; and the limited range.
        tags = (codec.color_primaries, codec.color_trc, codec.colorspace)
        assert (*tags, codec.color_range) == (1, 13, 1, 1)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_film_of_one_frame_is_that_frame(tmp_path, name):
    (frame,) = films.pan(1, 48, 64)
    assert take_of(tmp_path / name, [frame]) == ""
    (found,), times = films.read(tmp_path / name)
    assert times == [0]
    assert np.abs(found.astype(float) - frame).mean() < 12


SECONDS = 0.8  # of the tone; the films of these tests take 0.4


@pytest.mark.parametrize(
    "name, codec",
    [("b.mp4", "aac"), ("b.mkv", "aac"), ("b.mkv", "flac"), ("b.mkv", "libopus")],
)
def test_sound_that_mp4_holds_is_copied_packet_by_packet(tmp_path, name, codec):
    source, frames = tmp_path / name, films.pan(10, 48, 64)
    h264 = {"codec": "libx264", "pix_fmt": "yuv420p"}
    films.write(source, frames, sound=(codec, 48000, SECONDS), **h264)
    assert take_of(tmp_path / "a.mp4", frames, source=source) == ""
    found, times = films.packets_of(tmp_path / "a.mp4")
    wanted, when = films.packets_of(source)
    # What comes before the picture or after it is left out.
    first = wanted.index(found[0])
    assert first <= 1 and found == wanted[first : first + len(found)]
    assert when[first] == pytest.approx(float(times[0]), abs=2e-3)
    assert 0.33 < times[-1] < 0.4
    assert films.read(tmp_path / "a.mp4")[1] == films.even_times(10)


@pytest.mark.parametrize(
    "name, codec", [("b.mov", "pcm_s16le"), ("b.avi", "pcm_s16le"), ("b.mkv", "mp2")]
)
def test_other_sound_becomes_aac(tmp_path, name, codec):
    source, frames = tmp_path / name, films.pan(10, 48, 64)
    h264 = {"codec": "libx264", "pix_fmt": "yuv420p", "tags": {"bf": "0"}}
    films.write(source, frames, sound=(codec, 48000, SECONDS), **h264)
    assert take_of(tmp_path / "a.mp4", frames, source=source) == ""
    with av.open(str(tmp_path / "a.mp4")) as container:
        sound = container.streams.audio[0]
        assert (sound.codec.name, sound.rate) == ("aac", 48000)
        assert sound.layout.name == "mono"
        assert float(sound.duration * sound.time_base) == pytest.approx(0.4, abs=0.04)


def heard(path, seconds):
    """Returns the tone from a second on for a fifth of one."""
    samples, begin = sound_of(path)
    first = round((seconds - begin) * 48000)
    assert first >= 0
    return samples[first : first + 9600]


@pytest.mark.parametrize(
    "name, codec", [("b.mp4", "aac"), ("b.mkv", "flac"), ("b.mkv", "mp2")]
)
def test_sound_and_picture_stay_together(tmp_path, name, codec):
    """The tone rises, so that what is late is another tone."""
    source, frames = tmp_path / name, films.pan(10, 48, 64)
    h264 = {"codec": "libx264", "pix_fmt": "yuv420p"}
    films.write(source, frames, sound=(codec, 48000, SECONDS), **h264)
    take_of(tmp_path / "a.mp4", frames, source=source)
    found, wanted = heard(tmp_path / "a.mp4", 0.1), heard(source, 0.1)
    assert np.abs(wanted).mean() > 0.2
    assert np.abs(found - wanted).mean() < 0.02


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
def test_sound_that_is_copied_is_whole_from_its_first_sample_on(tmp_path, name):
    """Of AAC that takes the packet before it, without which a window is half there."""
    source, frames = tmp_path / name, films.pan(10, 48, 64)
    h264 = {"codec": "libx264", "pix_fmt": "yuv420p"}
    films.write(source, frames, sound=("aac", 48000, SECONDS), **h264)
    take_of(tmp_path / "a.mp4", frames, source=source)
    found, wanted = heard(tmp_path / "a.mp4", 0), heard(source, 0)
    assert np.abs(found - wanted)[:1024].mean() < 0.02


def test_sound_begins_with_the_first_frame(tmp_path):
    """Whose second need not be the first of the file."""
    source, frames = tmp_path / "b.mkv", films.pan(10, 48, 64)
    late = [time + Fraction(1, 5) for time in films.even_times(10)]
    films.write(source, frames, late, sound=("flac", 48000, SECONDS))
    assert take_of(tmp_path / "a.mp4", frames, source=source) == ""
    assert films.read(tmp_path / "a.mp4")[1] == films.even_times(10)
    found, wanted = heard(tmp_path / "a.mp4", 0.1), heard(source, 0.3)
    # To the packet of a tenth of a second that FLAC has.
    assert np.abs(found - wanted).mean() < 0.02


def test_sound_goes_on_to_the_end_of_a_film_of_uneven_frames(tmp_path):
    source, frames = tmp_path / "b.mkv", films.pan(5, 48, 64)
    times = [Fraction(n, 100) for n in (0, 4, 8, 20, 50)]
    films.write(source, frames, times, sound=("aac", 48000, SECONDS))
    take_of(tmp_path / "a.mp4", frames, times, source, last=Fraction(1, 10))
    _, when = films.packets_of(tmp_path / "a.mp4")
    assert 0.6 - 2 * 1024 / 48000 < when[-1] < 0.6


def test_no_sound_of_the_source_is_none_of_the_film(tmp_path):
    films.write(tmp_path / "b.mkv", films.pan(3, 48, 64))
    told = take_of(tmp_path / "a.mp4", films.pan(3, 48, 64), source=tmp_path / "b.mkv")
    assert told == ""
    assert films.packets_of(tmp_path / "a.mp4") == ([], [])
    assert len(films.read(tmp_path / "a.mp4")[0]) == 3


def test_sound_that_cannot_be_read_is_told_and_left_out(tmp_path):
    (tmp_path / "b.mkv").write_bytes(b"no film")
    told = take_of(tmp_path / "a.mp4", films.pan(3, 48, 64), source=tmp_path / "b.mkv")
    assert told.startswith(f"{tmp_path / 'a.mp4'} is without sound: ")
    assert len(films.read(tmp_path / "a.mp4")[0]) == 3


def test_the_sound_of_a_film_that_was_stopped_stops_there_too(tmp_path):
    source, frames = tmp_path / "b.mkv", films.pan(10, 48, 64)
    films.write(source, frames, sound=("flac", 48000, SECONDS))
    take_of(tmp_path / "a.mp4", frames[:4], source=source)
    samples, _ = sound_of(tmp_path / "a.mp4")
    assert 0 < len(samples) / 48000 < 0.16 + 0.1  # a packet of FLAC


@pytest.mark.parametrize(
    "times, last, kept, milliseconds",
    [
        ([0, 50, 130, 200], 70, [0, 1, 2, 3], [50, 80, 70, 70]),
        # GIF counts in hundredths of a second; errors do not add up.
        ([0, 33, 67, 100, 133], 33, [0, 1, 2, 3, 4], [30, 40, 30, 30, 40]),
        # Players slow down what is shorter than two of them.
        ([0, 10, 20, 30, 40], 10, [0, 2, 4], [20, 20, 20]),
        ([0, 8, 17, 25, 33, 42], 8, [0, 2, 5], [20, 20, 20]),
        ([0, 500, 505, 1000], 1000, [0, 1, 3], [500, 500, 1000]),
    ],
)
def test_gif_has_as_many_frames_as_it_can_show(
    tmp_path, times, last, kept, milliseconds
):
    frames = films.pan(len(times), 24, 32)
    when = [Fraction(time, 1000) for time in times]
    path = tmp_path / "a.gif"
    assert take_of(path, frames, when, last=Fraction(last, 1000)) == ""
    found, shown = stills_of(path)
    assert sum(shown) == pytest.approx(times[-1] + last, abs=11)
    assert len(found) == len(kept)
    for still, index in zip(found, kept):
        off = [np.abs(still - frame).mean() for frame in frames]
        assert np.argmin(off) == index and off[index] < 12
    if sum(milliseconds) == sum(shown):
        assert list(shown) == milliseconds
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_gif_has_no_sound_and_asks_for_none(tmp_path):
    assert take_of(tmp_path / "a.gif", films.pan(2, 24, 32), source="nowhere") == ""
    assert stills_of(tmp_path / "a.gif")[1] == (40, 40)


FULL = OSError(errno.ENOSPC, "No space left on device")


def fail_at(monkeypatch, owner, name, number, error=FULL):
    """Has a function raise at its call of a number, from 1, and at all later ones."""
    calls, original = [], getattr(owner, name)

    def fail(*arguments, **options):
        calls.append(arguments)
        if len(calls) >= number:
            raise error
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, fail)


@pytest.fixture
def with_sound(tmp_path):
    """A film of 6 frames with sound, in a folder of its own."""
    path = tmp_path / "source" / "b.mkv"
    path.parent.mkdir()
    films.write(path, films.pan(6, 48, 64), sound=("flac", 48000, SECONDS))
    return path


@pytest.mark.parametrize("name, owner", [("a.mp4", reel.Mp4), ("a.gif", Image.Image)])
def test_what_was_written_before_the_disk_was_full_is_a_film(
    tmp_path, with_sound, name, owner, monkeypatch
):
    folder = tmp_path / "out"
    folder.mkdir()
    frames = films.pan(6, 48, 64)
    with reel.Take(folder / name, Fraction(25)) as take:
        with monkeypatch.context() as full:
            fail_at(full, owner, "add" if owner is reel.Mp4 else "save", 5)
            with pytest.raises(OSError, match="No space left"):
                for image, time in zip(frames, films.even_times(6)):
                    take.add(image, time, Fraction(1, 25))
        assert take.count == 4
        assert take.finish(with_sound) == ""
    found, times = films.read(folder / name)
    assert times == films.even_times(4)
    assert np.abs(np.float32(found) - frames[:4]).mean() < 12
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("times, ending", [(1, "without sound: "), (2, "in fragments")])
def test_where_the_disk_is_full_at_the_end_sound_is_given_up_and_then_the_order(
    tmp_path, with_sound, times, ending, monkeypatch
):
    join, calls = reel._join, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) <= times:
            raise FULL
        return join(*arguments)

    monkeypatch.setattr(reel, "_join", full)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"old")
    frames = films.pan(6, 48, 64)
    told = take_of(folder / "a.mp4", frames, source=with_sound)
    assert told.startswith(f"{folder / 'a.mp4'} is without sound")
    assert ending in told and "No space left on device" in told and "\n" not in told
    found, when = films.read(folder / "a.mp4")
    np.testing.assert_allclose(
        np.float64(when), np.float64(films.even_times(6)), atol=1e-4
    )
    assert np.abs(np.float32(found) - frames).mean() < 6
    assert films.packets_of(folder / "a.mp4") == ([], [])
    assert [path.name for path in folder.iterdir()] == ["a.mp4"]


def test_a_file_that_no_longer_grows_is_played_as_far_as_it_goes(tmp_path):
    """As a disk that is full leaves it: fragments need no end."""
    frames = films.pan(60, 48, 64, (0, 1))
    with contextlib.closing(reel.Mp4(tmp_path / "a.mp4", 25, reel.IN_FRAGMENTS)) as mp4:
        for image, time in zip(frames, films.even_times(60)):
            mp4.add(image, time, Fraction(1, 25))
    data = (tmp_path / "a.mp4").read_bytes()
    # Fragments begin where frames stand on their own, every two seconds.
    second = data.index(b"mdat", data.index(b"mdat") + 4)
    (tmp_path / "cut.mp4").write_bytes(data[: (second + len(data)) // 2])
    found = []
    with film.opened(tmp_path / "cut.mp4") as cut, contextlib.suppress(ValueError):
        for frame in cut.frames:  # The last one may be cut itself.
            found.append(frame.image)
    assert 45 <= len(found) < 60
    assert np.abs(np.float32(found[:45]) - frames[:45]).mean() < 6


def test_a_gif_that_finds_no_room_gives_up_its_second_half(tmp_path, monkeypatch):
    write, counts = reel.write_gif, []

    def full(path, frames, durations):
        counts.append(len(frames))
        if len(frames) > 3:
            raise FULL
        write(path, frames, durations)

    monkeypatch.setattr(reel, "write_gif", full)
    frames = films.pan(8, 24, 32)
    assert take_of(tmp_path / "a.gif", frames) == ""
    assert counts == [8, 4, 2]
    found, shown = stills_of(tmp_path / "a.gif")
    assert len(found) == 2 and shown == (40, 40)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_where_nothing_can_be_written_the_old_film_stays(tmp_path, name, monkeypatch):
    (tmp_path / name).write_bytes(b"old")

    @contextlib.contextmanager
    def full(path):
        raise FULL
        yield path

    monkeypatch.setattr(files, "replacing", full)
    fail_at(monkeypatch, reel.os, "replace", 1)
    with pytest.raises(OSError, match="No space left"):
        take_of(tmp_path / name, films.pan(3, 24, 32))
    assert (tmp_path / name).read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_take_that_is_left_unfinished_leaves_nothing(tmp_path, name, error):
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(error):
        with reel.Take(tmp_path / name, Fraction(25)) as take:
            take.add(films.scene(24, 32), Fraction(0), Fraction(1, 25))
            raise error
    assert (tmp_path / name).read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_stays_one_and_its_film_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "a.mp4").symlink_to(tmp_path / "real" / "b.mp4")
    take_of(tmp_path / "a.mp4", films.pan(2, 24, 32))
    assert (tmp_path / "a.mp4").is_symlink()
    assert len(films.read(tmp_path / "real" / "b.mp4")[0]) == 2


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        reel.Take(tmp_path / "nowhere" / "a.mp4", Fraction(25))


def test_a_gif_grows_while_its_frames_are_read(tmp_path, monkeypatch):
    """So that a long one needs no more memory than a short one."""
    stills, sizes = [tmp_path / f"{index}.png" for index in range(40)], []
    for index, still in enumerate(stills):
        Image.fromarray(films.scene(48, 64, index)).save(still)
    read = reel.read_still

    def read_and_look(path):
        gif = tmp_path / "a.gif"
        sizes.append(gif.stat().st_size if gif.exists() else 0)
        return read(path)

    monkeypatch.setattr(reel, "read_still", read_and_look)
    reel.write_gif(tmp_path / "a.gif", stills, [Fraction(1, 25)] * 40)
    assert 0 < sizes[-20] < sizes[-10] < sizes[-1]
