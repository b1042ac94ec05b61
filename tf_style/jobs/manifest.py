"""Manifests: out.png.json, beside out.png, says how to make it again.

Its checksums of the written files tell our own files from the user's: nothing else is
ever overwritten.
"""

import contextlib
import dataclasses
import datetime
import functools
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tf_style import __version__
from tf_style.config import NAMES
from tf_style.jobs.job import Job
from tf_style.methods import METHODS
from tf_style.system import files
from tf_style.system.checks import from_dict
from tf_style.system.errors import InvalidInput, NotFound
from tf_style.system.files import StrPath

PACKAGES = ("tensorflow", "keras", "tensorflow-hub", "numpy", "pillow")


def path_of(output: StrPath) -> Path:
    """Returns the path of the manifest of a picture or film."""
    return Path(f"{output}.json")


def find(output: StrPath) -> dict[str, Any] | None:
    """Returns the manifest of a picture or film as a dict; None if it has none."""
    path = path_of(output)
    try:
        if not path.is_file():  # Reading a pipe would wait for ever.
            return None
        account = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return account if isinstance(account, dict) and "tf_style" in account else None


def results_in(folder: StrPath) -> set[Path]:
    """Returns the files of a folder that we wrote and that have not changed since.

    They include manifests and checkpoints.
    """
    folder, ours = Path(folder), set()
    for path in folder.glob("*.json"):
        account = find(path.with_suffix(""))
        if account is None:
            continue
        output = path.with_suffix("")
        ours |= {path, output.with_name(f"{output.name}.checkpoint.npz")}
        sums = account.get("files")
        for name, checksum in sums.items() if isinstance(sums, dict) else ():
            made = folder / name
            if made.is_file() and checksum == _sha256(made):
                ours.add(made)
    return ours


def check_ours(outputs: Sequence[Path]) -> None:
    """Checks that files to be overwritten are ours, and unchanged since we wrote them.

    Args:
        outputs: paths of a picture or film and of its other files.

    Raises:
        ValueError: something else is there.
    """
    if os.path.lexists(path_of(outputs[0])) and find(outputs[0]) is None:
        raise InvalidInput(
            f"{path_of(outputs[0])} is not a manifest of tf_style and would be "
            "overwritten; move it, or choose another --output"
        )
    for path in filter(os.path.lexists, outputs):
        sums = [*_sums(outputs[0], path), *_sums(path, path)]
        if not sums:
            raise InvalidInput(
                f"{path} was not made by tf_style and would be overwritten; "
                "move it, or choose another --output"
            )
        if not path.is_file() or _sha256(path) not in sums:
            raise InvalidInput(
                f"{path} has changed since tf_style wrote it and would be overwritten; "
                "move it, or choose another --output"
            )


def _sums(output, path):
    """Returns the checksums that a manifest allows a file to have.

    A killed process may have left the old file with the new manifest.
    """
    account = find(output) or {}
    found = (account.get(part) for part in ("files", "replaced"))
    sums = [part.get(path.name) for part in found if isinstance(part, dict)]
    return [checksum for checksum in sums if checksum]


def _sha256(path):
    there = path.stat()
    return _sha256_of(path, there.st_mtime_ns, there.st_size)


@functools.lru_cache(1 << 16)
def _sha256_of(path, *_):
    return files.sha256(path)


def numbered(name: str, count: int) -> list[str]:
    """Returns the names of several inputs of one kind: style, style_2 and so on."""
    return [name, *(f"{name}_{number}" for number in range(2, count + 1))][:count]


def describe(job, inputs, models):
    """Returns everything that a picture depends on, ready for JSON.

    Args:
        job: the `Job` that it belongs to.
        inputs: source and SHA-256 of "content", of styles and masks as `numbered`, and,
            if there is one, of "init".
        models: the loaded model of each method, with name, source and checksum.
    """
    settings = {"mode": job.mode, "max_side": job.max_side}
    if job.quality:
        settings["quality"] = job.quality
    if job.keep_location:
        settings["keep_location"] = True
    for method, config in zip(job.methods, job.configs):
        settings[method] = {
            name: _place(value, NAMES[name]) if name in NAMES else value
            for name, value in asdict(config).items()
        }
    return {
        "settings": settings,
        "inputs": {
            name: {"source": _place(source, ()), "sha256": checksum}
            for name, (source, checksum) in inputs.items()
        },
        "models": {
            method: {"name": m.name, "source": m.source, "sha256": m.checksum}
            for method, m in models.items()
        },
    }


def difference(found, wanted):
    """Names one difference between two results of `describe`, or returns "".

    The content of inputs and models counts, not their location.
    """
    for part in ("settings", "inputs", "models"):
        here, there = (_flat(account.get(part, {})) for account in (found, wanted))
        for name in {**here, **there}:
            value, other = here.get(name), there.get(name)
            if value == other or name[-1] in ("source", "name"):
                continue
            if name[-1] == "sha256":
                return f"another {name[0]}"
            return f"{name[-1]} {_shown(value)}, not {_shown(other)}"
    return ""


