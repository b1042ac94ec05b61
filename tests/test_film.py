"""Films painted from file to file: frame for frame, in time, without flicker."""

import contextlib
import dataclasses
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import films
import numpy as np
import pytest

from tf_style import images
from tf_style.cli import display
from tf_style.config import GatysConfig, HubConfig, Job
from tf_style.fast import hub
from tf_style.jobs import forecast, manifest, run, video_writer
from tf_style.jobs.job import unused_settings
from tf_style.optimization import gatys
from tf_style.system.errors import InvalidInput
from tf_style.system.stop import StopToken
from tf_style.video import flow, stylize, writer

pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")
pytestmark = pytest.mark.usefixtures("builtin_at_hand")

SIZE = 48, 64
# What the light scene becomes at night, which is a cut to any viewer.
NIGHT = np.array([0.2, 0.25, 0.4])


def two_scenes(first, second):
    """Frames of a scene by day, and then of another by night."""
    night = films.pan(second, *SIZE, seed=1)
    return films.pan(first, *SIZE) + [(f * NIGHT).astype(np.uint8) for f in night]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A film of two scenes of 3 and 2 frames, unevenly timed, with sound."""
    path = tmp_path_factory.mktemp("film") / "walk.mkv"
    films.write(path, two_scenes(3, 2), TIMES, sound=("aac", 48000, 1.0))
    return path


TIMES = [Fraction(n, 100) for n in (0, 4, 8, 20, 36)]


@pytest.fixture(scope="module")
def style_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("style") / "blots.png"
    images.save_image(path, films.scene(72, 64, seed=2, contrast=90)[None] / 255)
    return path


SLOW = GatysConfig(
    backbone="builtin",
    content_layers=("block1_conv2",),
    style_layers=("block1_conv1", "block2_conv1"),
    style_weight=0.01,
    scales=1,
    steps=10,
)


def job_of(source, style_path, output, **settings):
    """Returns the job of a film, by custom on the fast path."""
    job = Job(
        contents=(str(source),),
        styles=(str(style_path),),
        output=str(output),
        hub=HubConfig(model="builtin", style_size=64),
        gatys=SLOW,
    )
    return dataclasses.replace(job, **settings)


@pytest.fixture
def make_job(style_path, tmp_path):
    def make(source, **settings):
        output = settings.pop("output", tmp_path / "out.mp4")
        return job_of(source, style_path, output, **settings)

    return make


@contextlib.contextmanager
def taking():
    """Gives the frames that are written, as they are before they are encoded."""
    frames, add = [], video_writer.VideoWriter.add

    def keep(self, index, image, time, duration):
        add(self, index, image, time, duration)
        frames.append(image)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(video_writer.VideoWriter, "add", keep)
        yield frames


@pytest.fixture
def taken():
    with taking() as frames:
        yield frames


class Done(NamedTuple):
    """A film that was painted: its job, what happened, and its frames."""

    job: Job
    events: list
    frames: list


@pytest.fixture(scope="module", params=["hub", "gatys"])
def painted(request, source, style_path, tmp_path_factory):
    """The film of the source, on either path."""
    output = tmp_path_factory.mktemp(request.param) / "out.mp4"
    job = job_of(source, style_path, output, mode=request.param)
    with taking() as frames:
        return Done(job, done(job), frames)


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def done(job):
    """Does a job, in which nothing may fail, and returns its events."""
    events = list(run.run(job))
    assert not of_kind(events, run.Failed)
    return events


GOES_ON = "the same command continues from there"


def account_of(job):
    return json.loads(manifest.path_of(job.output).read_text())


def test_a_film_has_the_frames_times_and_sound_of_its_source(painted, source):
    job, events, _ = painted
    output = Path(job.output)
    started = run.Started(0, 1, "out.mp4", None, film=True)
    assert of_kind(events, run.Started) == [started]
    assert len(of_kind(events, run.Framed)) == 5
    [written] = of_kind(events, run.Written)
    assert written.path == output and written.seconds > 0
    assert events[-1] == written
    found, times = films.read(output)
    assert {image.shape for image in found} == {(*SIZE, 3)}
    assert times == TIMES
    sound, when = films.packets_of(output)
    wanted, _ = films.packets_of(source)
    # The tone goes on longer than the picture.
    first = wanted.index(sound[0])
    assert first < 2 and sound == wanted[first : first + len(sound)]
    assert 0.3 < when[-1] < 0.4
    assert {path.name for path in output.parent.iterdir()} == {
        "out.mp4",
        "out.mp4.json",
    }


def test_what_is_written_is_what_was_painted(painted):
    found, _ = films.read(painted.job.output)
    assert np.abs(np.float32(found) - np.float32(painted.frames)).mean() < 12
    away = np.float32(painted.frames) - two_scenes(3, 2)
    assert np.abs(away).mean() > 5


def test_the_manifest_tells_of_the_film_and_keeps_it(make_job, source, tmp_path):
    job = make_job(source, flow=False)
    done(job)
    account = account_of(job)
    assert account["frames"] == 5 and account["size"] == [64, 48]
    assert account["settings"]["flow"] is False
    assert account["interrupted"] is False
    before = (tmp_path / "out.mp4").read_bytes()
    assert list(run.run(job))[-1:] == [run.Skipped(tmp_path / "out.mp4")]
    # Whether strokes are carried along is a setting as others are.
    again = done(dataclasses.replace(job, flow=True))
    assert len(of_kind(again, run.Framed)) == 5
    assert (tmp_path / "out.mp4").read_bytes() != before
    assert account_of(job)["settings"]["flow"] is True


@pytest.mark.parametrize("with_flow", [True, False])
def test_a_manifest_paints_the_same_film_again(
    make_job, source, taken, with_flow, tmp_path
):
    done(make_job(source, flow=with_flow))
    first = list(taken)
    taken.clear()
    again = manifest.read(tmp_path / "out.mp4.json", str(tmp_path / "again.mp4"))
    assert again.flow is with_flow
    done(again)
    np.testing.assert_array_equal(taken, first)


def test_a_scene_after_a_cut_is_painted_as_if_it_were_alone(painted, taken, tmp_path):
    films.write(tmp_path / "night.mkv", two_scenes(3, 2)[3:])
    job = painted.job
    contents, output = (str(tmp_path / "night.mkv"),), str(tmp_path / "night.mp4")
    done(dataclasses.replace(job, contents=contents, output=output))
    np.testing.assert_array_equal(taken, painted.frames[3:])


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A film of one scene that moves by whole pixels, and the noise of a sensor."""
    path = tmp_path_factory.mktemp("noisy") / "noisy.mkv"
    rng = np.random.default_rng(5)
    films.write(
        path,
        [
            np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)
            for frame in films.pan(8, 72, 128, STEP)
        ],
    )
    return path


