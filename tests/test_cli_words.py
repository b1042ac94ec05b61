"""What may be typed, and what is said about it."""

import re

import pytest
from absl import flags
from absl.testing import flagsaver

import tf_style
from tf_style.cli import flags as cli_flags
from tf_style.cli import help as cli_help
from tf_style.cli import main


@pytest.fixture
def job():
    """Returns the job that a command line describes."""

    def make(*arguments):
        with flagsaver.flagsaver():
            _, *rest = flags.FLAGS(["tf_style", *arguments])
            return cli_flags.make_job(rest)

    return make


@pytest.fixture
def program(capsys):
    """Runs the program to its exit; gives the status, and what it said."""

    def run(*arguments):
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as end:
            main.run(main.parse(["tf-style", *arguments]))
        return end.value.code or 0, *capsys.readouterr()

    return run


def test_two_arguments_are_photo_and_painting(job):
    flagged = job("--content=photo.jpg", "--style=painting.jpg")
    assert job("photo.jpg", "painting.jpg") == flagged
    assert job("photo.jpg", "--style=painting.jpg") == flagged


def test_third_argument_is_the_output(job):
    flagged = job("--content=a.jpg", "--style=b.jpg,c.jpg", "--output=out.png")
    assert job("a.jpg", "b.jpg,c.jpg", "out.png") == flagged


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["a.jpg", "--content=b.jpg"], "content is given twice, as 'a.jpg' and as --c"),
        (["a.jpg"], "--style is missing: give a file, folder, glob or URL, as in tf-s"),
        (["1", "2", "3", "4"], "4 arguments, from '1' to '4'; give at most a photo"),
        (
            ["a", "--from_manifest=b.json"],
            "'a' cannot be combined with --from_manifest",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(job, arguments, words):
    with pytest.raises(tf_style.Error, match=re.escape(words)):
        job(*arguments)


@pytest.mark.parametrize(
    "typed, name, value",
    [
        ("--mode=Compare", "mode", "compare"),
        ("--max_side=1e3", "max_side", 1000),
        ("--max_side= 640 ", "max_side", 640),
        ("--noflow", "flow", False),
    ],
)
def test_what_is_typed_is_read_in_the_plainest_way(job, typed, name, value):
    assert getattr(job("a", "b", typed), name) == value


def test_percents_are_numbers(job):
    assert job("a", "b", "--strength=70%").hub.strength == 0.7


@pytest.mark.parametrize(
    "typed, words",
    [
        ("--max_side=large", "it must be a whole number"),
        ("--max_side=0.5", "it must be a whole number"),
        ("--strength=half", "it must be a number"),
        ("--mode=hubb", "one of <hub|neighbors|gatys|compare>"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(program, typed, words):
    status, out, err = program("a.jpg", "b.jpg", typed)
    assert (status, out) == (1, "")
    assert re.fullmatch(rf"tf_style: flag {typed}.*{re.escape(words)}.*\n", err)


def test_nothing_typed_shows_examples(program):
    status, out, err = program()
    assert (status, out) == (1, "")
    examples = re.findall(r"^    tf-style (.+)$", err, re.M)
    assert len(examples) == 3
    for example in examples:
        with flagsaver.flagsaver():
            _, *rest = flags.FLAGS(["tf_style", *example.split()])
            assert cli_flags.make_job(rest).styles


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_every_flag_once(program, flag):
    status, out, err = program(flag)
    assert (status, err) == (0, "")
    shown = re.findall(r"^  --(?:\[no\])?(\w+) ", out, re.M)
    assert sorted(shown) == sorted(
        one.name for one in cli_flags.ours() if one.name != "engine"
    )
    assert all(len(line) <= 88 for line in out.splitlines())
    assert out.startswith(cli_help.USAGE)


def test_version_is_the_packages(program):
    assert program("--version") == (0, f"tf_style {tf_style.__version__}\n", "")


def test_what_follows_two_dashes_is_no_flag():
    with flagsaver.flagsaver():
        assert main.parse(["tf_style", "--no-flow", "--", "--style-size", "-v"]) == [
            "tf_style",
            "--style-size",
            "-v",
        ]
