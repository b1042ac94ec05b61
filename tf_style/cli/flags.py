"""The flags, and the job that they describe."""

import os
import sys
import typing
from collections.abc import Sequence
from dataclasses import fields, replace

from absl import flags

from tf_style.config import NAMES, help_of
from tf_style.jobs import modes
from tf_style.jobs.job import Job
from tf_style.methods import METHODS
from tf_style.system import files
from tf_style.system.errors import InvalidInput

FLAGS = flags.FLAGS

EXAMPLE = "tf-style photo.jpg painting.jpg"
# Endings of addresses, by which a comma after one is told from a comma within.
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".mp4")
# The flags that the first arguments stand for.
POSITIONAL = ("content", "style", "output")


class _Float(flags.FloatParser):
    """Reads 0.5 and 50%."""

    def convert(self, argument: object) -> float:
        text = str(argument).strip()
        try:
            return float(text[:-1]) / 100 if text[-1:] == "%" else float(text)
        except ValueError:
            raise ValueError("it must be a number") from None


class _Integer(flags.IntegerParser):
    """Reads 1000 and 1e3."""

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


class _Boolean(flags.BooleanParser):
    """Reads true and false, and what means the same."""

    def parse(self, argument: object) -> bool:
        text = {"yes": "true", "on": "true", "no": "false", "off": "false"}
        try:
            return super().parse(text.get(str(argument).lower(), argument))
        except ValueError:
            raise ValueError("it must be true or false") from None


def _define(name, spec, text, default):
    """Defines the flag of a field of a config."""
    if choices := spec.metadata["choices"]:
        flags.DEFINE_enum(name, default or None, choices, text, case_sensitive=False)
    elif typing.get_origin(spec.type) is tuple:
        flags.DEFINE_list(name, list(default), text)
    elif spec.type is bool:
        flag = flags.BooleanFlag(name, default, text)
        flag.parser = _Boolean()
        flags.DEFINE_flag(flag)
    elif spec.type is str:
        flags.DEFINE_string(name, default, text)
    else:
        parser = _Float() if spec.type is float else _Integer()
        flags.DEFINE(parser, name, default, text, serializer=flags.ArgumentSerializer())


def _define_job():
    """Defines the flags of what to paint, and of how the job is done."""
    specs = {spec.name: spec for spec in fields(Job)}
    for name in ("content", "style", "mask"):
        text = f"{help_of(Job, f'{name}s')} Separate several by commas."
        flags.DEFINE_string(name, None, text)
    for name in (
        "output",
        "format",
        "quality",
        "keep_location",
        "style_blend",
        "flow",
        "keyframes",
        *_REPEATABLE,
    ):
        _define(name, specs[name], help_of(Job, name), specs[name].default)
    flags.DEFINE_multi_string("sweep", list(Job.sweep), help_of(Job, "sweep"))
    kinds = "; ".join(f"{name}: {mode.HELP}" for name, mode in modes.MODES.items())
    _define("mode", specs["mode"], f"{help_of(Job, 'mode')} {kinds}.", Job.mode)
    sides = ", ".join(f"{name} {mode.MAX_SIDE}" for name, mode in modes.MODES.items())
    _define(
        "max_side",
        specs["max_side"],
        f"{help_of(Job, 'max_side')} [{sides}]",
        Job.max_side,
    )


def _define_settings():
    """Defines the flags of all methods' settings; methods may share one."""
    specs = {}
    for method, (_, kind) in METHODS.items():
        for spec in fields(kind):
            specs.setdefault(spec.name, {})[method] = spec
    for name, by_method in specs.items():
        texts = _grouped({m: spec.metadata["help"] for m, spec in by_method.items()})
        text = " ".join(
            words if len(texts) == 1 else f"{methods}: {words}"
            for words, methods in texts.items()
        )
        defaults = _grouped({m: spec.default for m, spec in by_method.items()})
        default = next(iter(defaults))
        if len(defaults) > 1:  # Each config has its own.
            said = ", ".join(
                f"{methods} {value:g}"
                if isinstance(value, float)
                else f"{methods} {value}"
                for value, methods in defaults.items()
            )
            text, default = f"{text} [{said}]", None
        _define(name, next(iter(by_method.values())), text, default)


def _grouped(by_method):
    """Returns the distinct values, each with the names of the methods that have it."""
    methods = {}
    for method, value in by_method.items():
        methods.setdefault(value, []).append(method)
    return {value: " and ".join(names) for value, names in methods.items()}


