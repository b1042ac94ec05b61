"""What the console is told of a job, on made-up events and a made-up clock."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tf_style import display, gatys, run


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
        f"a_b.png (2 of 3): step 10 of 100, {numbers}, about 90 s left",
        f"a_b.png (2 of 3): step 20 of 100, {numbers}, about 80 s left",
    ]


def test_the_time_left_follows_from_the_steps_after_the_first(clock, capsys):
    shown = display.Display(quiet=False)
    shown.show(ONLY)
    clock.now += 40  # loading and compiling, which do not come again
    shown.show(step(0))
    clock.now += 30
    shown.show(step(20))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("out.png: step 0 of 100") and "left" not in first
    assert second.startswith("out.png: step 20 of 100")
    assert second.endswith("about 120 s left")


def test_single_passes_name_the_picture_at_most_every_ten_seconds(clock, capsys):
    shown = display.Display(quiet=False)
    for index, seconds in enumerate([4, 4, 4, 4]):
        clock.now += seconds
        shown.show(FAST._replace(index=index, count=4))
    assert capsys.readouterr().err == "a_b.png (3 of 4)\n"


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


def test_on_a_terminal_a_bar_shows_steps_and_losses(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = display.Display(quiet=False)
    shown.show(SLOW)
    shown.show(step(0))
    shown.show(step(40))
    shown.show(run.Written(Path("a.png"), 1.0))
    shown.close()
    output = capsys.readouterr()
    assert output.out == "wrote a.png (1.0 s)\n"
    assert "a_b.png (2 of 3)" in output.err
    assert "0/100" in output.err
    assert output.err.endswith("\r")  # the line is free again


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
    shown.show(run.Kept(Path("a.png")))
    assert capsys.readouterr().out == "kept a.png\n"
    assert (shown.written, shown.failed) == (0, 0)
