"""Decides which pictures a job paints, and where each result goes."""

import glob
import itertools
import os
import re
import tempfile
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from tf_style import images
from tf_style.config import NAMES
from tf_style.images import decode
from tf_style.jobs import manifest, modes, progress_folder, snapshots, sweep
from tf_style.system import files
from tf_style.system.errors import Error, FileError, InvalidInput
from tf_style.video import flow, reader

# Name of the output: a picture or film, or the folder of several.
OUTPUT = "stylized"
SHEET_NAME = "contact_sheet.png"
# Most rows and columns of a contact sheet; more would be unreadable.
MAX_IN_SHEET = 100
# Limit of file systems; the other limit leaves room for endings and numbers.
NAME_MAX_BYTES, STEM_MAX_BYTES = 255, 200


# Files that operating systems put into folders.
SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")


class Pair(NamedTuple):
    """One picture to paint."""

    index: int
    content: str
    styles: tuple[str, ...]  # more than one if they are blended
    output: Path
    changes: tuple[tuple[str, str], ...] = ()  # from `sweep.variations`

    @property
    def is_film(self):
        """Whether it is a film, rather than a picture."""
        return reader.ending_of(self.output) in reader.WRITABLE


def column_of(pair):
    """Returns what a column shares: the style, or the first swept setting."""
    return pair.changes[:1] or pair.styles


def row_of(pair):
    """Returns what a row shares: the photo, or the second swept setting."""
    return pair.changes[1:] or (pair.content,)


def sheet_path(pairs):
    """Returns the path of the contact sheet, or None if none is drawn."""
    grid = [{row_of(pair) for pair in pairs}, {column_of(pair) for pair in pairs}]
    if any(pair.is_film for pair in pairs):
        return None
    if len(pairs) == 1 or max(map(len, grid)) > MAX_IN_SHEET:
        return None
    return pairs[0].output.with_name(SHEET_NAME)


class Sources(NamedTuple):
    """The result of expanding files, folders, globs and URLs."""

    pictures: list[str]  # pictures and films, in order, without duplicates
    refused: list[str]  # a message for each other file
    results: int = 0  # number of our own results in folders and globs


def expand(sources):
    """Expands sources.

    A folder or glob stands for all files in it, except hidden ones and our own results.
    Named files are taken for pictures until they are read.

    Raises:
        ValueError: a folder or glob contains no picture.
    """
    found, refused, results = [], [], 0
    for source in sources:
        path = files.local(source)
        if images.is_url(source) or os.path.isfile(path):
            found.append(source)
            continue
        is_folder = os.path.isdir(path)
        if not (is_folder or glob.has_magic(source)):
            found.append(source)  # It does not exist; reading it raises the error.
            continue
        with files.naming(source, "read"):
            names = [*map(str, path.iterdir())] if is_folder else _glob(path)
        some = _sort_out(sorted(names))
        if not some.pictures:
            raise InvalidInput(_explain_none(source, path, some))
        found += some.pictures
        refused += some.refused
        results += some.results
    once = {}
    for source in found:
        once.setdefault(_identity(source), source)
    return Sources(list(once.values()), list(dict.fromkeys(refused)), results)


def _glob(path):
    """Returns the matches of a glob, parts of which may be names with brackets."""
    parts, literal = path.parts, Path()
    while parts and os.path.lexists(literal / parts[0]):
        literal, parts = literal / parts[0], parts[1:]
    start = glob.escape(str(literal))
    for rest in (parts, [part.replace("[", "[[]") for part in parts]):
        if found := glob.glob(os.path.join(start, *rest), recursive=True):
            return found
    return []


def _sort_out(paths):
    """Returns the `Sources` of the paths in a folder or glob."""
    pictures, refused, results, ours = [], [], 0, {}
    for path in map(Path, paths):
        if path.is_dir() or path.name[0] == "." or path.name.lower() in SYSTEM_FILES:
            continue
        if path.parent not in ours:
            ours[path.parent] = manifest.results_in(path.parent)
        if path in ours[path.parent]:
            results += 1
        elif not path.exists():
            refused.append(f"{path} is a link to a file that does not exist")
        elif not path.is_file():
            refused.append(f"{path} is a device or a pipe; give a picture file")
        elif path.suffix.lower() in (*decode.READABLE, *reader.READABLE):
            pictures.append(str(path))
        elif reason := decode.refuse(path):
            refused.append(reason)
        else:
            pictures.append(str(path))
    return Sources(pictures, refused, results)


