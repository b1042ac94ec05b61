"""Odd inputs: each ends in a picture or in one line that is true.

By itself this runs a sample. `pytest -n 0 -s -m "slow or not slow"` runs all, in half a
minute, and shows what came of each in a table.
"""

import collections
import importlib.util
import re
import signal

import odd_inputs
import pytest
from absl.testing import flagsaver

from tf_style.cli import main

FAST = "--model=builtin", "--max_side=48"
SLOW = "--mode=gatys", "--backbone=builtin", "--steps=1", "--max_side=24"
SLOW += "--content_layers=block1_conv2", "--style_layers=block1_conv1", "--scales=1"


# One of so many is tried by itself.
EVERY = 12
# What was tried, and what came of it.
ROWS = []


@pytest.fixture(scope="module", autouse=True)
def _table():
    """Prints what came of each input, and the sums."""
    yield
    for place, name, outcome, told in ROWS:
        print(f"\n{place:<7} {name[:24]!r:<27} {outcome:<8} {told[:100]}", end="")
    kinds = collections.Counter(outcome for _, _, outcome, _ in ROWS)
    print(f"\n{len(ROWS)} inputs: {', '.join(f'{n} {k}' for k, n in kinds.items())}")


@pytest.fixture
def paint(capfd, monkeypatch, tmp_path):
    """Runs the program in a folder of its own; gives status, lines and pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    signals = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    odd_inputs.save("PNG")(tmp_path / "s.png")

    def run(*arguments):
        before = {*tmp_path.rglob("*")}
        capfd.readouterr()
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as end:
            main.run(main.parse(["tf_style", *arguments]))
        made = [p for p in {*tmp_path.rglob("*")} - before if p.suffix != ".json"]
        made = [p for p in made if p.is_file() and "contact" not in p.name]
        return end.value.code or 0, capfd.readouterr().err, made

    yield run
    for number, handler in signals.items():
        signal.signal(number, handler)


def check(place, name, result, status, pictures, says, notes=""):
    """Holds what a run did to what is right, and notes it in the table."""
    was, err, made = result
    lines = [line for line in err.splitlines() if line.startswith("tf_style: ")]
    right = (was, len(made)) == (status, pictures)
    outcome = ("named" if was else "painted") if right else "WRONG"
    told = lines[0].removeprefix("tf_style: ") if lines else ""
    ROWS.append((place, name, outcome, told))
    assert "Traceback" not in err
    assert (was, len(made)) == (status, pictures), err
    told = [line for line in lines if re.search(says or notes or "$^", line)]
    assert len(told) == bool(says or notes), err
    others = {*lines} - {*told}
    if status:  # and how many there are, or failed
        assert all(re.search(r"\d+ (written|failed|kept)", line) for line in others)
    else:
        assert not others, err


def skip_without(packages):
    for name in packages:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"no {name}")


def _each(values):
    """All, of which all but each eighth are slow."""
    marks = [[pytest.mark.slow] if i % EVERY else [] for i in range(len(values))]
    names = [re.sub(r"\W+", "_", value.name[:30], flags=re.A) for value in values]
    return [
        pytest.param(value, id=f"{i}-{name}", marks=mark)
        for i, (value, name, mark) in enumerate(zip(values, names, marks))
    ]


@pytest.mark.parametrize("file", _each(odd_inputs.FILES))
@pytest.mark.parametrize("place", ["alone", "folder", "slow"])
def test_a_file_is_painted_or_named(paint, tmp_path, file, place):
    skip_without(file.needs)
    folder = tmp_path / "photos"
    folder.mkdir()
    file.write(folder / file.name)
    if place == "folder":
        odd_inputs.save("JPEG")(folder / "sound.jpg")
        result = paint("photos", "s.png", "out/", *FAST)
        status = 2 if file.says else 0
        check(
            place, file.name, result, status, 2 - bool(file.says), file.says, file.notes
        )
    else:
        mode = SLOW if place == "slow" else FAST
        result = paint(f"photos/{file.name}", "s.png", "out/", *mode)
        painted = not file.says
        check(
            place, file.name, result, 1 - painted, int(painted), file.says, file.notes
        )
    if file.film:
        assert all(
            p.suffix in (".gif", ".mp4") for p in result[2] if "sound" not in p.name
        )


@pytest.mark.parametrize("habit", _each(odd_inputs.HABITS))
def test_a_habit_is_understood_or_answered(paint, habit):
    typed = habit.typed()
    result = paint(*typed, *FAST)
    check("typed", habit.name, result, habit.status, habit.pictures, habit.says)
