"""Flags: what there are, and the job that they describe."""

import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace

from absl import flags

from tf_style.config import (
    FAST_MODELS,
    INITS,
    OPTIMIZERS,
    POOLINGS,
    PRECISIONS,
    PRESERVED,
    GatysConfig,
    HubConfig,
    NeighborsConfig,
)
from tf_style.jobs import modes
from tf_style.jobs.job import EXECUTORS, FORMATS, Job
from tf_style.methods import METHODS
from tf_style.system import files
from tf_style.system.errors import InvalidInput

FLAGS = flags.FLAGS

EXAMPLE = "tf-style photo.jpg painting.jpg"
# The first arguments that are no flags are the values of these.
# By which the end of an address is told from a comma in it.
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".mp4")
POSITIONAL = ("content", "style", "output")


class _Float(flags.FloatParser):
    """Reads 0.5, and 50%."""

    def convert(self, argument: object) -> float:
        text = str(argument).strip()
        try:
            return float(text[:-1]) / 100 if text[-1:] == "%" else float(text)
        except ValueError:
            raise ValueError("it must be a number") from None


class _Integer(flags.IntegerParser):
    """Reads 1000, and 1e3."""

    def convert(self, argument: object) -> int:
        text = str(argument).strip()
        try:
            return int(text)
        except ValueError:
            pass
        try:
            number = float(text)
            if number.is_integer():
                return int(number)
        except ValueError:
            pass
        raise ValueError("it must be a whole number")


def _define_float(name, default, text):
    flags.DEFINE(_Float(), name, default, text, serializer=flags.ArgumentSerializer())


def _define_integer(name, default, text):
    flags.DEFINE(_Integer(), name, default, text, serializer=flags.ArgumentSerializer())


def _define_enum(name, default, values, text):
    flags.DEFINE_enum(name, default, values, text, case_sensitive=False)


_GATYS, _HUB, _NEIGHBORS = GatysConfig(), HubConfig(), NeighborsConfig()
# How the job is done, whatever it is: the flags that a repeated run takes too.
_JOB = {
    field.name: field.default
    for field in fields(Job)
    if field.name
    in ("checkpoint_every", "dry_run", "executor", "resume", "save_every", "timelapse")
}
_SIDES = ", ".join(f"{m.MAX_SIDE} for {name}" for name, m in modes.MODES.items())

_define_enum(
    "mode",
    "hub",
    list(modes.MODES),
    "; ".join(f"{name}: {mode.HELP}" for name, mode in modes.MODES.items()),
)
flags.DEFINE_string(
    "content",
    None,
    "photos, or films: files, folders of photos, globs or URLs, separated by commas",
)
flags.DEFINE_string("style", None, "paintings, likewise; every pair is made")
flags.DEFINE_bool(
    "style_blend", Job.style_blend, "blend all styles into one picture of each photo"
)
flags.DEFINE_list(
    "style_weights", list(_HUB.style_weights), "as style_blend, one for each [equal]"
)
flags.DEFINE_string(
    "mask",
    None,
    "where to paint: a grey picture like the photo, white is painted; or one for each "
    "style, separated by commas, which are blended",
)
_define_float(
    "style_scale", _HUB.style_scale, "factor on the size of the style, and of strokes"
)
_define_enum(
    "preserve_color",
    _HUB.preserve_color,
    PRESERVED,
    "what to keep of the photo's colours: hue and saturation (luminance), mean and "
    "spread (covariance), the distribution of each channel (histogram)",
)
_define_float(
    "color_strength", _HUB.color_strength, "how far preserve_color goes, from 0 to 1"
)
flags.DEFINE_string(
    "output",
    "",
    "file or folder [stylized.png, .gif or .mp4; stylized/ for several pictures]",
)
_define_enum(
    "format",
    None,
    FORMATS,
    "of pictures in folders, and of stylized.png",
)
_define_integer("quality", Job.quality, "of .jpg and .webp, from 1 to 100; 0 is 95")
_define_integer(
    "max_side", None, f"longest side of the result, in pixels; 0 keeps it [{_SIDES}]"
)
flags.DEFINE_string(
    "from_manifest", None, "repeat the run that this .json beside a picture describes"
)
_define_float(
    "checkpoint_every",
    _JOB["checkpoint_every"],
    "slow: seconds between checkpoints, for --resume; 0 writes none",
)
flags.DEFINE_bool(
    "resume", _JOB["resume"], "slow: go on from checkpoints of runs that were stopped"
)
_define_integer(
    "save_every",
    _JOB["save_every"],
    "slow: save a frame every so many steps; 0 saves none",
)
flags.DEFINE_string(
    "timelapse", _JOB["timelapse"], "slow: make a film of one picture, .gif or .mp4"
)
flags.DEFINE_multi_string(
    "sweep",
    list(Job.sweep),
    "try a setting at several values, as style_weight=1e-4,1e-3; given twice, two",
)
flags.DEFINE_bool(
    "flow", Job.flow, "of a film, paint along with what moves, against flicker"
)
_define_integer(
    "keyframes",
    Job.keyframes,
    "slow: of a film, paint one of so many frames, and the first and last of each "
    "scene, and carry their strokes to those between; 1 paints all",
)
_define_enum(
    "executor",
    _JOB["executor"],
    EXECUTORS,
    "who paints: this process, or workers of Ray, on this machine or on the cluster "
    "that RAY_ADDRESS names",
)
# What it was called in 0.1.
flags.DEFINE_alias("engine", "executor")
flags.DEFINE_bool(
    "dry_run", _JOB["dry_run"], "tell what would be painted and how long it would take"
)
flags.DEFINE_bool("quiet", False, "print errors only")
flags.DEFINE_bool("verbose", False, "show TensorFlow's messages and tracebacks")

