"""What the console is told of a job, on made-up events and a made-up clock."""

import functools
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tf_style.cli import display
from tf_style.jobs import run
from tf_style.jobs.progress import JobLeft
from tf_style.optimization import gatys


@pytest.fixture
def clock(monkeypatch):
    """The time that the display sees, as `clock.now`, in seconds."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def step(index, note=""):
    """A step of 100 that all take as long."""
    losses = {"content": 12.345, "style": 0.5, "tv": 0.0, "total": 12.845}
    return gatys.Step(
        index=index,
        size=(37, 50),
        losses=losses,
        image=None,
        best=None,
        best_losses=losses,
        note=note,
        state=None,
        enlarge=None,
        progress=index / 100,
    )


SLOW = run.Started(index=1, count=3, name="a_b.png", steps=100)
ONLY = run.Started(index=0, count=1, name="out.png", steps=100)
FAST = run.Started(index=0, count=2, name="a_b.png", steps=0)


def test_off_a_terminal_a_line_is_printed_every_ten_seconds(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(SLOW)
    for index in range(26):
        shown.show(step(index))
        clock.now += 1
    output = capsys.readouterr()
    assert output.out == ""
    numbers = "content 12.3, style 0.5, total 12.8"
    assert output.err.splitlines() == [
        "tf_style: a_b.png (2 of 3) will take about 96 seconds",
        f"a_b.png (2 of 3): step 10 of 100, {numbers}, about 90 s left, "
        "about 3 minutes left in all",
        f"a_b.png (2 of 3): step 20 of 100, {numbers}, about 80 s left, "
        "about 3 minutes left in all",
    ]


def test_the_time_left_follows_from_the_steps_after_the_first(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(ONLY)
    clock.now += 40  # loading and compiling, which do not come again
    shown.show(step(0))
    clock.now += 30
    shown.show(step(20))
    first, told, second = capsys.readouterr().err.splitlines()
    assert first.startswith("out.png: step 0 of 100") and "left" not in first
    assert told == "tf_style: out.png will take about 2 minutes"
    assert second.startswith("out.png: step 20 of 100")
    assert second.endswith("about 2 minutes left")


def test_single_passes_name_the_picture_at_most_every_ten_seconds(clock, capsys):
    shown = display.Display(quiet=False)
    for index, seconds in enumerate([4, 4, 4, 4]):
        clock.now += seconds
        shown.show(FAST._replace(index=index, count=4))
    # The first may have waited for its model.
    assert capsys.readouterr().err == "a_b.png (3 of 4), about 8 s left in all\n"


def test_notes_are_told_at_once(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(ONLY)
    shown.show(step(3, note="went back"))
    assert capsys.readouterr().err == "tf_style: went back\n"


def test_written_pictures_are_told_with_the_seconds_of_paintings(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(run.Written(Path("a.png"), 1.26))
    shown.show(run.Written(Path("contact_sheet.png"), None))
    output = capsys.readouterr()
    assert output.out == "wrote a.png (1.3 s)\nwrote contact_sheet.png\n"
    assert output.err == ""
    assert (shown.written, shown.failed) == (1, 0)


def test_failures_are_told_on_stderr_and_summed_up(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(run.Written(Path("a.png"), 1.0))
    shown.show(run.Failed("b.jpg is empty (0 bytes)"))
    shown.show(run.Failed("c.jpg does not exist"))
    shown.sum_up()
    assert capsys.readouterr().err.splitlines() == [
        "tf_style: b.jpg is empty (0 bytes)",
        "tf_style: c.jpg does not exist",
        "tf_style: 1 written, 2 failed",
    ]
    assert (shown.written, shown.failed) == (1, 2)


@pytest.mark.parametrize(
    "event", [run.Written(Path("a.png"), 1.0), run.Failed("a.jpg is empty")]
)
def test_there_is_nothing_to_sum_up_where_all_went_one_way(clock, capsys, event):
    shown = display.Display(quiet=False)
    shown.show(event)
    capsys.readouterr()
    shown.sum_up()
    assert capsys.readouterr() == ("", "")


def test_quiet_prints_failures_only(clock, capsys):
    shown = display.Display(quiet=True)
    for event in (SLOW, step(50), FAST, run.Written(Path("a.png"), 1.0)):
        clock.now += 60
        shown.show(event)
    assert capsys.readouterr() == ("", "")
    shown.show(run.Failed("b.jpg is empty"))
    assert capsys.readouterr() == ("", "tf_style: b.jpg is empty\n")
    assert (shown.written, shown.failed) == (1, 1)


def test_a_reader_who_leaves_does_not_end_the_job(clock, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        shown = display.Display(quiet=False)
        for name in "ab":
            shown.show(run.Written(Path(name), 1.0))
    assert shown.written == 2


@pytest.fixture
def prompt_bars(monkeypatch):
    """Bars that show every update at once, not ten in a second."""
    prompt = functools.partial(display.tqdm, mininterval=0, miniters=0)
    monkeypatch.setattr(display, "tqdm", prompt)


@pytest.mark.usefixtures("prompt_bars")
def test_on_a_terminal_a_bar_shows_steps_and_losses(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = display.Display(quiet=False)
    shown.show(ONLY)
    shown.show(step(0))
    clock.now += 40
    shown.show(step(40))
    shown.show(run.Written(Path("a.png"), 1.0))
    shown.close()
    output = capsys.readouterr()
    assert output.out == "wrote a.png (1.0 s)\n"
    assert "out.png: 0/100 |" in output.err
    assert "loss 12.8, about 60 s left" in output.err
    # The line is free again, of what was typed there too.
    assert output.err.endswith("\r\033[K")


@pytest.mark.usefixtures("prompt_bars")
def test_on_a_terminal_several_pictures_have_one_bar_and_one_sum(
    clock, capsys, monkeypatch
):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = display.Display(quiet=False)
    for index in range(40):
        if index == 9:
            shown.show(run.Skipped(Path("out/kept.png")))
            continue
        shown.show(FAST._replace(index=index, count=40))
        clock.now += 100 if index == 0 else 2  # It loads the model.
        if index == 7:
            shown.show(run.Failed("b.jpg is empty (0 bytes)"))
            continue
        shown.show(run.Written(Path("out/a.png"), 1.0))
    shown.close()
    shown.sum_up()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("tf_style: b.jpg is empty (0 bytes)\n") == 1
    end = "tf_style: 38 written to out, 1 kept, 1 failed, in 3 minutes\n"
    assert err.endswith(end)
    assert "a_b.png (40 of 40): |" in err
    assert "1 failed, about 2 s left in all" in err
    assert "wrote" not in err and "kept out" not in err


@pytest.mark.parametrize(
    "count, out, err",
    [(1, "kept a0.png\n", ""), (3, "", "tf_style: 3 kept, in 0.0 seconds\n")],
)
def test_on_a_terminal_what_was_there_is_told_in_one_line(
    clock, capsys, monkeypatch, count, out, err
):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = display.Display(quiet=False)
    for index in range(count):
        shown.show(run.Skipped(Path(f"a{index}.png")))
    shown.close()
    shown.sum_up()
    assert capsys.readouterr() == (out, err)


def test_the_time_left_of_all_pictures_counts_no_loading_and_nothing_kept():
    left = JobLeft()
    left.start(0, 10)
    assert left.update(0.0, 0.0) is None
    left.start(1, 10)
    assert left.update(0.0, 50.0) is None
    left.start(6, 10)  # Four were there already.
    assert left.update(0.0, 53.0) == 3.0 * 4
    assert left.update(0.5, 54.5) == 3.0 * 3.5


def test_the_first_of_several_slow_pictures_tells_of_all():
    left = JobLeft()
    left.start(0, 3)
    assert left.update(0.0, 30.0) is None  # It was compiled until now.
    assert left.update(0.25, 40.0) == pytest.approx(110.0)


@pytest.mark.parametrize(
    "seconds, told",
    [
        (0.2, None),  # 19 s in all
        (1.0, "about 96 seconds, and 2.5 GiB of memory"),
        (10.0, "about 16 minutes, and 2.5 GiB of memory"),
        (100.0, "about 3 hours, and 2.5 GiB of memory"),
    ],
)
def test_a_long_run_is_told_once_how_long_and_how_large(clock, capsys, seconds, told):
    shown = display.Display(quiet=False)
    shown.show(ONLY._replace(memory=2.5 * 2**30))
    for index in range(9):
        shown.show(step(index))
        clock.now += seconds
    lines = capsys.readouterr().err.splitlines()
    forecasts = [line for line in lines if "will take" in line]
    expected = [f"tf_style: out.png will take {told}"] if told else []
    assert forecasts == expected


def test_a_run_with_a_time_budget_counts_steps_without_end(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(ONLY._replace(steps=None))
    for index in range(12):
        shown.show(step(index))
        clock.now += 1
    assert "out.png: step 10, content" in capsys.readouterr().err


def test_a_picture_that_was_there_is_told_and_not_counted(capsys):
    shown = display.Display(quiet=False)
    shown.show(run.Skipped(Path("a.png")))
    assert capsys.readouterr().out == "kept a.png\n"
    assert (shown.written, shown.failed) == (0, 0)


FILM = run.Started(index=1, count=3, name="a_b.mp4", steps=100, film=True)


def test_frames_of_a_film_are_counted_and_its_steps_are_not(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(FILM)
    for _ in range(12):
        shown.show(step(0))
        clock.now += 1
        shown.show(run.Framed())
    first, second = capsys.readouterr().err.splitlines()
    assert first == "tf_style: a_b.mp4 (2 of 3) will take about 94 seconds"
    start = "a_b.mp4 (2 of 3): frame 10 of 100, about 90 s left, about 3 minutes left"
    assert second == f"{start} in all"


def test_of_frames_that_come_at_once_the_forecast_waits_for_several_lots(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(FILM)
    clock.now += 8  # loading and compiling
    for _ in range(3):
        for _ in range(6):
            shown.show(run.Framed())
        clock.now += 3
    line, forecast = capsys.readouterr().err.splitlines()
    assert line.startswith("a_b.mp4 (2 of 3): frame 7 of 100, about 46 s left")
    # It waits for a third batch, whose first frame is after 12 more in 6 seconds.
    assert forecast == "tf_style: a_b.mp4 (2 of 3) will take about 43 seconds"


def test_a_film_of_unknown_length_counts_its_frames(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(FILM._replace(steps=None))
    for _ in range(12):
        clock.now += 1
        shown.show(run.Framed())
    (line,) = capsys.readouterr().err.splitlines()
    # Nothing is said of the time left, and nothing stands where it would.
    assert line == "a_b.mp4 (2 of 3): frame 10"


def test_each_film_counts_from_its_first_frame(clock, capsys):
    shown = display.Display(quiet=False)
    for index in range(2):
        shown.show(FILM._replace(index=index))
        for _ in range(3):
            shown.show(run.Framed())
        clock.now += 20
        shown.show(run.Framed())
    lines = capsys.readouterr().err.splitlines()
    frames = [line.split(",")[0] for line in lines if ": frame" in line]
    assert frames == [
        "a_b.mp4 (1 of 3): frame 4 of 100",
        "a_b.mp4 (2 of 3): frame 4 of 100",
    ]


@pytest.mark.usefixtures("prompt_bars")
@pytest.mark.parametrize("steps, of", [(100, "2/100"), (None, "2/?")])
def test_on_a_terminal_the_bar_of_a_film_counts_frames(
    clock, capsys, monkeypatch, steps, of
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = display.Display(quiet=False)
    shown.show(FILM._replace(index=0, count=1, steps=steps))
    for _ in range(2):
        shown.show(step(3))
        shown.show(run.Framed())
    shown.close()
    assert of in capsys.readouterr().err


def test_quiet_says_nothing_of_frames(clock, capsys):
    shown = display.Display(quiet=True)
    for event in (FILM, run.Framed(), step(1), run.Framed()):
        clock.now += 60
        shown.show(event)
    assert capsys.readouterr() == ("", "")