def _explain_none(source, path, some):
    """Returns why a folder or glob contains nothing to paint."""
    is_folder = path.is_dir()
    reason = (
        f"folder {path} holds no picture" if is_folder else f"no file matches {source}"
    )
    if some.refused:
        count = len(some.refused) - 1
        return f"{reason}: {some.refused[0]}" + (
            f" (and {count} more)" if count else ""
        )
    if some.results:
        return f"{reason} except results of tf_style; name those files to paint them"
    if is_folder and any(child.is_dir() for child in path.iterdir()):
        return f"{reason}; to include subfolders, give '{path}/**'"
    return f"{reason} ({', '.join(decode.READABLE)})" if is_folder else reason


def find_refused(job, contents):
    """Returns contents that can be painted, and a message for each film that cannot.

    Raises:
        ValueError, ImportError: none can be painted.
    """
    good, refused, first = [], [], None
    # If the output is a picture, the first frame of a film is painted.
    still = reader.ending_of(job.output) in images.WRITABLE
    for content in contents:
        try:
            if reader.is_film(content) and not still:
                _check_film(job, content)
            good.append(content)
        except Error as error:
            first = first or error
            refused.append(str(error))
    if not good:
        raise first
    return good, refused


def assign(job, contents, styles):
    """Decides where the picture of each pair goes, and checks that it can be written.

    Args:
        job: a `Job`; its contents and styles may still be folders and globs.
        contents: sources of photos.
        styles: sources of paintings.

    Returns:
        A list of `Pair`, contents outermost.

    Raises:
        ValueError: the ending is unknown, several pictures would go to one file, or a
            file that is not ours would be lost.
        OSError: the folder cannot be written.
    """
    columns = [tuple(styles)] if job.blends else [(style,) for style in styles]
    job.configs[-1].share_among(len(columns[0]))
    if len(job.masks) not in (0, 1, len(columns[0])):
        raise InvalidInput(
            f"there are {len(job.masks)} masks for {len(styles)} styles; give one, or "
            "one for each"
        )
    changes = sweep.variations(job)
    sources = list(itertools.product(contents, columns, changes))
    if job.sweep and len(sources) > len(changes):
        raise InvalidInput(
            "sweep takes one photo and one style or blend, but there are "
            f"{len(contents)} contents and {len(columns)} styles"
        )
    output = job.output or OUTPUT + (
        _ending(sources[0][0], job) if len(sources) == 1 else ""
    )
    path = files.local(output)
    if os.path.isdir(path) or output.endswith("/") or not path.suffix:
        folder, names = path, _names(sources, job)
    elif len(sources) > 1:
        raise InvalidInput(
            f"output {output} is one file, but there are {len(sources)} pictures to "
            "write; give a folder"
        )
    else:
        folder, names = path.parent, [path.name]
    pairs = [
        Pair(index, content, column, folder / name, changes)
        for index, ((content, column, changes), name) in enumerate(zip(sources, names))
    ]
    for pair in pairs:
        _check_kind(job, pair)
        kind = images.WRITABLE.get(pair.output.suffix.lower())
        if job.format and kind and kind != images.WRITABLE[f".{job.format}"]:
            raise InvalidInput(
                f"output {pair.output} does not have format {job.format}; remove one "
                "of the two"
            )
    if job.timelapse:
        reader.check(job.timelapse)
        if len(pairs) > 1:
            raise InvalidInput(
                f"timelapse {job.timelapse} is one film, but there are {len(pairs)} "
                "pictures; use --save_every to save the frames of all"
            )
    _check_harmless(job, pairs)
    if job.dry_run:
        return pairs
    try:
        if job.timelapse:
            files.local(job.timelapse).parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        files.remove_leftovers(folder)
    except OSError as error:
        reason = error.strerror
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            reason = "it is not a folder"
        raise FileError(f"cannot write to folder {folder}: {reason}") from error
    return pairs


def _check_kind(job, pair):
    """Raises ValueError or ImportError if an output cannot be made from its content."""
    moves = reader.is_film(pair.content)
    if pair.is_film and not moves:
        raise InvalidInput(
            f"output {pair.output} has the ending of a film, but {pair.content} is a "
            f"picture; use one of {', '.join(images.WRITABLE)}"
        )
    if moves and not pair.is_film:
        if pair.output.suffix.lower() in images.WRITABLE:
            return  # The first frame of a film is a picture.
        raise InvalidInput(
            f"{pair.content} is a film, which is written as "
            f"{' or '.join(reader.WRITABLE)}, and output is {pair.output}"
        )
    if moves:
        reader.check(pair.output)
        _check_film(job, pair.content)