flags.DEFINE_string(
    "model",
    _HUB.model,
    f"hub: {', '.join(FAST_MODELS)}, auto (the first, else the second), or the URL or "
    "folder of a model like Magenta's",
)
_define_float("strength", _HUB.strength, "hub: from 0, the photo, to 1, the style")
_define_integer(
    "style_size",
    None,
    "hub: of the style, in pixels; 0 suits the model: its longest side is 460 for "
    f"builtin, its shorter 256 for others [{_HUB.style_size}]; "
    f"slow: its longest side, 0 as the content's [{_GATYS.style_size}]",
)

flags.DEFINE_string(
    "backbone",
    _GATYS.backbone,
    "slow: vgg19, builtin, auto (the first, else the second), or a file of VGG-19's "
    "weights",
)
_define_enum(
    "pooling",
    _GATYS.pooling,
    POOLINGS,
    "slow: of the backbone; auto is average for builtin, max for VGG-19",
)
_define_enum(
    "precision",
    _GATYS.precision,
    PRECISIONS,
    "slow: of the backbone; auto is bfloat16 where there are matrix units for it",
)
flags.DEFINE_list(
    "content_layers", list(_GATYS.content_layers), "gatys: of the content loss"
)
flags.DEFINE_list("layers", list(_NEIGHBORS.layers), "neighbors: that are matched")
flags.DEFINE_list("style_layers", list(_GATYS.style_layers), "gatys: of the style loss")
flags.DEFINE_list(
    "style_layer_weights",
    list(_GATYS.style_layer_weights),
    "gatys: one per layer [equal]",
)
_define_float(
    "content_weight",
    None,
    f"higher keeps more of the photo; gatys: of the content loss "
    f"[{_GATYS.content_weight:g}]; neighbors: share of the photo in what looks for its "
    f"likes, up to 1 [{_NEIGHBORS.content_weight:g}]",
)
_define_float(
    "style_weight",
    _GATYS.style_weight,
    "gatys: of the style loss; higher paints more strongly",
)
_define_float(
    "tv_weight", _GATYS.tv_weight, "gatys: of total variation; higher is smoother"
)
_define_float(
    "temporal_weight",
    None,
    "slow: of a film; higher holds a frame more to the one before "
    f"[gatys {_GATYS.temporal_weight:g}, neighbors {_NEIGHBORS.temporal_weight:g}]",
)
flags.DEFINE_string(
    "init",
    None,
    f"slow: first picture: {', '.join(INITS)} or a file "
    f"[gatys {_GATYS.init}, neighbors {_NEIGHBORS.init}]",
)
_define_integer(
    "steps",
    None,
    f"slow: updates, all scales together [gatys {_GATYS.steps}, "
    f"neighbors {_NEIGHBORS.steps}]",
)
_define_float(
    "time_budget",
    _GATYS.time_budget,
    "slow: seconds for the whole run, start-up and all, in place of --steps",
)
_define_integer(
    "scales",
    _GATYS.scales,
    "slow: sizes to work at, each doubled; 0 begins at 256 pixels or less",
)
_define_enum("optimizer", _GATYS.optimizer, OPTIMIZERS, "slow: the update")
_define_float(
    "learning_rate",
    None,
    "slow: Adam's step; L-BFGS's first "
    f"[gatys {_GATYS.learning_rate:g}, neighbors {_NEIGHBORS.learning_rate:g}]",
)
_define_float("beta1", _GATYS.beta1, "slow: Adam's memory of past gradients")
_define_float("epsilon", _GATYS.epsilon, "slow: Adam's floor under gradients")
_define_integer(
    "tile",
    _GATYS.tile,
    "slow: work on tiles of so many pixels a side; 0 does where memory needs it",
)
_define_integer("seed", _GATYS.seed, "slow: of --init=noise")
flags.DEFINE_bool(
    "deterministic", _GATYS.deterministic, "slow: the same bits at every run"
)


def ours() -> list[flags.Flag]:
    """Returns the program's flags; absl has others of its own."""
    return FLAGS.flags_by_module_dict()[__name__]


