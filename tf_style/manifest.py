"""The account of a picture: NAME.json beside NAME.png says how to make it again."""

import datetime
import functools
import importlib.metadata
import json
import platform
from dataclasses import asdict
from pathlib import Path

from tf_style import __version__, files
from tf_style.config import (
    BACKBONES,
    INITS,
    MODELS,
    MODES,
    GatysConfig,
    HubConfig,
    Job,
    engines,
    from_dict,
)

PACKAGES = ("tensorflow", "keras", "tensorflow-hub", "numpy", "pillow")


def path_of(picture):
    """Returns where the manifest of a picture's path stands."""
    return Path(picture).with_suffix(".json")


def is_foreign(path):
    """Tells whether a file stands here that is no manifest and must not be lost."""
    path = Path(path)
    if not path.exists():
        return False
    if not path.is_file():
        return True
    try:
        account = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return True
    return not isinstance(account, dict) or "tf_style" not in account


def numbered(name, count):
    """Returns the names of so many inputs of a kind: style, style_2 and so on."""
    return [name, *(f"{name}_{number}" for number in range(2, count + 1))][:count]


def describe(job, inputs, models):
    """Returns all that a picture depends on, ready for JSON.

    Args:
        job: the `Job` that it belongs to.
        inputs: source and SHA-256 of "content", of styles and masks as `numbered`, and,
            if there is one, of "init".
        models: the loaded model of each engine, with name, source and checksum.
    """
    settings = {"mode": job.mode, "max_side": job.max_side}
    if "hub" in job.engines:
        settings["hub"] = asdict(job.hub) | {"model": _place(job.hub.model, MODELS)}
    if "gatys" in job.engines:
        init = _place(job.gatys.init, INITS)
        backbone = _place(job.gatys.backbone, BACKBONES)
        settings["gatys"] = asdict(job.gatys) | {"init": init, "backbone": backbone}
    return {
        "settings": settings,
        "inputs": {
            name: {"source": _place(source, ()), "sha256": checksum}
            for name, (source, checksum) in inputs.items()
        },
        "models": {
            engine: {"name": m.name, "source": m.source, "sha256": m.checksum}
            for engine, m in models.items()
        },
    }


def difference(found, wanted):
    """Names one thing in which two of `describe` differ, or returns "".

    Where inputs and models lie does not count, only what is in them.
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


def is_done(picture, account):
    """Tells whether a picture is as `describe` has it, finished and unchanged."""
    try:
        found = json.loads(path_of(picture).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    if not (isinstance(found, dict) and Path(picture).is_file()):
        return False
    if found.get("interrupted") or difference(found, account):
        return False
    return found.get("sha256") == files.sha256(picture)


def write(account, output, facts):
    """Writes the manifest of one picture and returns its path.

    Args:
        account: what the picture depends on, as of `describe`.
        output: path of the picture.
        facts: what else is known, ready for JSON: losses, seconds, size, and the
            picture's SHA-256, by which it is known again.
    """
    account = {
        "tf_style": __version__,
        "output": Path(output).name,
        **account,
        **facts,
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in PACKAGES},
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
    }
    path = path_of(output)
    with files.replacing(path) as temporary:
        temporary.write_text(json.dumps(account, indent=2) + "\n", "utf-8")
    return path


def read(path, output=""):
    """Returns the `Job` that repeats a manifest, an interrupted run to its end.

    Args:
        path: the manifest.
        output: where to write; empty: where the manifest's picture stood.

    Raises:
        ValueError: the file is no manifest of ours.
        OSError: it cannot be read.
    """
    path = files.local(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_file():
        raise ValueError(f"{path} is not a manifest of tf_style: it is no file")
    try:
        account = json.loads(path.read_text("utf-8"))
        settings, inputs = account["settings"], account["inputs"]
        known = inputs | account["models"]
        mode, slow = settings["mode"], from_dict(GatysConfig, settings.get("gatys", {}))
        painted = engines(mode, slow.init) if mode in MODES else ()
        required = ("content", "style", *painted)
        checksums = {name: known[name]["sha256"] for name in {*required, *inputs}}

        def sources(kind):
            named = filter(inputs.get, numbered(kind, len(inputs)))
            return tuple(inputs[name]["source"] for name in named)

        styles = sources("style")
        return Job(
            contents=(inputs["content"]["source"],),
            styles=styles,
            output=output or str(path.parent / account["output"]),
            mode=mode,
            style_blend=len(styles) > 1,
            masks=sources("mask"),
            max_side=settings["max_side"],
            flow=settings.get("flow", Job.flow),
            gatys=slow,
            hub=from_dict(HubConfig, settings.get("hub", {})),
            checksums=checksums,
        )
    except KeyError as error:
        raise ValueError(
            f"{path} is not a manifest of tf_style: it lacks {error}"
        ) from error
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path} is not a manifest of tf_style: {reason}") from error


def check(job, name, source, checksum):
    """Holds an input or model of a repeated run to what the manifest says.

    Args:
        job: a `Job`.
        name: "content", "style", "mask", "init", or the engine of a model.
        source: where it came from, for the message.
        checksum: the SHA-256 that it has.

    Raises:
        ValueError: it has changed since.
    """
    if job.checksums.get(name, checksum) != checksum:
        raise ValueError(
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
    """Returns {path of keys: value}, values as JSON has them."""
    if not isinstance(account, dict):
        return {path: json.loads(json.dumps(account))}
    flat = {}
    for key, value in account.items():
        flat |= _flat(value, *path, key)
    return flat


def _shown(value):
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _place(value, names):
    """Makes paths absolute, so that a manifest can be used from any folder."""
    if value in names or "://" in value:
        return value
    return str(files.local(value).absolute())