def _check_film(job, content):
    """Raises ValueError or ImportError if a job cannot paint films."""
    reader.check(content, "read")
    if job.flow:
        flow.check()
    if not modes.of(job).MAKES_FILMS:
        raise InvalidInput(
            f"mode {job.mode} paints pictures only, and {content} is a film; give an "
            "output such as first.png to paint its first frame, or use another mode"
        )
    for name in ("save_every", "timelapse"):
        if getattr(job, name):
            raise InvalidInput(
                f"{name} works for pictures only, and {content} is a film"
            )
    variations = (sweep.vary(job, changes) for changes in sweep.variations(job))
    if any(variation.time_budget for variation in variations):
        raise InvalidInput(
            f"time_budget works for pictures only, and {content} is a film; set steps "
            "instead"
        )


def _check_harmless(job, pairs):
    """Raises ValueError if a file that is not ours would be overwritten."""
    inputs = {
        _identity(value)
        for config in job.configs
        for name, names in NAMES.items()
        if (value := getattr(config, name, names[0])) not in names
    }
    inputs |= {_identity(s) for pair in pairs for s in (pair.content, *pair.styles)}
    inputs |= {_identity(mask) for mask in job.masks}
    written = [outputs_of(pair.output, job) for pair in pairs]
    written += [[path] for path in [sheet_path(pairs)] if path]
    if job.timelapse:
        path = files.local(job.timelapse)
        if _identity(path) in inputs | {*map(_identity, itertools.chain(*written))}:
            raise InvalidInput(f"timelapse {path} would overwrite a picture")
        written.append([path])
    for outputs in written:
        for path in outputs:
            if reader.ending_of(path) not in reader.WRITABLE:
                images.writing_format(path)
        for path in [*outputs, manifest.path_of(outputs[0])]:
            if len(os.fsencode(path.name)) > NAME_MAX_BYTES:
                raise InvalidInput(
                    f"the name of output {path} is too long for a file and its "
                    "manifest; choose a shorter one"
                )
            if _identity(path) in inputs:
                raise InvalidInput(f"output {path} would overwrite an input")
        manifest.check_ours(outputs)
    for pair in pairs:
        if pair.is_film:
            progress_folder.check_progress(pair.output)
        elif modes.of(job).HAS_STEPS:
            snapshots.check_ours(job, pair.output)


def outputs_of(output, job):
    """Returns the paths of a picture and of its other files."""
    return [output, *modes.of(job).parts(output)]


def _identity(source):
    """Returns a key that is equal for all names of a file."""
    return source if images.is_url(source) else os.path.realpath(files.local(source))


def _names(sources, job):
    """Names each pair CONTENT_STYLE, with a number if that is taken.

    Swept settings follow.
    """
    taken, counts = {SHEET_NAME}, {}
    for content, column, changes in sources:
        parts_of = [stem_of(source) for source in (content, *column)]
        parts_of += [re.sub(r"[^\w=.+-]", "_", "=".join(change)) for change in changes]
        stem = "_".join(parts_of)
        stem = os.fsencode(stem)[:STEM_MAX_BYTES].decode(errors="ignore")
        ending = _ending(content, job)
        for number in itertools.count(counts.get(stem, 1)):
            name = Path(f"{stem}_{number}{ending}" if number > 1 else stem + ending)
            # Some file systems are not case-sensitive.
            wanted = {path.name.lower() for path in outputs_of(name, job)}
            if not wanted & taken:
                break
        taken |= wanted
        counts[stem] = number + 1
        yield name.name


def _ending(content, job):
    """Returns the ending of the result of a photo or film."""
    if not reader.is_film(content):
        return f".{job.format or 'png'}"
    moves = reader.ending_of(content) in reader.MOVING_PICTURES
    return ".gif" if moves else ".mp4"


def stem_of(source):
    """Returns the name of a path or URL without folders and ending."""
    if images.is_url(source):
        source = urllib.parse.unquote(urllib.parse.urlparse(source).path)
    stem = Path(source).stem or "picture"
    return "".join(letter if letter.isprintable() else "_" for letter in stem)
