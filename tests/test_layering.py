"""Who may import whom: our modules point down, and what is heavy stays where it is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tf_style

PACKAGE = Path(tf_style.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the top; a module may import those of lower rows only.
ROWS = (
    ("__main__",),
    ("cli",),
    ("display", "app"),
    ("run",),
    ("album", "cluster"),
    ("worker", "runtime"),
    ("local",),
    ("studio",),
    ("inputs",),
    ("animate",),
    ("paint", "forecast", "pipeline"),
    ("compare", "plan"),
    ("trail",),
    ("checkpoint", "timelapse", "sweep"),
    ("reel",),
    ("gatys", "hub", "manifest", "sheet"),
    ("film", "flow"),
    ("tiles", "schedule"),
    ("objective",),
    ("features", "magenta", "color", "masks"),
    ("backbone",),
    ("builtin", "memory"),
    ("images", "losses", "lbfgs", "pieces"),
    ("startup",),
    ("arrays", "decode", "files", "config", "hardware", "events"),
    ("__init__",),
)
DEPTH = {name: depth for depth, row in enumerate(ROWS) for name in row}

# Packages that only some of our modules may know.
KEPT_TO = {
    "absl": {"__main__", "cli"},
    "tqdm": {"display"},
    "matplotlib": {"compare"},
    "tensorflow_hub": {"magenta"},
    "keras": {"gatys", "features", "backbone", "builtin"},
    "tensorflow": {
        "startup",
        "worker",
        "studio",
        "animate",
        "paint",
        "checkpoint",
        "gatys",
        "tiles",
        "objective",
        "magenta",
        "features",
        "backbone",
        "pieces",
        "losses",
        "lbfgs",
        "masks",
        "builtin",
        "hardware",
    },
    "av": {"film", "reel"},
    "cv2": {"flow"},
    "gradio": {"app"},
    "ray": {"runtime"},
    "fastapi": {"app"},
    "uvicorn": {"app"},
    "PIL": {"decode", "images", "sheet", "film", "reel", "app"},
}


def _imported(source, package="tf_style"):
    """Lists what source code imports, in functions too, as dotted names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _faults(name, source, package="tf_style"):
    """Says which imports of a module break the rules.

    Args:
        name: top-level name of the module in our package.
        source: its code.
        package: the package that it is in, from which relative imports start.
    """
    for imported in _imported(source, package):
        root, *rest = imported.split(".")
        if root != "tf_style":
            if name not in KEPT_TO.get(root, {name}):
                yield f"{name} imports {root}"
            continue
        # What is no module is a name of the package's own, such as __version__.
        target = rest[0] if rest and rest[0] in DEPTH else "__init__"
        if target != name and DEPTH[target] <= DEPTH[name]:
            yield f"{name} imports {target}"


def _place(path):
    """Returns the top-level name of a file's module, and the package it is in."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0], ".".join(["tf_style", *parts[:-1]])


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_module_imports_only_what_is_below_it(path):
    name, package = _place(path)
    assert name in DEPTH, "give the new module its place in ROWS"
    assert list(_faults(name, path.read_text("utf-8"), package)) == []


@pytest.mark.parametrize(
    "name, source, fault",
    [
        ("hub", "from tf_style import cli", "hub imports cli"),
        ("hub", "import tf_style.cli", "hub imports cli"),
        ("hub", "from tf_style.cli import main", "hub imports cli"),
        ("hub", "from . import cli", "hub imports cli"),
        ("hub", "from .cli import main", "hub imports cli"),
        ("hub", "def f():\n    from tf_style import cli", "hub imports cli"),
        ("hub", "from tf_style import files, gatys", "hub imports gatys"),
        ("gatys", "from tf_style import hub", "gatys imports hub"),
        ("images", "from tf_style.losses import gram_matrix", "images imports losses"),
        ("config", "from tf_style import files", "config imports files"),
        ("__init__", "from tf_style import config", "__init__ imports config"),
        ("gatys", "from absl import flags", "gatys imports absl"),
        ("images", "import tensorflow as tf", "images imports tensorflow"),
        ("manifest", "import tensorflow.keras", "manifest imports tensorflow"),
    ],
)
def test_planted_import_is_caught(name, source, fault):
    assert list(_faults(name, source)) == [fault]


@pytest.mark.parametrize(
    "name, source",
    [
        ("magenta", "from tf_style import files\nimport tensorflow_hub"),
        ("manifest", "from tf_style import __version__"),
        ("cli", "from absl import flags\nfrom tf_style import run"),
        ("builtin", "from tf_style.builtin import weights"),
    ],
)
def test_downward_import_is_allowed(name, source):
    assert list(_faults(name, source)) == []


def test_relative_import_climbs_out_of_a_package():
    source = "from ..cli import main\nfrom .. import run\nfrom . import weights"
    faults = list(_faults("builtin", source, "tf_style.builtin"))
    assert faults == ["builtin imports cli", "builtin imports run"]


@pytest.mark.parametrize("module", ["tf_style", "tf_style.config", "tf_style.cli"])
def test_importing_does_not_load_what_is_heavy(module):
    heavy = {"tensorflow", "keras", "tensorflow_hub", "matplotlib"}
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