STEP = 1, 3


def flicker_of(frames):
    """Returns the mean change of what moves by `STEP` a frame, in levels of 255."""
    down, across = STEP
    changes = [
        np.abs(now[:-down, :-across] - before[down:, across:]).mean()
        for before, now in itertools.pairwise(frames)
    ]
    return np.mean(changes)


def sharpness_of(frames):
    return np.mean([np.abs(cv2.Laplacian(f, cv2.CV_32F)).mean() for f in frames])


@pytest.mark.parametrize("mode, count", [("hub", 8), ("gatys", 3)])
def test_a_film_flickers_half_as_much_as_its_frames_and_is_as_sharp(
    make_job, noisy, taken, style_path, mode, count, tmp_path
):
    frames = films.read(noisy)[0][:count]
    films.write(tmp_path / "part.mkv", frames)
    job = make_job(tmp_path / "part.mkv", mode=mode)
    done(job)
    style, config = images.load_image(style_path), getattr(job, mode)
    if mode == "gatys":
        style = gatys.encode(style, config)

    def paint(photo):
        if mode == "hub":
            return hub.stylize(photo, style, config)
        *_, last = gatys.iterate(photo, style, config)
        return gatys.finish(last, photo, config)

    photos = [frame[None] / np.float32(255) for frame in frames]
    alone = [paint(photo)[0] * 255 for photo in photos]
    filmed = np.float32(taken)
    assert flicker_of(filmed) < 0.5 * flicker_of(alone)
    assert sharpness_of(filmed) > 0.9 * sharpness_of(alone)
    # And it still moves.
    here, there = (np.abs(filmed[-1] - alone[n]).mean() for n in (-1, 0))
    assert here < 0.7 * there


def test_strokes_of_a_slow_method_do_not_fade(make_job, taken, tmp_path):
    height, width = SIZE
    twice = films.pan(8, 2 * height, 2 * width, (1, 3))
    # Half a pixel down and one and a half to the right, which interpolation blurs.
    frames = [cv2.resize(f, (width, height), interpolation=3) for f in twice]
    films.write(tmp_path / "slow.mkv", frames)
    config = dataclasses.replace(SLOW, steps=40)
    done(make_job(tmp_path / "slow.mkv", mode="gatys", gatys=config))
    sharp = [sharpness_of([np.float32(image)]) for image in taken]
    assert min(sharp) > 0.93 * sharp[0]
    assert max(sharp) < 1.07 * sharp[0]


def test_without_flow_a_film_still_flickers_less_than_its_frames(
    make_job, noisy, taken, style_path
):
    job = make_job(noisy, flow=False)
    done(job)
    smooth = list(taken)
    taken.clear()
    done(dataclasses.replace(job, flow=True))
    assert np.abs(np.float32(smooth) - np.float32(taken)).mean() > 1
    assert flicker_of(np.float32(taken)) < 0.7 * flicker_of(np.float32(smooth))


@pytest.mark.parametrize("mode", ["hub", "gatys"])
def test_a_mask_leaves_the_pixels_of_the_film(make_job, taken, mode, tmp_path):
    frames = films.pan(2, *SIZE)
    films.write(tmp_path / "walk.mkv", frames)
    mask = np.zeros((1, *SIZE, 3), np.float32)
    mask[:, :, :30] = 1
    images.save_image(tmp_path / "mask.png", mask)
    masks = (str(tmp_path / "mask.png"),)
    done(make_job(tmp_path / "walk.mkv", mode=mode, masks=masks))
    for painted, frame in zip(taken, frames, strict=True):
        np.testing.assert_array_equal(painted[:, 30:], frame[:, 30:])
        assert np.abs(painted[:, :30] - frame[:, :30].astype(float)).mean() > 4


