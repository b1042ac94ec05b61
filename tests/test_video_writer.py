"""Films in the making: read back as they were given, with sound, whatever happens."""

import contextlib
import errno
import json
from fractions import Fraction

import films
import numpy as np
import pytest
from PIL import Image

from tf_style.jobs import progress_folder, video_writer
from tf_style.system import files
from tf_style.video import reader, writer

av = pytest.importorskip("av")


def finish(video, source):
    """Writes the film to its path; returns what the user is told."""
    with files.replacing(video.folder.with_suffix("")) as temporary:
        return video.finish(source, temporary)


def take_of(path, frames, times=None, source=None, last=Fraction(1, 25)):
    """Writes a film of frames, and returns what the user is told."""
    times = times or films.even_times(len(frames))
    ends = [*times[1:], times[-1] + last]
    rate = Fraction(len(frames)) / ends[-1]
    with video_writer.VideoWriter(path, rate, {}) as video:
        for index, (image, time, end) in enumerate(zip(frames, times, ends)):
            video.add(index, image, time, end - time)
        assert video.frames == len(frames)
        note = finish(video, source)
        video.remove()
        return note


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


def test_mp4_shows_a_single_row_or_column_twice(tmp_path):
    frames = films.pan(2, 1, 30)
    take_of(tmp_path / "a.mp4", frames)
    found, _ = films.read(tmp_path / "a.mp4")
    assert found[0].shape == (2, 30, 3)
    assert np.abs(found[0].astype(float) - frames[0]).mean() < 8


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
    note = take_of(tmp_path / "a.mp4", films.pan(3, 48, 64), source=tmp_path / "b.mkv")
    assert note == ""
    assert films.packets_of(tmp_path / "a.mp4") == ([], [])
    assert len(films.read(tmp_path / "a.mp4")[0]) == 3


def test_sound_that_cannot_be_read_is_told_and_left_out(tmp_path):
    (tmp_path / "b.mkv").write_bytes(b"no film")
    note = take_of(tmp_path / "a.mp4", films.pan(3, 48, 64), source=tmp_path / "b.mkv")
    assert note.startswith(f"{tmp_path / 'a.mp4'} has no sound: ")
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


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_gif_plays_as_often_as_its_source(tmp_path, name, plays):
    frames = films.pan(3, 24, 32)
    first, *others = [Image.fromarray(frame) for frame in frames]
    loop = {"loop": plays}
    if name == "a.gif":  # which says how often it repeats
        loop = {1: {}, 0: {"loop": 0}, 3: {"loop": 2}}[plays]
    first.save(
        tmp_path / name, save_all=True, append_images=others, duration=40, **loop
    )
    with reader.opened(tmp_path / name) as film:
        assert film.plays == plays
        with video_writer.VideoWriter(tmp_path / "out.gif", film.rate, {}) as video:
            for index, frame in enumerate(film.frames):
                video.add(index, *frame)
            with files.replacing(tmp_path / "out.gif") as temporary:
                video.finish(tmp_path / name, temporary, film.plays)
            video.remove()
    with Image.open(tmp_path / "out.gif") as image:
        assert image.info.get("loop") == {0: 0, 1: None, 3: 2}[plays]
    with reader.opened(tmp_path / "out.gif") as film:
        assert film.plays == plays


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


EVEN = Fraction(1, 25)


