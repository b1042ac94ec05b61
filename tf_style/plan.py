"""Which pictures a job is about, and where each result goes."""

import glob
import itertools
import tempfile
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from tf_style import images, manifest

SINGLE_OUTPUT = "stylized.png"
FOLDER_OUTPUT = "stylized"
SHEET_NAME = "contact_sheet"


class Pair(NamedTuple):
    """One picture to make."""

    index: int
    content: str
    style: str
    output: Path


def expand(sources):
    """Returns the pictures of files, folders, globs and URLs, in order, each once.

    Raises:
        ValueError: a folder or glob holds no picture.
    """
    found = []
    for source in sources:
        path = Path(source).expanduser()
        if images.is_url(source) or path.is_file():
            found.append(source)
        elif path.is_dir():
            found += _pictures_in(path)
        elif glob.has_magic(source):
            matches = sorted(glob.glob(str(path), recursive=True))
            if not (matches := [match for match in matches if Path(match).is_file()]):
                raise ValueError(f"no file matches {source}")
            found += matches
        else:  # It does not exist; reading it will say so.
            found.append(source)
    return list(dict.fromkeys(found))


def assign(output, contents, styles):
    """Decides where the picture of each pair goes, and checks that it can.

    Args:
        output: file or folder, as the user gave it; may be empty.
        contents: sources of photos.
        styles: sources of paintings.

    Returns:
        A list of `Pair`, contents outermost.

    Raises:
        ValueError: the ending is unknown, one file is to hold several pictures, or a
            file that is not ours would be lost.
        OSError: the folder cannot be written.
    """
    sources = list(itertools.product(contents, styles))
    output = output or (SINGLE_OUTPUT if len(sources) == 1 else FOLDER_OUTPUT)
    path = Path(output).expanduser()
    if path.is_dir() or output.endswith("/") or not path.suffix:
        folder, names = path, _names(sources)
    elif len(sources) > 1:
        raise ValueError(
            f"output {output} is one file, but there are {len(sources)} pictures to "
            "write; give a folder"
        )
    else:
        folder, names = path.parent, [path.name]
    inputs = {Path(s).expanduser().resolve() for s in (*contents, *styles)}
    pairs = []
    for index, ((content, style), name) in enumerate(zip(sources, names)):
        images.writing_format(name)
        if (folder / name).resolve() in inputs:
            raise ValueError(f"output {folder / name} would overwrite an input")
        account = manifest.path_of(folder / name)
        if manifest.is_foreign(account):
            raise ValueError(
                f"{account} is not ours, and the manifest of {name} would overwrite "
                "it; choose another --output"
            )
        pairs.append(Pair(index, content, style, folder / name))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"cannot write to folder {folder}: {error.strerror}") from error
    return pairs


def _pictures_in(folder):
    found = sorted(
        str(path)
        for path in folder.iterdir()
        if path.suffix.lower() in images.READABLE and not path.name.startswith(".")
    )
    if not found:
        raise ValueError(
            f"folder {folder} holds no picture ({', '.join(images.READABLE)})"
        )
    return found


def _names(sources):
    """Names each pair CONTENT_STYLE.png, with a number where that is taken."""
    taken = {SHEET_NAME}
    for pair in sources:
        stem = "_".join(stem_of(source) for source in pair)
        tries = itertools.chain([stem], (f"{stem}_{n}" for n in itertools.count(2)))
        # Some file systems do not tell A from a.
        name = next(name for name in tries if name.lower() not in taken)
        taken.add(name.lower())
        yield f"{name}.png"


def stem_of(source):
    """Returns the name of a path or URL without folders and ending."""
    if images.is_url(source):
        source = urllib.parse.unquote(urllib.parse.urlparse(source).path)
    return Path(source).stem or "picture"
