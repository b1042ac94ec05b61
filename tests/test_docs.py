"""The docs: their commands parse, their Python runs, their links and pictures exist."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

import tf_style
from tf_style.cli import export
from tf_style.cli import flags as cli_flags
from tf_style.jobs import sweep

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
LINKED = [
    *PAGES,
    *sorted(ROOT.glob("*.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "training" / "README.md",
    ROOT / "tf_style" / "fast" / "builtin" / "MODEL_CARD.md",
]
# The program's flags; absl has others of its own.
OURS = [flag.name for flag in cli_flags.ours()]


@pytest.fixture(scope="module")
def script():
    return _load("make_pictures")


@pytest.fixture(scope="module")
def reference():
    return _load("make_reference")


def _load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
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


def test_readme_is_short_and_has_the_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) <= 120
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    commands = re.findall(r'(?m)^as_the_readme_says "(.*)"$', script)
    assert len(commands) == 2
    for command in commands:
        assert f"\n    {command}" in readme


@pytest.mark.slow
def test_readme_in_python_runs(builtin_at_hand, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    text = (ROOT / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    quick = block.replace("max_side=512", "max_side=64")
    quick = quick.replace('"neighbors"', '"neighbors", backbone="builtin", steps=2')
    exec(compile(quick, "README.md", "exec"), {})
    assert (tmp_path / "out.png").is_file()


def test_there_are_pages():
    names = {page.name for page in PAGES}
    assert names >= {"guide.md", "python.md", "recipes.md", "troubleshooting.md"}


@pytest.mark.parametrize("name", OURS)
def test_guide_names_every_flag(name):
    guide = (DOCS / "guide.md").read_text("utf-8")
    assert re.search(rf"--{name}\b|### .*\b{name}\b", guide)


def test_reference_is_what_the_code_says(reference):
    again = "python docs/make_reference.py brings it up to date"
    guide, api = (DOCS / name for name in ("guide.md", "api.md"))
    assert guide.read_text("utf-8") == reference.with_flags(guide.read_text("utf-8")), (
        again
    )
    assert api.read_text("utf-8") == reference.api(), again


def test_the_projects_address_is_that_of_setup_cfg_everywhere(reference):
    for path in reference.named_in():
        text = path.read_text("utf-8")
        assert reference.ADDRESS.search(text), path
        assert reference.with_address(text) == text, path
    moved = "https://github.com/me/tf_style, google.com/github/me/tf_style/blob/x"
    assert "/me/" not in reference.with_address(moved)


def test_api_page_has_every_public_name():
    page = (DOCS / "api.md").read_text("utf-8")
    for name in tf_style.__all__:
        assert re.search(rf"(?m)^##+ (ts|tf_style)\.{name}$", page), name


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


@pytest.mark.parametrize("page", LINKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_of_a_page_resolve(page):
    for link in _links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
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