def test_every_style_gets_a_film_of_its_own(make_job, source, tmp_path):
    styles = []
    for seed, name in ((7, "ink"), (8, "oil")):
        styles.append(str(tmp_path / f"{name}.png"))
        picture = films.scene(60, 50, seed)[None] / 255
        images.save_image(styles[-1], picture * (0.3 if name == "ink" else 1))
    job = make_job(source, styles=tuple(styles), output=str(tmp_path / "out"))
    events = done(job)
    paths = [tmp_path / "out" / f"walk_{name}.mp4" for name in ("ink", "oil")]
    assert [event.path for event in of_kind(events, run.Written)] == paths
    ink, oil = (np.float32(films.read(path)[0]) for path in paths)
    assert len(ink) == len(oil) == 5
    assert ink.mean() < 0.7 * oil.mean()


def test_a_swept_film_has_the_settings_of_each_film_by_itself(
    make_job, taken, tmp_path
):
    films.write(tmp_path / "a.mkv", films.pan(2, *SIZE))
    job = make_job(tmp_path / "a.mkv", sweep=("strength=0,1",), output=tmp_path / "out")
    done(job)
    swept = taken[:]
    taken.clear()
    for strength in (0.0, 1.0):
        config = dataclasses.replace(job.hub, strength=strength)
        output = tmp_path / f"{strength}.mp4"
        done(dataclasses.replace(job, hub=config, sweep=(), output=str(output)))
    np.testing.assert_array_equal(swept, taken)
    assert len(taken) == 4 and not np.array_equal(taken[0], taken[2])


def test_a_longest_side_shrinks_the_film(make_job, source, tmp_path):
    done(make_job(source, max_side=32))
    found, times = films.read(tmp_path / "out.mp4")
    assert {image.shape for image in found} == {(24, 32, 3)} and times == TIMES


def test_a_film_whose_output_is_a_picture_gives_its_first_frame(
    make_job, source, tmp_path
):
    job = make_job(source, output=tmp_path / "still.png")
    done(job)
    [first, *_], _ = films.read(source)
    style = images.load_image(job.styles[0])
    photo = images.to_float(first)
    wanted = images.to_uint8(hub.stylize(photo, style, job.hub))
    shown = images.to_uint8(images.load_image(job.output))
    np.testing.assert_array_equal(shown, wanted)


@pytest.mark.parametrize("name", ["12:30.mp4", "concat:a|b.mp4", "%03d.mp4"])
def test_names_that_ffmpeg_would_read_otherwise_are_names(make_job, name, monkeypatch):
    """It takes what is before a colon for a protocol."""
    monkeypatch.chdir(Path(make_job("a").output).parent)
    films.write(Path("a.mp4"), films.pan(2, *SIZE), codec="libx264", pix_fmt="yuv420p")
    Path("a.mp4").rename(name)
    done(make_job(name, output=f"out/{name}"))
    frames, _ = films.read(Path("out", name).absolute())
    assert (
        len(frames) == 2 and [p.name for p in Path("out").iterdir() if p.is_dir()] == []
    )


def test_a_moving_gif_becomes_one(make_job, source, tmp_path):
    from PIL import Image

    stills = [Image.fromarray(frame) for frame in films.pan(3, *SIZE)]
    path = tmp_path / "walk.gif"
    stills[0].save(path, save_all=True, append_images=stills[1:], duration=[50, 80, 70])
    job = make_job(path, output=str(tmp_path / "out.gif"))
    done(job)
    _, times = films.read(tmp_path / "out.gif")
    assert times == [0, Fraction(5, 100), Fraction(13, 100)]
    assert account_of(job)["frames"] == 3
    with Image.open(tmp_path / "out.gif") as image:
        assert "loop" not in image.info  # It plays once, as the source does.


@pytest.fixture
def broken(tmp_path):
    """A film whose frame 3 of 6 is damaged."""
    path = tmp_path / "broken.mkv"
    film_of = films.pan(6, *SIZE)
    films.write(path, film_of, codec="mjpeg", pix_fmt="yuvj420p", damaged=3)
    return path


def test_a_damaged_frame_ends_the_film_before_it_in_one_line(make_job, broken):
    job, shown = make_job(broken), display.Display(quiet=True)
    events = list(run.run(job))
    for event in events:
        shown.show(event)
    [failed] = of_kind(events, run.Failed)
    assert "\n" not in failed.reason
    assert failed.reason.startswith(f"{broken}: frame 3 cannot be decoded")
    assert failed.reason.endswith(f"{job.output} ends after 3 frames, and {GOES_ON}")
    found, times = films.read(job.output)
    assert len(found) == 3 and times == films.even_times(3)
    account = account_of(job)
    assert account["frames"] == 3 and account["interrupted"] is True
    # Which the program makes status 2.
    assert (shown.written, shown.failed) == (1, 1)
    # It may be whole the next time.
    again = list(run.run(job))
    assert not of_kind(again, (run.Skipped, run.Framed, run.Written))
    [failed] = of_kind(again, run.Failed)
    assert failed.reason.endswith(f"{job.output} keeps its 3 frames, and {GOES_ON}")