# How a job is done, whatever it is: a repeated run takes these flags too.
_REPEATABLE = (
    "checkpoint_every",
    "dry_run",
    "executor",
    "resume",
    "save_every",
    "timelapse",
)
_define_job()
_define_settings()
# Its name in 0.1.
flags.DEFINE_alias("engine", "executor")
flags.DEFINE_string(
    "from_manifest",
    None,
    "Repeat the run that a manifest, the .json file beside a picture, describes.",
)
flags.DEFINE_bool("quiet", False, "Print errors only.")
flags.DEFINE_bool("verbose", False, "Show TensorFlow's messages, and tracebacks.")


def ours() -> list[flags.Flag]:
    """Returns the program's own flags; absl defines others."""
    return FLAGS.flags_by_module_dict()[__name__]


def make_job(arguments: Sequence[str] = ()) -> Job:
    """Returns the job that the flags and the positional arguments describe.

    Raises:
        InvalidInput: something is missing or invalid.
    """
    if len(arguments) > len(POSITIONAL):
        raise InvalidInput(
            f"{len(arguments)} arguments, from {arguments[0]!r} to {arguments[-1]!r}; "
            "give at most a photo, a painting and an output, pass several photos with "
            "--content, and quote globs"
        )
    if arguments and FLAGS.from_manifest:
        raise InvalidInput(
            f"{arguments[0]!r} cannot be combined with --from_manifest, which sets it"
        )
    for name, value in zip(POSITIONAL, arguments):
        if FLAGS[name].present:
            raise InvalidInput(
                f"{name} is given twice, as {value!r} and as --{name}; remove one"
            )
        FLAGS[name].value = value
    if FLAGS["engine"].present:
        print("tf_style: --engine is now called --executor", file=sys.stderr)
    if FLAGS.from_manifest:
        return _repeated_job()
    for name in ("content", "style"):
        if not split(FLAGS[name].value or ""):
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
        keep_location=FLAGS.keep_location,
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

    allowed = {"from_manifest", "output", "quiet", "verbose", *_REPEATABLE}
    given = [f.name for f in ours() if f.present and f.name not in allowed]
    if given:
        raise InvalidInput(
            f"--{given[0]} cannot be combined with --from_manifest, which sets it"
        )
    return replace(manifest.read(FLAGS.from_manifest, FLAGS.output), **_job_settings())


def _job_settings():
    return {name: FLAGS[name].value for name in _REPEATABLE}


def _configs():
    """Builds the config of each method from the flags named after its fields.

    Unused methods get the flags that no used method has, so that these are checked too
    and the job can say that they do nothing.
    """
    kinds = {method: kind for method, (_, kind) in METHODS.items()}
    used = modes.methods(FLAGS.mode, FLAGS.init)
    taken = {field.name for method in used for field in fields(kinds[method])}
    configs = {}
    # A flag that several unused methods share goes to the last of them only, since it
    # may mean different things.
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
    """Returns the value of a setting's flag, or None for the config's default.

    Methods that share a flag may have different defaults.
    """
    flag = FLAGS[name]
    if not flag.present and flag.value == flag.default:
        return None
    value = flag.value
    # As --mode=Hub, but it may be a file too.
    if name in NAMES and value.lower() in NAMES[name] and not os.path.exists(value):
        value = value.lower()
    return _numbers(name, value) if name.endswith("_weights") else value


def _numbers(name, texts):
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise InvalidInput(
            f"{name} is {','.join(texts)!r}; it must be numbers, separated by commas"
        ) from None


def split(sources: str) -> tuple[str, ...]:
    """Splits at commas, except those within the name of a file or an address."""
    found, parts = [], sources.split(",")
    while parts:
        count = _count_joined(parts)
        joined = ",".join(parts[:count])
        # Names of files may begin or end with spaces.
        found.append(joined if os.path.exists(files.local(joined)) else joined.strip())
        parts = parts[count:]
    return tuple(filter(None, found))


def _count_joined(parts):
    """Returns how many of the parts make up the first name."""
    if count := _count_existing(parts):
        return count
    count, address = 1, parts[0].strip().lower()
    if not _is_url(address):
        return 1
    # The address ends with a picture's ending, or before another name.
    while count < len(parts) and not address.endswith(ENDINGS):
        following = parts[count].strip().lower()
        if _is_url(following) or _count_existing(parts[count:]):
            break
        address, count = following, count + 1
    return count


def _is_url(text):
    return text.startswith(("http://", "https://"))


def _count_existing(parts):
    """Returns how many of the parts make up the name of an existing file; 0 if none."""
    for count in range(len(parts), 0, -1):
        name = ",".join(parts[:count])
        if any(n and os.path.exists(files.local(n)) for n in (name, name.strip())):
            return count
    return 0
