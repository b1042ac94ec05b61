"""Builds the page that paints in the browser: python docs/browser/build.py FOLDER.

The folder then holds all that the page needs, for any server of static files; to try:

    python -m http.server --bind 127.0.0.1 --directory FOLDER
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# ONNX Runtime for browsers, MIT licence.
PACKAGE = "onnxruntime-web@1.30.0"
RUNTIME = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
HERE = Path(__file__).resolve().parent
PAGE = ("index.html", "page.css", "page.js", "worker.js")
EXAMPLES = {"photo.jpg": "harbor.jpg", "painting.jpg": "swirls.jpg"}


def main():
    """Builds the page; exits with one line for what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="new or empty")
    try:
        build(parser.parse_args().folder)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"build.py: {' '.join(str(error).split())}")


def build(folder):
    """Makes a folder with the page, its runtime, the model and two pictures.

    Raises:
        OSError: the folder has something in it, or cannot be written; or npm cannot
            get the runtime.
        ImportError: a package that the export needs is missing.
    """
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already; give a new or empty folder")
    with tempfile.TemporaryDirectory() as scratch:
        runtime = fetch_runtime(Path(scratch))
        model = Path(scratch, "model.onnx")
        export = [sys.executable, "-m", "tf_style", "export", "--format=onnx"]
        done = subprocess.run(
            [*export, "--quiet", str(model)], stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise OSError(done.stderr.strip().removeprefix("tf_style: "))
        folder.mkdir(parents=True, exist_ok=True)
        for path in (model, *runtime, *(HERE / name for name in PAGE)):
            shutil.copyfile(path, folder / path.name)
    for name, example in EXAMPLES.items():
        shutil.copyfile(HERE.parents[1] / "examples" / example, folder / name)


def fetch_runtime(scratch):
    """Returns the files of the runtime, from its npm package; npm checks its sum."""
    npm = shutil.which("npm")
    if not npm:
        raise FileNotFoundError("there is no npm, which gets the runtime; install it")
    done = subprocess.run(
        [npm, "pack", "--silent", PACKAGE], cwd=scratch, capture_output=True, text=True
    )
    if done.returncode:
        raise OSError(f"npm cannot get {PACKAGE}: {done.stderr.strip()[-300:]}")
    (archive,) = scratch.glob("*.tgz")
    found = []
    with tarfile.open(archive) as package:
        for name in RUNTIME:
            found.append(scratch / name)
            with package.extractfile(f"package/dist/{name}") as stream:
                found[-1].write_bytes(stream.read())
    return found


if __name__ == "__main__":
    main()
