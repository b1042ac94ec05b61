"""The house: folders tell the story, and imports point down."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tf_style

PACKAGE = Path(tf_style.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the top; a module may import what is of its own folder, or of lower rows.
ROWS = (
    ("__main__", "cli", "app"),
    ("jobs",),
    ("compare", "video"),
    # It names the modules of methods as text.
    ("optimization", "methods"),
    ("fast",),
    ("color",),
    ("networks", "images"),
    ("config",),
    ("system", "__init__"),
)
DEPTH = {name: depth for depth, row in enumerate(ROWS) for name in row}
# Where packages may be known that not all of us need.
KEPT_TO = {
    "absl": {"__main__", "cli"},
    "av": {"video"},
    "cv2": {"video"},
    "fastapi": {"app"},
    "keras": {"networks", "fast"},
    "matplotlib": {"compare"},
    "PIL": {"app", "images", "video"},
    "pydantic": {"app"},
    "ray": {"jobs/executors"},
    "starlette": {"app"},
    "tensorflow": {"fast", "images", "jobs", "networks", "optimization", "system"},
    "tensorflow_hub": {"fast"},
    "tqdm": {"cli"},
    "uvicorn": {"app"},
}


def _place(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imported(source):
    """Lists what source code imports, in functions too, as dotted names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    here = _place(path)
    if here == "__init__":
        return  # It names what is public, for type checkers, and imports nothing.
    for name in _imported(path.read_text("utf-8")):
        root, *rest = name.split(".")
        if root == "tf_style":
            there = rest[0] if rest and rest[0] in DEPTH else "__init__"
            beside = here == "__main__" or there == here
            assert beside or DEPTH[there] > DEPTH[here], name
        else:
            at = path.relative_to(PACKAGE).as_posix()
            assert at.startswith(tuple(KEPT_TO.get(root, {here}))), name


def test_every_folder_has_its_row_and_loose_modules_are_few_and_short():
    assert {_place(path) for path in MODULES} == set(DEPTH)
    assert len(ROWS) <= 9
    loose = sorted(PACKAGE.glob("*.py"))
    assert len(loose) <= 6
    for path in loose:  # config.py holds the explanations of all settings too.
        limit = 420 if path.name == "config.py" else 300
        assert len(path.read_text("utf-8").splitlines()) <= limit, path


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_what_a_mode_does_stands_with_the_modes(path):
    if path.parent.name != "modes":
        found = re.findall(r"(\w+)\.mode [!=]= ", path.read_text("utf-8"))
        assert not {*found} - {"image"}  # Pillow's images have modes too.


@pytest.mark.parametrize("module", ["tf_style", "tf_style.config", "tf_style.cli"])
def test_importing_it_imports_nothing_heavy(module):
    code = (
        f"import sys; before = {{*sys.modules}}; import {module}; "
        "print(*{name.partition('.')[0] for name in {*sys.modules} - before})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    found = {*done.stdout.split()}
    assert not found & {"tensorflow", "numpy", "PIL", "keras", "matplotlib"}
    assert module == "tf_style.cli" or "absl" not in found