@pytest.mark.parametrize("size", [(60, 80), (32, 40)])
@pytest.mark.parametrize("with_flow", [True, False])
def test_a_film_whose_frames_change_their_size_is_a_film_all_the_same(
    make_job, size, with_flow, tmp_path
):
    """As of recorded calls: it may end there, or go on at the size that it began in."""
    films.write_sizes(tmp_path / "a.mkv", films.pan(3, *SIZE) + films.pan(2, *size))
    job = make_job(tmp_path / "a.mkv", flow=with_flow)
    failed = of_kind(list(run.run(job)), run.Failed)
    assert all("\n" not in event.reason for event in failed)
    found, times = films.read(job.output)
    assert {image.shape for image in found} == {(*SIZE, 3)}
    assert len(found) == (3 if failed else 5)
    assert times == films.even_times(len(found))


def test_a_damaged_film_does_not_harm_the_next(make_job, broken, source, tmp_path):
    job = make_job(broken, output=str(tmp_path / "out"))
    job = dataclasses.replace(job, contents=(str(broken), str(source)))
    events = list(run.run(job))
    assert len(of_kind(events, run.Failed)) == 1
    written = [event.path.name for event in of_kind(events, run.Written)]
    assert written == ["broken_blots.mp4", "walk_blots.mp4"]


@pytest.mark.parametrize("mode, kind", [("hub", run.Framed), ("gatys", gatys.Step)])
def test_an_interrupted_film_is_a_film_and_goes_on(
    make_job, source, mode, kind, tmp_path
):
    job = make_job(source, mode=mode)
    stop = StopToken()
    events, count = run.run(job, stop=stop), 0
    while count < 2:
        count += isinstance(next(events), run.Framed)
    while kind is gatys.Step and not isinstance(next(events), kind):
        pass
    stop.set()
    after = list(events)
    assert [event.path for event in of_kind(after, run.Written)] == [
        tmp_path / "out.mp4"
    ]
    assert not of_kind(after, run.Failed)
    assert after[-1].note.endswith(GOES_ON)
    found, times = films.read(job.output)
    # Frames that were painted, but not told of yet, are in it too.
    assert 2 <= len(found) < 5 and times == TIMES[: len(found)]
    account = account_of(job)
    assert account["frames"] == len(found) and account["interrupted"] is True
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"out.mp4", "out.mp4.json", "out.mp4.partial"}
    again = done(job)
    # Nothing that was painted is painted again.
    assert len(of_kind(again, run.Framed)) == 5 - len(found)
    assert len(films.read(job.output)[0]) == 5
    assert account_of(job)["interrupted"] is False
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "out.mp4.json"}


def test_an_interrupt_before_the_first_frame_leaves_what_was_there(
    make_job, source, tmp_path
):
    with manifest.publishing({}, [tmp_path / "out.mp4"], {}) as (temporary,):
        temporary.write_bytes(b"old")
    stop = StopToken()
    events = run.run(make_job(source, mode="gatys"), stop=stop)
    while not isinstance(next(events), gatys.Step):
        pass
    stop.set()
    assert not of_kind(list(events), run.Written)
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "out.mp4.json"}


def test_a_frame_that_is_not_finite_is_not_written(make_job, source, monkeypatch):
    finish, count = hub.finish, []

    def spoiled(picture, *arguments, **more):
        count.append(picture)
        picture = finish(picture, *arguments, **more)
        return picture * np.nan if len(count) == 3 else picture

    monkeypatch.setattr(hub, "finish", spoiled)
    job = make_job(source)
    [failed] = of_kind(list(run.run(job)), run.Failed)
    assert "frame 2 has values that are not finite" in failed.reason
    # Nothing that comes after it is either, for it would come too early.
    found, times = films.read(job.output)
    assert (len(found), times) == (2, TIMES[:2])
    assert failed.reason.endswith("ends after 2 frames")


@pytest.fixture
def small_steps(monkeypatch):
    """Segments of three frames, two frames painted at once, all committed at once."""
    monkeypatch.setattr(writer, "KEYFRAME_EVERY_S", 0.12)
    monkeypatch.setattr(video_writer, "COMMIT_EVERY_S", 0)
    stylizer = type(hub.load_model("builtin"))
    monkeypatch.setattr(stylizer, "batch_pixels", 2 * SIZE[0] * SIZE[1])


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """A film of two scenes of 5 and 3 frames."""
    path = tmp_path_factory.mktemp("longer") / "walk.mkv"
    films.write(path, two_scenes(5, 3), sound=("aac", 48000, 0.5))
    return path