def is_done(outputs, account):
    """Tells whether a picture is finished, unchanged and as `describe` says.

    Args:
        outputs: paths of the picture and of its other files.
        account: result of `describe`.
    """
    found = find(outputs[0])
    if not found or found.get("interrupted") or difference(found, account):
        return False
    sums = found.get("files")
    return isinstance(sums, dict) and all(
        path.is_file() and sums.get(path.name) == _sha256(path) for path in outputs
    )


@contextlib.contextmanager
def publishing(account, outputs, facts):
    """Provides temporary paths that replace the outputs together with a manifest.

    The manifest is written first, with the checksums of the old files too. Whenever the
    process is killed, the files are known to be ours.

    Args:
        account: what the first output depends on, from `describe`.
        outputs: paths of a picture or film and of its other files, in one folder.
        facts: other facts, ready for JSON: losses, seconds, size.

    Raises:
        OSError: a file cannot be written; the old files are left as they were.
    """
    path = path_of(outputs[0])
    with _restored(path, outputs), contextlib.ExitStack() as stack:
        temporaries = [stack.enter_context(files.replacing(path)) for path in outputs]
        yield temporaries
        written = {
            path.name: files.sha256(temporary)
            for path, temporary in zip(outputs, temporaries)
        }
        replaced = {path.name: _sha256(path) for path in outputs if path.is_file()}
        earlier = (find(outputs[0]) or {}).get("files", {})
        sums = {"files": earlier | written, "replaced": replaced}
        _write(path, {"output": outputs[0].name} | account | facts | sums)


def _write(path, account):
    complete = {
        "tf_style": __version__,
        **account,
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in PACKAGES},
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
    }
    with files.replacing(path) as temporary:
        temporary.write_text(json.dumps(complete, indent=2) + "\n", "utf-8")


@contextlib.contextmanager
def _restored(path, outputs):
    """Restores an old manifest if none of its outputs has been replaced."""

    def identities():
        found = (os.stat(path) if os.path.exists(path) else None for path in outputs)
        return [there and (there.st_ino, there.st_mtime_ns) for there in found]

    old, before = path.read_bytes() if path.is_file() else None, identities()
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if identities() == before:
                if old is None:
                    path.unlink(missing_ok=True)
                elif path.read_bytes() != old:
                    with files.replacing(path) as temporary:
                        temporary.write_bytes(old)
        raise


def read(path: StrPath, output: str = "") -> Job:
    """Returns the `Job` that repeats a manifest; an interrupted run is finished.

    Args:
        path: the manifest.
        output: where to write; empty: the place of the manifest's picture.

    Raises:
        ValueError: the file is not a manifest of ours.
        OSError: the file cannot be read.
    """
    path = files.local(path)
    if not os.path.exists(path):
        raise NotFound(f"{path} does not exist")
    if not path.is_file():
        raise InvalidInput(f"{path} is not a manifest of tf_style: it is not a file")
    with files.naming(path, "read"):
        data = path.read_bytes()
    try:
        account = json.loads(data)
        settings, inputs = account["settings"], account["inputs"]
        entries = inputs | account["models"]

        def sources(kind):
            named = filter(inputs.get, numbered(kind, len(inputs)))
            return tuple(inputs[name]["source"] for name in named)

        styles = (inputs["style"]["source"], *sources("style")[1:])
        job = Job(
            contents=(inputs["content"]["source"],),
            styles=styles,
            output=output or str(path.parent / account["output"]),
            mode=settings["mode"],
            style_blend=len(styles) > 1,
            masks=sources("mask"),
            max_side=settings["max_side"],
            quality=settings.get("quality", Job.quality),
            keep_location=settings.get("keep_location", Job.keep_location),
            flow=settings.get("flow", Job.flow),
            keyframes=settings.get("keyframes", Job.keyframes),
            **{
                method: from_dict(kind, settings.get(method, {}))
                for method, (_, kind) in METHODS.items()
            },
        )
        required = {"content", "style", *job.methods, *inputs}
        checksums = {name: entries[name]["sha256"] for name in required}
        return dataclasses.replace(job, checksums=checksums)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        reason = "it is not JSON"
        raise InvalidInput(f"{path} is not a manifest of tf_style: {reason}") from error
    except KeyError as error:
        raise InvalidInput(
            f"{path} is not a manifest of tf_style: it lacks {error}"
        ) from error
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidInput(f"{path} is not a manifest of tf_style: {reason}") from error


def check(job, name, source, checksum):
    """Checks an input or model of a repeated run against the manifest.

    Args:
        job: a `Job`.
        name: "content", "style", "mask", "init", or the method of a model.
        source: where it came from, for the message.
        checksum: its SHA-256.

    Raises:
        ValueError: it has changed since.
    """
    if job.checksums.get(name, checksum) != checksum:
        raise InvalidInput(
            f"{source} has changed since the manifest was written, so the picture "
            "would not be the same"
        )


@functools.cache
def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # It may be tensorflow-cpu.
        return None


def _flat(account, *path):
    """Returns {path of keys: value}, with values as in JSON."""
    if not isinstance(account, dict):
        return {path: json.loads(json.dumps(account))}
    flat = {}
    for key, value in account.items():
        flat |= _flat(value, *path, key)
    return flat


def _shown(value):
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _place(value, names):
    """Makes paths absolute, so a manifest works from any folder."""
    if value in names or "://" in value:
        return value
    return str(files.local(value).absolute())
