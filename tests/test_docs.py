"""The docs: their commands parse, their Python runs, their links and pictures exist."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from tf_style.cli import export
from tf_style.cli import flags as cli_flags
from tf_style.jobs import sweep

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
# The program's flags; absl has others of its own.
OURS = [flag.name for flag in cli_flags.ours()]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "make_pictures", DOCS / "make_pictures.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _each_page():
    return pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def _links(page):
    return re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))


def _anchors(page):
    """Returns the names that GitHub gives the headings of a page."""
    # Comments in code are no headings.
    text = re.sub(r"(?s)```.*?```", "", page.read_text("utf-8"))
    headings = [heading.lower() for heading in re.findall(r"(?m)^#+ (.*)$", text)]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def _commands():
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", "")
        for line in re.findall(r"(?m)^ *(python -m tf_style .*)$", text):
            yield pytest.param(line, id=f"{page.stem}: {line[19:79]}")


def test_there_are_pages():
    names = {page.name for page in PAGES}
    assert names >= {"guide.md", "python.md", "recipes.md", "troubleshooting.md"}


@pytest.mark.parametrize("name", OURS)
def test_guide_names_every_flag(name):
    guide = (DOCS / "guide.md").read_text("utf-8")
    assert re.search(rf"--{name}\b|### .*\b{name}\b", guide)


@_each_page()
def test_flags_of_a_page_exist(page):
    # Ray's own command has flags of its own.
    text = re.sub(r"(?m)^ *ray .*$", "", page.read_text("utf-8"))
    named = re.findall(r"(?<![\w-])--(\w+)", text)
    negated = {f"no{name}" for name in OURS if flags.FLAGS[name].boolean}
    of_serve = {"host", "port"}
    others = {*export.FLAGS, *of_serve, "flagfile", "help"}
    assert set(named) <= {*OURS, *negated, *others}


@pytest.mark.parametrize("command", list(_commands()))
def test_command_is_a_valid_job(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    _, _, program, *arguments = shlex.split(command)
    if "..." in arguments:
        arguments[arguments.index("...")] = "--content=photo.jpg"
        arguments.append("--style=painting.jpg")
    with flagsaver.flagsaver():
        assert flags.FLAGS([program, *arguments])[1:] == []
        job = cli_flags.make_job()
    assert sweep.variations(job)
    for name in (*job.contents, *job.styles, *job.masks):
        if name.startswith(("docs/", "examples/")) and "*" not in name:
            assert (ROOT / name).is_file()


@_each_page()
def test_links_of_a_page_resolve(page):
    for link in _links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = DOCS / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_pictures_are_those_that_the_script_makes(script):
    made = {f"pictures/{name}" for name in script.DRAWN}
    for commands, links in script.blocks():
        assert all(command.startswith("python -m tf_style ") for command in commands)
        assert not made & {*links}, "made twice"
        made |= {*links}
    shown = {link for page in PAGES for link in _links(page)}
    pictures = {link for link in shown if re.search(r"\.(jpg|png|gif)$", link)}
    # This one needs Magenta's model.
    assert made == pictures - {"gallery_magenta.jpg"}
    there = {f"pictures/{path.name}" for path in (DOCS / "pictures").iterdir()}
    assert there == made - {"gallery_builtin.jpg", "gallery_neighbors.jpg"}


def test_pictures_are_small():
    sizes = {p.name: p.stat().st_size for p in (DOCS / "pictures").iterdir()}
    assert max(sizes.values()) < 175_000
    assert sum(sizes.values()) < 2_800_000


def test_python_page_runs(builtin_at_hand, tmp_path, monkeypatch):
    pytest.importorskip("cv2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    text = (DOCS / "python.md").read_text("utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(block, "docs/python.md", "exec"), names)
    assert (tmp_path / "again.png").is_file()