def interrupted(job, frames):
    """Interrupts a job after so many frames; returns all that happened."""
    stop = StopToken()
    events, found = run.run(job, stop=stop), []
    while len(of_kind(found, run.Framed)) < frames:
        found.append(next(events))
    stop.set()
    return [*found, *events]


def notes_of(events):
    return [event.note for event in of_kind(events, run.Info)]


KILLED = """
import os, pickle, signal, sys
from tf_style import hub, run
from tf_style.jobs import video_writer
from tf_style.video import writer

job, at, pixels = pickle.loads(bytes.fromhex(sys.argv[1]))
writer.KEYFRAME_EVERY_S, video_writer.COMMIT_EVERY_S = 0.12, 0
type(hub.load_model("builtin")).batch_pixels = pixels
add = video_writer.VideoWriter.add

def kill(self, index, *arguments):
    add(self, index, *arguments)
    if index == at:
        os.kill(os.getpid(), signal.SIGKILL)

video_writer.VideoWriter.add = kill
list(run.run(job))
"""


@pytest.mark.parametrize(
    "mode, keyframes, scenes, at, committed",
    [
        pytest.param("hub", 1, (5, 3), 6, 5, marks=pytest.mark.slow),
        pytest.param("gatys", 1, (3, 0), 2, 2, marks=pytest.mark.slow),
        pytest.param("gatys", 4, (5, 3), 6, 6, marks=pytest.mark.slow),
    ],
)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing kills so here")
def test_a_killed_film_goes_on_to_that_of_one_that_never_stopped(
    make_job, shallow, small_steps, mode, keyframes, scenes, at, committed, tmp_path
):
    source, count = tmp_path / "source" / "walk.mkv", sum(scenes)
    source.parent.mkdir()
    films.write(source, two_scenes(*scenes), sound=("aac", 48000, 0.5))
    output = tmp_path / "out" / "out.mp4"
    config = GatysConfig(**shallow, steps=2)
    job = make_job(source, mode=mode, gatys=config, output=output, keyframes=keyframes)
    # A segment is full by then that is not committed.
    told = pickle.dumps((job, at, 2 * SIZE[0] * SIZE[1])).hex()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, told],
        env=os.environ | {"PYTHONPATH": str(Path(run.__file__).parents[1])},
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in output.parent.iterdir()] == ["out.mp4.partial"]
    events = done(job)
    folder = output.with_name("out.mp4.partial")
    assert notes_of(events)[-1:] == [
        f"continuing after frame {committed}, from {folder}"
    ]
    assert len(of_kind(events, run.Framed)) == count - committed
    assert {path.name for path in output.parent.iterdir()} == {
        "out.mp4",
        "out.mp4.json",
    }
    whole = dataclasses.replace(job, output=str(tmp_path / "whole.mp4"))
    assert len(of_kind(done(whole), run.Framed)) == count
    (found, times), (wanted, when) = (films.read(j.output) for j in (job, whole))
    np.testing.assert_array_equal(found, wanted)
    assert times == when == films.even_times(count)
    assert films.packets_of(job.output) == films.packets_of(whole.output)


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
@pytest.mark.parametrize("resume", [False, True])
def test_frames_that_are_done_are_not_painted_again(
    make_job, longer, small_steps, taken, name, resume, tmp_path
):
    job = make_job(longer, output=str(tmp_path / name))
    interrupted(job, 3)
    done(dataclasses.replace(job, resume=resume))
    filmed = list(taken)
    assert len(filmed) == 8
    taken.clear()
    whole = dataclasses.replace(job, output=str(tmp_path / f"whole-{name}"))
    done(whole)
    np.testing.assert_array_equal(filmed, taken)
    assert Path(job.output).read_bytes() == Path(whole.output).read_bytes()


def test_other_settings_start_anew(make_job, longer, small_steps, tmp_path):
    job = make_job(longer)
    interrupted(job, 3)
    other = dataclasses.replace(job, flow=False)
    events = done(other)
    folder = tmp_path / "out.mp4.partial"
    wanted = f"starting over: {folder} belongs to a run with flow True, not False"
    assert wanted in notes_of(events)
    assert len(of_kind(events, run.Framed)) == 8
    assert not folder.exists()


def test_a_folder_that_is_not_ours_is_refused_untouched(make_job, source, tmp_path):
    folder = tmp_path / "out.mp4.partial"
    folder.mkdir()
    (folder / "segment-000000.mp4").write_bytes(b"holidays")
    with pytest.raises(ValueError, match=f"^{folder} was not made by tf_style"):
        next(run.run(make_job(source)))
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert (folder / "segment-000000.mp4").read_bytes() == b"holidays"