def make_job(arguments: Sequence[str] = ()) -> Job:
    """Returns the job that flags, and arguments that are no flags, describe.

    Raises:
        InvalidInput: something is missing, or not what it should be.
    """
    if len(arguments) > len(POSITIONAL):
        raise InvalidInput(
            f"{len(arguments)} arguments, of which {arguments[0]!r} and "
            f"{arguments[-1]!r}; give at most a photo, a painting and an output, and "
            "put several photos into --content, or a glob into quotes"
        )
    if arguments and FLAGS.from_manifest:
        raise InvalidInput(
            f"{arguments[0]!r} cannot be given with --from_manifest, which sets it"
        )
    for name, value in zip(POSITIONAL, arguments):
        if FLAGS[name].present:
            raise InvalidInput(
                f"{name} is given twice, as {value!r} and as --{name}; leave one out"
            )
        FLAGS[name].value = value
    if FLAGS["engine"].present:
        print("tf_style: --engine is called --executor now", file=sys.stderr)
    if FLAGS.from_manifest:
        return _repeated_job()
    for name in ("content", "style"):
        if not FLAGS[name].value:
            raise InvalidInput(
                f"--{name} is missing: give a file, folder, glob or URL, as in "
                f"{EXAMPLE}"
            )
    return Job(
        contents=split(FLAGS.content),
        styles=split(FLAGS.style),
        output=FLAGS.output,
        format=FLAGS.format or Job.format,
        quality=FLAGS.quality,
        mode=FLAGS.mode,
        style_blend=FLAGS.style_blend,
        masks=split(FLAGS.mask) if FLAGS.mask else (),
        sweep=tuple(FLAGS.sweep),
        max_side=FLAGS.max_side,
        flow=FLAGS.flow,
        keyframes=FLAGS.keyframes,
        **_configs(),
        **_job_settings(),
    )


def _repeated_job():
    from tf_style.jobs import manifest

    allowed = {"from_manifest", "output", "quiet", "verbose", *_JOB}
    given = [f.name for f in ours() if f.present and f.name not in allowed]
    if given:
        raise InvalidInput(
            f"--{given[0]} cannot be given with --from_manifest, which sets it"
        )
    return replace(manifest.read(FLAGS.from_manifest, FLAGS.output), **_job_settings())


def _job_settings():
    return {name: FLAGS[name].value for name in _JOB}


def _configs():
    """Builds the config of each method from the flags of its fields' names.

    A method that is not used gets those that are its own: they are checked too, and
    the job can tell that they do nothing.
    """
    kinds = {method: kind for method, (_, kind) in METHODS.items()}
    used = modes.methods(FLAGS.mode, FLAGS.init)
    taken = {field.name for method in used for field in fields(kinds[method])}
    configs = {}
    # Of the others, the last one: a setting that two have may mean something else.
    for method, kind in reversed(kinds.items()):
        names = {field.name for field in fields(kind)}
        if method in used:
            names = {name for name in names if method in modes.sharing(used, name)}
        else:
            names -= taken
            taken |= names
        values = {name: _value(name) for name in names}
        given = {name: value for name, value in values.items() if value is not None}
        configs[method] = kind(**given)
    return configs


def _value(name):
    """Returns the value of a setting's flag, or None where the config's default holds.

    Methods that share a flag may have defaults of their own.
    """
    flag = FLAGS[name]
    if not flag.present and flag.value == flag.default:
        return None
    value = flag.value
    return _numbers(name, value) if name.endswith("_weights") else value


def _numbers(name, texts):
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise InvalidInput(
            f"{name} is {','.join(texts)!r}; it must be numbers"
        ) from None


def split(sources: str) -> tuple[str, ...]:
    """Splits at commas that are not part of the name of a file or of an address."""
    found, parts = [], sources.split(",")
    while parts:
        count = _count_joined(parts)
        joined = ",".join(parts[:count])
        # Names may begin or end with spaces, though hardly any does.
        found.append(joined if os.path.exists(files.local(joined)) else joined.strip())
        parts = parts[count:]
    return tuple(filter(None, found))


def _count_joined(parts):
    """Returns how many parts between commas are the first name."""
    if count := _count_existing(parts):
        return count
    count, address = 1, parts[0].strip().lower()
    if not _is_url(address):
        return 1
    # It goes on up to a picture's ending, or to what is something by itself.
    while count < len(parts) and not address.endswith(ENDINGS):
        following = parts[count].strip().lower()
        if _is_url(following) or _count_existing(parts[count:]):
            break
        address, count = following, count + 1
    return count


def _is_url(text):
    return text.startswith(("http://", "https://"))


def _count_existing(parts):
    """Returns how many parts are the name of a file or folder; 0 if none are."""
    for count in range(len(parts), 0, -1):
        name = ",".join(parts[:count])
        if any(n and os.path.exists(files.local(n)) for n in (name, name.strip())):
            return count
    return 0
