"""The account of a picture: NAME.json beside NAME.png says how to make it again."""

import datetime
import importlib.metadata
import json
import platform
from dataclasses import asdict
from pathlib import Path

from tf_style import __version__, files, images
from tf_style.config import (
    BACKBONES,
    INITS,
    MODELS,
    GatysConfig,
    HubConfig,
    Job,
    from_dict,
)

PACKAGES = ("tensorflow", "keras", "tensorflow-hub", "numpy", "pillow")


def path_of(picture):
    """Returns where the manifest of a picture's path stands."""
    return Path(picture).with_suffix(".json")


def is_foreign(path):
    """Tells whether a file stands here that is no manifest and must not be lost."""
    try:
        return "tf_style" not in json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError):
        return True


def write(job, content, style, output, models, facts):
    """Writes the manifest of one picture and returns its path.

    Args:
        job: the `Job` that it belongs to.
        content: source of the photo, a path or URL.
        style: source of the painting.
        output: path of the picture.
        models: loaded models, each with name, source and checksum.
        facts: what else is known, ready for JSON: losses, seconds, size.
    """
    settings = {"mode": job.mode, "max_side": job.max_side}
    inputs = {"content": _describe(content), "style": _describe(style)}
    if job.mode in ("hub", "compare"):
        settings["hub"] = asdict(job.hub) | {"model": _place(job.hub.model, MODELS)}
    if job.mode in ("gatys", "compare"):
        init = _place(job.gatys.init, INITS)
        backbone = _place(job.gatys.backbone, BACKBONES)
        settings["gatys"] = asdict(job.gatys) | {"init": init, "backbone": backbone}
        if job.gatys.init not in INITS:
            inputs["init"] = _describe(init)
    account = {
        "tf_style": __version__,
        "output": Path(output).name,
        "settings": settings,
        "inputs": inputs,
        "models": [
            {"name": m.name, "source": m.source, "sha256": m.checksum} for m in models
        ],
        **facts,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
    }
    path = path_of(output)
    with files.replacing(path) as temporary:
        temporary.write_text(json.dumps(account, indent=2) + "\n", "utf-8")
    return path


def read(path, output=""):
    """Returns the `Job` that repeats a manifest.

    Args:
        path: the manifest.
        output: where to write; empty: where the manifest's picture stood.

    Raises:
        ValueError: the file is no manifest of ours.
        OSError: it cannot be read.
    """
    path = Path(path)
    try:
        account = json.loads(path.read_text("utf-8"))
        settings, inputs = account["settings"], account["inputs"]
        sources = {name: entry["source"] for name, entry in inputs.items()}
        checksums = {entry["source"]: entry["sha256"] for entry in inputs.values()}
        checksums |= {m["source"]: m["sha256"] for m in account["models"]}
        return Job(
            contents=(sources["content"],),
            styles=(sources["style"],),
            output=output or str(path.parent / account["output"]),
            mode=settings["mode"],
            max_side=settings["max_side"],
            gatys=from_dict(GatysConfig, settings.get("gatys", {})),
            hub=from_dict(HubConfig, settings.get("hub", {})),
            checksums=checksums,
        )
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a manifest of tf_style: "
            f"{' '.join(str(error).split()) or type(error).__name__}"
        ) from error


def check(job, source, checksum):
    """Holds an input or model of a repeated run to what the manifest says.

    Raises:
        ValueError: it has changed since.
    """
    if job.checksums.get(str(source), checksum) != checksum:
        raise ValueError(
            f"{source} has changed since the manifest was written, so the picture "
            "would not be the same"
        )


def _describe(source):
    return {
        "source": _place(source, ()),
        "sha256": files.sha256(images.local_path(source)),
    }


def _place(value, names):
    """Makes paths absolute, so that a manifest can be used from any folder."""
    if value in names or "://" in value:
        return value
    return str(Path(value).expanduser().absolute())