def test_a_longer_film_is_not_replaced_by_a_shorter_one(
    make_job, longer, small_steps, tmp_path
):
    job, output = make_job(longer), tmp_path / "out.mp4"
    interrupted(job, 4)
    held = output.read_bytes()
    other = dataclasses.replace(job, flow=False)
    events = interrupted(other, 2)
    assert output.read_bytes() == held and not of_kind(events, run.Written)
    note = notes_of(events)[-1]
    assert note.startswith(f"{output} keeps the 4 frames of an earlier run; the ")
    assert note.endswith(f" new ones are in {output}.partial, and {GOES_ON}")
    # A longer one takes its place, and a finished one stays too.
    assert of_kind(interrupted(other, 3), run.Written)
    assert account_of(job)["frames"] == 5
    done(other)
    held = output.read_bytes()
    events = interrupted(job, 6)
    assert output.read_bytes() == held and not of_kind(events, run.Written)
    assert notes_of(events)[-1].startswith(f"{output} stays as it was; the ")


FULL = 28, "No space left on device"


@pytest.mark.parametrize("name", ["add", "close"])
def test_a_full_disk_loses_nothing_and_is_told(
    make_job, longer, small_steps, name, monkeypatch, tmp_path
):
    """Segments of three frames: of two, one is closed, and one fails."""
    import av

    original, calls = getattr(writer.Mp4, name), []

    def full(self, *arguments):
        calls.append(arguments)
        if len(calls) > {"add": 4, "close": 1}[name]:
            raise av.error.OSError(*FULL)
        return original(self, *arguments)

    job, shown = make_job(longer), display.Display(quiet=True)
    with monkeypatch.context() as patch:
        patch.setattr(writer.Mp4, name, full)
        events = list(run.run(job))
    for event in events:
        shown.show(event)
    [failed] = of_kind(events, run.Failed)
    assert "No space left on device" in failed.reason and "\n" not in failed.reason
    committed = {"add": 4, "close": 5}[name]
    folder = tmp_path / "out.mp4.partial"
    told = f"{committed} frames are in {folder}, and {GOES_ON}"
    assert failed.reason.endswith(told)
    # Which the program makes status 1.
    assert (shown.written, shown.failed) == (0, 1)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert len(of_kind(done(job), run.Framed)) == 8 - committed
    whole = dataclasses.replace(job, output=str(tmp_path / "whole.mp4"))
    done(whole)
    assert Path(job.output).read_bytes() == Path(whole.output).read_bytes()


class Unforeseen(RuntimeError):
    """As libraries raise."""


def test_whatever_fails_keeps_the_frames_and_the_next_film_is_painted(
    make_job, longer, source, small_steps, monkeypatch, tmp_path
):
    finish, count = hub.finish, []

    def fail(*arguments, **keywords):
        count.append(arguments)
        if len(count) == 4:
            raise Unforeseen("it broke\nbadly")
        return finish(*arguments, **keywords)

    (tmp_path / "a.mkv").write_bytes(longer.read_bytes())
    contents = (str(tmp_path / "a.mkv"), str(source))
    job = make_job(longer, output=str(tmp_path / "out"))
    job = dataclasses.replace(job, contents=contents)
    with monkeypatch.context() as patch:
        patch.setattr(hub, "finish", fail)
        events = list(run.run(job))
    [failed] = of_kind(events, run.Failed)
    assert failed.reason.startswith(
        f"{contents[0]}: frame 3: Unforeseen: it broke badly; "
    )
    assert failed.reason.endswith(f"a_blots.mp4 ends after 3 frames, and {GOES_ON}")
    written = [event.path.name for event in of_kind(events, run.Written)]
    assert written == ["a_blots.mp4", "walk_blots.mp4"]
    assert len(films.read(tmp_path / "out" / "a_blots.mp4")[0]) == 3
    # Frame 2 was painted along with the one that failed.
    again = done(job)
    assert len(of_kind(again, run.Framed)) == 8 - 2
    assert len(of_kind(again, run.Skipped)) == 1


@pytest.mark.parametrize("mode", ["hub", "gatys"])
def test_a_dry_run_tells_how_long_all_frames_take(
    make_job, mode, monkeypatch, tmp_path
):
    path, h264 = tmp_path / "a.mov", {"codec": "libx264", "pix_fmt": "yuv420p"}
    films.write(path, films.pan(6, *SIZE), **h264)
    monkeypatch.setattr(forecast.Forecast, "seconds", lambda *_: 10.0)
    job = make_job(path, mode=mode, dry_run=True)
    [planned] = of_kind(done(job), run.Planned)
    later = {"hub": 1, "gatys": stylize.LATER_STEPS}[mode]
    assert planned.seconds == pytest.approx(10 * (1 + 5 * later))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mov"]


def test_later_frames_take_fewer_steps_unless_a_scene_begins(painted):
    if painted.job.mode == "hub":
        assert not of_kind(painted.events, gatys.Step)
        return
    steps, per_frame = 0, []
    for event in painted.events:
        steps += isinstance(event, gatys.Step)
        if isinstance(event, run.Framed):
            per_frame.append(steps - 1)  # The last step only measures.
            steps = 0
    later = round(10 * stylize.LATER_STEPS)
    assert later < 10 and per_frame == [10, later, later, 10, later]


def keyed(make_job, path, **settings):
    """A job of the slow path that paints one of four frames."""
    config = dataclasses.replace(SLOW, steps=5)
    return make_job(path, mode="gatys", gatys=config, keyframes=4, **settings)


