"""The notebooks run from top to bottom without a network, and show what they say."""

import ast
import configparser
import functools
import importlib.util
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tf_style import images

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
NAMES = ("quickstart", "how_it_works", "slow_versus_fast", "comment_ca_marche")
# Its code is that of how_it_works, so that it runs with the slow tests only.
HURRIED = {"SIDE": "SIDE = 96", "STEPS": "STEPS = 10"}


def code_cells(name):
    """Returns the code cells of a notebook in the repository, by their ids."""
    path = ROOT / "notebooks" / f"{name}.ipynb"
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return {cell["id"]: cell for cell in cells if cell["cell_type"] == "code"}


def source(name, cell):
    return "".join(code_cells(name)[cell]["source"])


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Runs a notebook in a copy of the clone, once; returns it and its folder.

    Unless told otherwise it gets smaller pictures and fewer steps than it stands there
    with.
    """
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    clone = tmp_path_factory.mktemp("clone")
    for part in ("notebooks", "examples"):
        shutil.copytree(ROOT / part, clone / part)
    shutil.copy(ROOT / "setup.cfg", clone)
    (clone / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}"

    @functools.cache
    def execute(name, hurried):
        folder = clone / "notebooks"
        text = (folder / f"{name}.ipynb").read_text("utf-8")
        if hurried:
            for setting, value in HURRIED.items():
                text, count = re.subn(rf'(?<="){setting} = \d+', value, text)
                assert count == 1
        book = nbformat.reads(text, as_version=4)
        place = {"metadata": {"path": str(folder)}}
        with pytest.MonkeyPatch.context() as patch:
            for variable in ("TFHUB_CACHE_DIR", "KERAS_HOME", "TF_STYLE_CACHE"):
                patch.setenv(variable, str(clone / "empty" / variable))
            # Nobody answers there, so that nothing is downloaded.
            for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
                patch.setenv(variable, dead)
            for variable in ("NO_PROXY", "no_proxy", "MPLBACKEND"):
                patch.delenv(variable, raising=False)
            # The user's own kernels and start-up files must not interfere.
            for variable in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
                patch.setenv(variable, str(clone / "empty" / variable))
            patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
            client = nbclient.NotebookClient(
                book, timeout=300, kernel_name="python3", resources=place
            )
            client.execute()  # raises what a cell raises
        return book, folder

    return lambda name, hurried=True: execute(name, hurried)


def outputs(book, kind):
    """Lists what the cells of a notebook show of a kind, a list for each code cell."""
    return [
        [o["data"][kind] for o in cell.outputs if kind in o.get("data", {})]
        for cell in book.cells
        if cell.cell_type == "code"
    ]


def test_every_notebook_is_tested():
    found = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert found == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_stripped_and_compiles(name):
    text = (ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8")
    book = json.loads(text)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    assert set(book["metadata"]) == {"kernelspec", "language_info"}
    for cell_id, cell in code_cells(name).items():
        assert cell["outputs"] == [] and cell["execution_count"] is None, cell_id
        assert cell["metadata"] == {}, cell_id
        compile(source(name, cell_id), f"{name}: {cell_id}", "exec")
    own = re.search(r"(?<!\w)/(home|root|Users|tmp|work|mnt|opt)/|\b[A-Z]:\\\\", text)
    assert own is None, f"a path of one machine: {own}"


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_begin_alike(name):
    first = next(iter(code_cells(name)))
    assert first == "setup"
    assert source(name, first) == source(NAMES[0], first)


@pytest.mark.parametrize(
    "name, hurried",
    [
        (NAMES[0], True),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in NAMES),
    ],
)
def test_notebook_runs_and_every_figure_has_its_caption(executed, name, hurried):
    book, _ = executed(name, hurried)
    captions = [
        re.findall(r'"Figure (\d+)\. \S', cell.source)
        for cell in book.cells
        if cell.cell_type == "code"
    ]
    figures = outputs(book, "image/png")
    assert [len(found) for found in figures] == [len(found) for found in captions]
    numbers = [int(number) for found in captions for number in found]
    assert numbers == list(range(1, len(numbers) + 1)) != []


def test_quickstart_saves_both_pictures(executed):
    _, folder = executed("quickstart")
    fast, slow = (
        images.load_image(folder / f"stylized_{way}.png") for way in ("fast", "slow")
    )
    assert fast.shape == slow.shape == (1, 96, 96, 3)
    assert abs(fast - slow).mean() > 0.02


def test_slow_pictures_come_closer_to_the_style(executed):
    book, _ = executed("slow_versus_fast")
    tables = [text for found in outputs(book, "text/markdown") for text in found]
    (table,) = [text for text in tables if "caught up" in text]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
    ]
    assert len(rows) == 4
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        assert (EXAMPLES / f"{cells['photo']}.jpg").is_file()
        numbers = {key: float(v) for key, v in cells.items() if ": " in key}
        assert len(numbers) == 6
        assert all(math.isfinite(v) and v > 0 for v in numbers.values())
        assert numbers["slow: style"] < numbers["fast: style"]


def test_the_french_edition_differs_in_words_only():
    def skeleton(name, cell):
        tree = ast.parse(source(name, cell))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = ""
        return ast.dump(tree)

    english, french = code_cells("how_it_works"), code_cells("comment_ca_marche")
    assert [*english] == [*french]
    for cell in english:
        assert skeleton("how_it_works", cell) == skeleton("comment_ca_marche", cell)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_setup_says_last_that_it_cannot_clone(tmp_path):
    nowhere = tmp_path / "nowhere"
    setup = source("quickstart", "setup")
    setup = re.sub(r'HOME = ".*"', lambda _: f"HOME = {str(nowhere)!r}", setup)
    done = subprocess.run(
        [sys.executable, "-c", setup],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"Cannot clone {nowhere}; ")


@pytest.fixture
def run_setup(monkeypatch):
    """Runs the first cell where tf_style is not installed; returns its commands."""

    def run(code, folder):
        commands = []

        def note(command, **_):
            commands.append(command)
            if command[0] == "git":
                make_clone(folder / command[-1])
            return SimpleNamespace(returncode=0)

        monkeypatch.chdir(folder)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(subprocess, "run", note)
        exec(code, {})
        return commands

    return run


def make_clone(folder):
    (folder / "examples").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    (folder / "setup.cfg").touch()


def test_setup_installs_the_clone_that_it_lies_in(tmp_path, run_setup):
    make_clone(tmp_path)
    commands = run_setup(source("quickstart", "setup"), tmp_path / "notebooks")
    assert commands == [[sys.executable, "-m", "pip", "install", "-q", tmp_path]]


def test_setup_clones_the_projects_home_where_there_is_no_clone(tmp_path, run_setup):
    git, pip = run_setup(source("quickstart", "setup"), tmp_path)
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    home = setup["metadata"]["url"]
    assert git == ["git", "clone", "--depth=1", home, tmp_path / "clone"]
    assert pip[-1] == tmp_path / "clone"


def test_colab_takes_uploads_and_a_cancelled_one_keeps_the_example():
    answers = iter([{"mine.jpg": b""}, {}])
    files = SimpleNamespace(upload=lambda: next(answers))
    names = {"COLAB": True, "files": files, "EXAMPLES": EXAMPLES}
    exec(source("quickstart", "upload"), names)
    assert names["photo_path"] == "mine.jpg"
    assert names["painting_path"].parent == EXAMPLES
    assert names["painting_path"].is_file()


def test_colab_downloads_what_was_saved(content, style, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    downloaded = []
    files = SimpleNamespace(download=downloaded.append)
    names = {"COLAB": True, "files": files, "images": images}
    exec(source("quickstart", "download"), names | {"fast": content, "slow": style})
    assert downloaded == ["stylized_fast.png", "stylized_slow.png"]
    assert all(Path(name).is_file() for name in downloaded)