def add(video, frames, keep=True):
    """Adds the frames that are lacking, and keeps a state after each."""
    for index in range(video.frames, len(frames)):
        video.add(index, frames[index], index * EVEN, EVEN)
        if keep:
            video.keep({"after": np.array(index + 1)})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for films, whose segments have three frames; all is committed."""
    monkeypatch.setattr(writer, "KEYFRAME_EVERY_S", 3 * EVEN)
    monkeypatch.setattr(video_writer, "COMMIT_EVERY_S", 0)
    path = tmp_path / "out"
    path.mkdir()
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_film_is_the_same_wherever_its_making_stopped(folder, with_sound, name):
    frames = films.pan(8, 48, 64)
    take_of(folder / f"whole-{name}", frames, source=with_sound)
    for count in range(9):
        with video_writer.VideoWriter(folder / name, 1 / EVEN, {}) as video:
            assert (video.frames, video.note) == (0, "")
            add(video, frames[:count])
            # Of these nobody knows how to go on.
            add(video, frames[: count + 2], keep=False)
        assert (folder / f"{name}.partial").exists() == (count > 0)
        with video_writer.VideoWriter(folder / name, 1 / EVEN, {}) as video:
            assert video.frames == video.committed == count
            assert {**video.state} == ({"after": count} if count else {})
            assert (f"after frame {count}," in video.note) == (count > 0)
            add(video, frames)
            assert finish(video, with_sound) == ""
            video.remove()
        assert names(folder) == [name, f"whole-{name}"]
        held = (folder / name).read_bytes()
        assert held == (folder / f"whole-{name}").read_bytes()


def test_a_film_in_the_making_is_films_that_play_and_little_else(folder):
    frames = films.pan(7, 48, 64)
    with video_writer.VideoWriter(folder / "a.mp4", 1 / EVEN, {}) as video:
        add(video, frames)
    assert names(folder / "a.mp4.partial") == [
        "frame-000006.bmp",
        *(["lock"] if progress_folder.fcntl else []),
        "progress.json",
        "segment-000000.mp4",
        "segment-000001.mp4",
        "state-000007.npz",
    ]
    for number in range(2):
        path = folder / "a.mp4.partial" / f"segment-{number:06}.mp4"
        found, times = films.read(path)
        assert times == films.even_times(3)
        off = np.float32(found) - frames[3 * number : 3 * number + 3]
        assert np.abs(off).mean() < 6


def test_state_is_written_now_and_then_and_at_the_end(folder, monkeypatch):
    monkeypatch.setattr(video_writer, "COMMIT_EVERY_S", 1e9)
    frames = films.pan(5, 48, 64)
    with video_writer.VideoWriter(folder / "a.mp4", 1 / EVEN, {}) as video:
        add(video, frames)
        assert not list(video.folder.glob("state-*")) and video.committed == 0
    assert video.committed == 5
    with video_writer.VideoWriter(folder / "a.mp4", 1 / EVEN, {}) as video:
        assert video.frames == 5


def account_of(steps):
    return {"settings": {"steps": steps}, "inputs": {}, "models": {}}


def test_a_film_of_another_run_is_begun_anew_and_only_ours_is_cleared(folder):
    path, frames = folder / "a.mp4", films.pan(5, 48, 64)
    with video_writer.VideoWriter(path, 1 / EVEN, account_of(120)) as video:
        add(video, frames)
    (video.folder / "notes.txt").write_text("mine")
    with video_writer.VideoWriter(path, 1 / EVEN, account_of(100)) as video:
        assert video.note == (
            f"starting over: {video.folder} belongs to a run with steps 120, not 100"
        )
        assert (video.frames, video.committed, video.state) == (0, 0, {})
        assert {*names(video.folder)} - {"lock"} == {"notes.txt", "progress.json"}
        add(video, frames)
        finish(video, None)
        video.remove()
    assert len(films.read(path)[0]) == 5
    assert names(video.folder) == ["notes.txt"]


def test_a_film_of_another_version_is_begun_anew(folder, monkeypatch):
    path = folder / "a.mp4"
    with video_writer.VideoWriter(path, 1 / EVEN, {}) as video:
        add(video, films.pan(2, 48, 64))
    monkeypatch.setattr(video_writer, "__version__", "99")
    with video_writer.VideoWriter(path, 1 / EVEN, {}) as video:
        assert "belongs to a run with version" in video.note and "not 99" in video.note
        assert video.frames == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "segment-000000.mp4").unlink(),
        lambda folder: (folder / "frame-000003.bmp").unlink(),
        lambda folder: (folder / "state-000004.npz").unlink(),
        lambda folder: (folder / "state-000004.npz").write_bytes(b"PK"),
        lambda folder: change(folder, frames=5),
        lambda folder: change(folder, frames="many"),
        lambda folder: change(folder, stills=[[1]]),
        lambda folder: change(folder, segments=None),
        lambda folder: change(folder, account="x"),
        lambda folder: change(folder, end=1e999),
    ],
)
def test_a_damaged_folder_is_begun_anew(folder, spoil):
    path, frames = folder / "a.mp4", films.pan(4, 48, 64)
    with video_writer.VideoWriter(path, 1 / EVEN, {}) as video:
        add(video, frames)
    spoil(video.folder)
    with video_writer.VideoWriter(path, 1 / EVEN, {}) as video:
        assert video.note == f"starting over: {video.folder} is damaged"
        add(video, frames)
        finish(video, None)
        video.remove()
    assert len(films.read(path)[0]) == 4 and names(folder) == ["a.mp4"]


def change(folder, **values):
    path = folder / "progress.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("marker", [None, "{}", "[1]", "no JSON", "[" * 10**5])
def test_a_folder_that_is_not_ours_is_refused_untouched(folder, marker):
    kept = folder / "a.mp4.partial"
    kept.mkdir()
    (kept / "segment-000000.mp4").write_text("mine")
    if marker:
        (kept / "progress.json").write_text(marker)
    before = names(kept)
    for refuse in (
        lambda: progress_folder.check_progress(folder / "a.mp4"),
        lambda: video_writer.VideoWriter(folder / "a.mp4", 1 / EVEN, {}),
    ):
        with pytest.raises(ValueError) as error:
            refuse()
        assert str(error.value).startswith(f"{kept} was not made by tf_style")
        assert "\n" not in str(error.value)
    assert names(kept) == before
    assert (kept / "segment-000000.mp4").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(folder):
    (folder / "a.mp4.partial").write_text("mine")
    with pytest.raises(ValueError, match="was not made by tf_style"):
        progress_folder.check_progress(folder / "a.mp4")


def test_no_folder_an_empty_one_and_ours_are_taken(folder):
    path = folder / "a.mp4"
    progress_folder.check_progress(path)
    (folder / "a.mp4.partial").mkdir()
    progress_folder.check_progress(path)
    with video_writer.VideoWriter(path, 1 / EVEN, {}) as video:
        add(video, films.pan(1, 48, 64))
    progress_folder.check_progress(path)


def test_two_runs_do_not_write_to_one_folder(folder):
    pytest.importorskip("fcntl")
    path, frames = folder / "a.mp4", films.pan(4, 48, 64)
    with video_writer.VideoWriter(path, 1 / EVEN, account_of(120)) as video:
        add(video, frames[:2])
        for steps in (120, 100):
            with pytest.raises(ValueError, match="another run is writing to"):
                video_writer.VideoWriter(path, 1 / EVEN, account_of(steps))
        add(video, frames)
    with video_writer.VideoWriter(path, 1 / EVEN, account_of(120)) as video:
        assert video.frames == 4


def test_after_a_frame_that_failed_no_later_one_is_taken(folder):
    frames = films.pan(3, 48, 64)
    with video_writer.VideoWriter(folder / "a.mp4", 1 / EVEN, {}) as video:
        add(video, frames[:1])
        with pytest.raises(ValueError, match="frame 2 came where 1 was due"):
            video.add(2, frames[2], 2 * EVEN, EVEN)
        assert video.frames == 1


BROKEN = OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("error", [FULL, BROKEN])
@pytest.mark.parametrize(
    "name, owner, method",
    [
        ("a.mp4", writer.Mp4, "add"),
        ("a.mp4", writer.Mp4, "close"),
        ("a.mp4", np, "savez"),
        ("a.mp4", json, "dumps"),
        ("a.mp4", files.os, "replace"),
        ("a.mp4", Image.Image, "save"),
        ("a.gif", Image.Image, "save"),
    ],
)
def test_a_write_that_fails_keeps_what_was_committed(
    folder, name, owner, method, error, monkeypatch
):
    """At each of its calls in turn: the film is whole in the end."""
    path, frames = folder / name, films.pan(5, 24, 32)
    take_of(folder / f"whole-{name}", frames)
    for number in range(1, 4):
        video = None
        with monkeypatch.context() as broken, contextlib.ExitStack() as stack:
            fail_at(broken, owner, method, number, error)
            try:
                video = stack.enter_context(
                    video_writer.VideoWriter(path, 1 / EVEN, {})
                )
                add(video, frames)
                finish(video, None)
            except OSError as failed:
                assert error.strerror in str(failed) and "\n" not in str(failed)
            else:
                assert method == "close"  # Of which there are two.
        committed = video.committed if video else 0
        with video_writer.VideoWriter(path, 1 / EVEN, {}) as video:
            assert video.frames == committed
            add(video, frames)
            assert finish(video, None) == ""
            video.remove()
        assert names(folder) == [name, f"whole-{name}"]
        assert path.read_bytes() == (folder / f"whole-{name}").read_bytes()


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("error", [FULL, BROKEN])
def test_where_the_film_cannot_be_written_the_old_one_and_all_frames_stay(
    folder, with_sound, name, error, monkeypatch
):
    path, frames = folder / name, films.pan(6, 48, 64)
    path.write_bytes(b"old")
    with monkeypatch.context() as broken:
        for function in ("join", "write_gif"):
            fail_at(broken, writer, function, 1, error)
        with video_writer.VideoWriter(path, 1 / EVEN, {}) as video:
            add(video, frames)
            with pytest.raises(OSError, match=error.strerror):
                finish(video, with_sound)
    assert path.read_bytes() == b"old" and video.committed == 6
    assert names(folder) == [name, f"{name}.partial"]
    with video_writer.VideoWriter(path, 1 / EVEN, {}) as video:
        assert video.frames == 6
        assert finish(video, with_sound) == ""
        video.remove()
    assert len(films.read(path)[0]) == 6 and names(folder) == [name]
    assert bool(films.packets_of(path)[0]) == (name == "a.mp4")


def test_no_room_for_the_sound_is_not_taken_for_no_sound(
    folder, with_sound, monkeypatch
):
    fail_at(monkeypatch, writer, "_sound", 1)
    with video_writer.VideoWriter(folder / "a.mp4", 1 / EVEN, {}) as video:
        add(video, films.pan(6, 48, 64))
        with pytest.raises(OSError, match="No space left"):
            finish(video, with_sound)
    assert names(folder) == ["a.mp4.partial"]


def test_sound_that_no_encoder_takes_is_told_and_left_out(
    folder, with_sound, monkeypatch
):
    error = av.error.ExternalError(1, "Generic error in an external library")
    fail_at(monkeypatch, writer, "_sound", 1, error)
    note = take_of(folder / "a.mp4", films.pan(6, 48, 64), source=with_sound)
    assert note.startswith(f"{folder / 'a.mp4'} has no sound: ")
    assert "external library" in note and "\n" not in note
    assert len(films.read(folder / "a.mp4")[0]) == 6


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_film_that_cannot_be_gone_on_with_leaves_nothing(tmp_path, name, error):
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(error):
        with video_writer.VideoWriter(tmp_path / name, Fraction(25), {}) as video:
            video.add(0, films.scene(24, 32), Fraction(0), Fraction(1, 25))
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
        video_writer.VideoWriter(tmp_path / "nowhere" / "a.mp4", Fraction(25), {})


def test_a_gif_grows_while_its_frames_are_read(tmp_path, monkeypatch):
    """So that a long one needs no more memory than a short one."""
    stills, sizes = [tmp_path / f"{index}.png" for index in range(40)], []
    for index, still in enumerate(stills):
        Image.fromarray(films.scene(48, 64, index)).save(still)
    read = writer.read_still

    def read_and_look(path):
        gif = tmp_path / "a.gif"
        sizes.append(gif.stat().st_size if gif.exists() else 0)
        return read(path)

    monkeypatch.setattr(writer, "read_still", read_and_look)
    writer.write_gif(tmp_path / "a.gif", stills, [Fraction(1, 25)] * 40)
    assert 0 < sizes[-20] < sizes[-10] < sizes[-1]