def test_of_each_scene_the_first_the_last_and_every_nth_frame_are_painted(
    make_job, longer, taken, monkeypatch
):
    firsts, iterate = [], gatys.iterate

    def look(photo, *arguments, prior, **more):
        firsts.append((photo, prior is None))
        return iterate(photo, *arguments, prior=prior, **more)

    monkeypatch.setattr(gatys, "iterate", look)
    events = done(keyed(make_job, longer))
    assert len(of_kind(events, run.Framed)) == len(taken) == 8
    shown, _ = films.read(longer)
    wanted = [(0, True), (4, False), (5, True), (7, False)]
    for (photo, anew), (index, begins) in zip(firsts, wanted, strict=True):
        assert anew == begins
        np.testing.assert_array_equal(photo[0], shown[index] / np.float32(255))


def test_a_film_that_stands_still_is_its_first_keyframe(make_job, taken, tmp_path):
    films.write(tmp_path / "still.mkv", 5 * films.pan(1, *SIZE))
    done(keyed(make_job, tmp_path / "still.mkv"))
    for image in taken[1:]:
        assert np.abs(image.astype(int) - taken[0]).max() <= 1


def test_strokes_between_keyframes_move_with_the_camera(make_job, taken, tmp_path):
    films.write(tmp_path / "pan.mkv", films.pan(5, *SIZE, (0, 2)))
    done(keyed(make_job, tmp_path / "pan.mkv"))
    for before, now in itertools.pairwise(np.asarray(taken).astype(int)):
        inside = np.s_[6:-6, 12:-12]
        along = np.abs(now[:, :-2] - before[:, 2:])[inside].mean()
        assert along < 0.5 * np.abs(now - before)[inside].mean()


def test_keyframes_are_in_the_manifest_and_repeat(make_job, source, tmp_path):
    job = keyed(make_job, source)
    done(job)
    path = manifest.path_of(job.output)
    again = manifest.read(path, str(tmp_path / "again.mp4"))
    assert again.keyframes == 4
    done(again)
    assert Path(again.output).read_bytes() == Path(job.output).read_bytes()
    assert of_kind(run.run(job), run.Skipped)
    assert not of_kind(run.run(dataclasses.replace(job, keyframes=3)), run.Skipped)


def test_keyframes_need_the_flow_and_a_slow_method(make_job, source):
    with pytest.raises(InvalidInput, match="keyframes needs the flow"):
        make_job(source, keyframes=2, flow=False)
    lines = unused_settings(make_job(source, keyframes=2), film=True)
    assert "keyframes does nothing in mode hub" in lines


def test_a_damaged_frame_keeps_what_is_before_it_with_keyframes(make_job, broken):
    job = keyed(make_job, broken)
    [failed] = of_kind(run.run(job), run.Failed)
    assert failed.reason.endswith("ends after 3 frames, and " + GOES_ON)


def test_the_slow_path_starts_from_the_fast_picture_where_a_scene_begins(
    make_job, monkeypatch, tmp_path
):
    firsts, iterate = [], gatys.iterate

    def look(photo, *arguments, init, **more):
        firsts.append((photo, init))
        return iterate(photo, *arguments, init=init, **more)

    monkeypatch.setattr(gatys, "iterate", look)
    films.write(tmp_path / "cut.mkv", two_scenes(1, 1))
    config = dataclasses.replace(SLOW, init="hub", steps=1)
    job = make_job(tmp_path / "cut.mkv", mode="gatys", gatys=config)
    done(job)
    style = images.load_image(job.styles[0])
    assert len(firsts) == 2
    for photo, init in firsts:
        np.testing.assert_array_equal(init, hub.stylize(photo, style, job.hub))


def test_motion_is_not_measured_across_a_cut_or_without_flow(
    make_job, source, monkeypatch
):
    pairs, measure = [], flow.measure

    def look(before, now):
        pairs.append((before, now))
        return measure(before, now)

    monkeypatch.setattr(flow, "measure", look)
    done(make_job(source))
    scenes = two_scenes(3, 2)
    wanted = [(0, 1), (1, 2), (3, 4)]
    for (before, now), (first, second) in zip(pairs, wanted, strict=True):
        np.testing.assert_array_equal(before, scenes[first])
        np.testing.assert_array_equal(now, scenes[second])
    pairs.clear()
    done(make_job(source, flow=False))
    assert pairs == []


@pytest.mark.parametrize("model", ["stub", "builtin"])
def test_frames_are_painted_as_many_at_once_as_there_is_room_for(
    make_job, source, stub_model, model, taken, monkeypatch
):
    name = str(stub_model) if model == "stub" else model
    job = make_job(source, hub=HubConfig(model=name, style_size=64))
    loaded, batches, paint = hub.load_model(name), [], hub.stylize_batch
    together = list(done_frames(job, taken))

    def look(contents, *arguments, **more):
        batches.append(len(contents))
        return paint(contents, *arguments, **more)

    monkeypatch.setattr(hub, "stylize_batch", look)
    monkeypatch.setattr(type(loaded), "batch_pixels", 2 * SIZE[0] * SIZE[1])
    again = list(done_frames(job, taken))
    assert batches == [2, 1, 2]
    off = np.abs(np.float32(again) - np.float32(together))
    assert off.max() <= 12 and off.mean() < 0.5


def done_frames(job, taken):
    """Does a job anew and returns the frames that were taken."""
    taken.clear()
    manifest.path_of(job.output).unlink(missing_ok=True)
    Path(job.output).unlink(missing_ok=True)
    done(job)
    return taken


def region(path, columns):
    """Writes a mask of some columns; returns its path."""
    mask = np.zeros((1, *SIZE, 3), np.float32)
    mask[:, :, columns] = 1
    images.save_image(path, mask)
    return str(path)


def test_a_mask_leaves_the_pixels_between_keyframes(make_job, taken, tmp_path):
    shown = films.pan(5, *SIZE, (0, 3))
    films.write(tmp_path / "pan.mkv", shown)
    mask = region(tmp_path / "mask.png", np.s_[:30])
    done(keyed(make_job, tmp_path / "pan.mkv", masks=(mask,)))
    for painted, frame in zip(taken, shown, strict=True):
        np.testing.assert_array_equal(painted[:, 30:], frame[:, 30:])
        assert np.abs(painted[:, :30].astype(int) - frame[:, :30]).mean() > 2


def jumping(count):
    """Frames of a still scene, of which a third changes all the time."""
    (still,) = films.pan(1, *SIZE)
    frames = [still.copy() for _ in range(count)]
    for seed, frame in enumerate(frames):
        frame[:, -20:] = films.scene(SIZE[0], 20, seed=seed + 5)
    return frames


def test_each_style_fills_its_own_region_between_keyframes(
    make_job, style_path, taken, tmp_path
):
    films.write(tmp_path / "jump.mkv", jumping(5))
    red, blue = (tmp_path / f"{name}.png" for name in ("red", "blue"))
    for path, channel in ((red, 0), (blue, 2)):
        tint = np.full((1, 64, 64, 3), 0.1, np.float32)
        tint[..., channel] = images.load_image(style_path)[:, :64, :64, 0]
        images.save_image(path, tint)
    masks = tuple(
        region(tmp_path / f"{name}_mask.png", columns)
        for name, columns in (("left", np.s_[:54]), ("right", np.s_[54:]))
    )
    job = keyed(make_job, tmp_path / "jump.mkv", masks=masks)
    job = dataclasses.replace(job, styles=(str(red), str(blue)))
    done(job)
    # Columns 44 to 64 are new in each frame: half of them red, half of them blue.
    for image in np.asarray(taken)[1:-1].astype(int):
        left, right = image[:, 45:52].mean((0, 1)), image[:, 56:].mean((0, 1))
        assert left[0] - left[2] > right[0] - right[2] + 40


@pytest.mark.parametrize("colours", ["luminance", "covariance"])
def test_preserved_colours_are_the_films_between_keyframes(
    make_job, taken, tmp_path, colours
):
    shown = jumping(5)
    films.write(tmp_path / "jump.mkv", shown)
    config = dataclasses.replace(SLOW, steps=5, preserve_color=colours)
    job = make_job(tmp_path / "jump.mkv", mode="gatys", gatys=config, keyframes=4)
    done(job)
    for painted, frame in zip(taken, shown, strict=True):
        means = [image.mean((0, 1), np.float64) for image in (painted, frame)]
        apart = [mean - mean.mean() for mean in means]
        assert np.abs(apart[0] - apart[1]).max() < 4


def test_keyframes_of_a_gif_make_a_gif_in_time(make_job, tmp_path):
    from PIL import Image

    stills = [Image.fromarray(frame) for frame in films.pan(5, *SIZE, (0, 2))]
    path, times = tmp_path / "walk.gif", [50, 80, 70, 40, 60]
    stills[0].save(
        path, save_all=True, append_images=stills[1:], duration=times, loop=2
    )
    job = keyed(make_job, path, output=str(tmp_path / "out.gif"))
    done(job)
    _, found = films.read(tmp_path / "out.gif")
    assert found == [0, *(Fraction(ms, 1000) for ms in np.cumsum(times[:-1]).tolist())]
    with Image.open(tmp_path / "out.gif") as image:
        assert image.info["loop"] == 2


def test_the_painting_is_encoded_once_for_what_is_filled(
    make_job, tmp_path, monkeypatch
):
    calls, encode = [], hub.encode

    def look(*arguments, **more):
        calls.append(arguments)
        return encode(*arguments, **more)

    monkeypatch.setattr(hub, "encode", look)
    films.write(tmp_path / "jump.mkv", jumping(9))
    done(keyed(make_job, tmp_path / "jump.mkv"))
    assert len(calls) == 1


def test_keyframes_do_nothing_to_the_fast_method(make_job, source, taken):
    done(make_job(source))
    plain = list(taken)
    taken.clear()
    job = make_job(source, keyframes=2)
    Path(job.output).unlink()
    manifest.path_of(job.output).unlink()
    done(job)
    np.testing.assert_array_equal(np.asarray(taken), np.asarray(plain))
