"""`tf-style export`: writes the built-in stylizer as a model for other programs."""

import os
import re
import signal
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from absl import flags, logging

from tf_style.jobs import manifest
from tf_style.system import files, startup
from tf_style.system.errors import InvalidInput

FORMATS = {
    "savedmodel": "a folder for TensorFlow, and tensorflow_hub.load",
    "onnx": "one file for ONNX Runtime, in browsers too",
    "litert": "one file for LiteRT (TensorFlow Lite), for pictures of one size",
}
USAGE = """Writes the built-in stylizer as a model for other programs.

    tf-style export --format=savedmodel model/
    tf-style export --format=onnx model.onnx
    tf-style export --format=litert --size=640x480 model.tflite
"""

FLAGS = flags.FlagValues()
flags.DEFINE_enum(
    "model", "builtin", ["builtin"], "Model to export: our own.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "format",
    None,
    list(FORMATS),
    "; ".join(f"{name}: {text}" for name, text in FORMATS.items()),
    case_sensitive=False,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "output", None, "Where to write; the same as PATH.", flag_values=FLAGS
)
flags.DEFINE_string(
    "size", None, "litert: size of photos, WIDTHxHEIGHT. [512x384]", flag_values=FLAGS
)
flags.DEFINE_string(
    "style_size",
    None,
    "litert: size of paintings, WIDTHxHEIGHT. [460x460]",
    flag_values=FLAGS,
)
flags.DEFINE_bool("quiet", False, "Print errors only.", flag_values=FLAGS)
flags.DEFINE_bool("verbose", False, "Show TensorFlow's messages.", flag_values=FLAGS)
SIZES = {"size": (512, 384), "style_size": (460, 460)}


def main(argv: Sequence[str]) -> int:
    """Runs `export` with its arguments; returns the exit status."""
    if {"-h", "-help", "--help", "-?", "--helpshort"} & {*argv[1:]}:
        print(USAGE, *map(_describe, FLAGS.get_flags_for_module(__name__)), sep="\n")
        return 0
    interrupts = []

    def hear(*_):
        interrupts.append(True)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    try:
        try:
            _export(FLAGS(argv)[1:])
        except Exception:
            # An interrupted import of TensorFlow can fail in any way.
            if interrupts:
                raise KeyboardInterrupt from None
            raise
    except (flags.Error, ValueError, OSError, ImportError) as error:
        if FLAGS.is_parsed() and FLAGS.verbose:
            raise
        hint = "; see tf-style export --help" if isinstance(error, flags.Error) else ""
        print(f"tf_style: {' '.join(str(error).split())}{hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tf_style: interrupted", file=sys.stderr)
        return 130
    return 0


def _describe(flag):
    name = f"  --{'[no]' if flag.boolean else ''}{flag.name} "
    return textwrap.fill(f"{name:<16} {flag.help}", 88, subsequent_indent=" " * 17)


def _export(arguments):
    if len(arguments) + (FLAGS.output is not None) != 1:
        raise InvalidInput(
            f"export takes one PATH and got {len(arguments)}; give it as in "
            "tf-style export --format=onnx model.onnx"
            if FLAGS.output is None
            else "PATH is given twice, also as --output; remove one"
        )
    if FLAGS.format is None:
        raise InvalidInput(f"--format is missing: give one of {', '.join(FORMATS)}")
    sizes = {name: _size(name) for name in SIZES}
    path = files.local(FLAGS.output or arguments[0])
    # Check before the work, and again after it.
    _check(path)
    made = _convert(sizes)
    _check(path)
    outputs = [path / name for name in sorted(made, key=len)]
    account = {"model": FLAGS.model, "format": FLAGS.format} | sizes
    with manifest.publishing(account, outputs, {}) as temporaries:
        for name, temporary in zip(sorted(made, key=len), temporaries):
            temporary.write_bytes(made[name])
    if not FLAGS.quiet:
        print(f"wrote {path}, {sum(map(len, made.values())) / 1e6:.1f} MB")


def _size(name):
    """Reads a flag as width and height; None in formats that take any size."""
    text = FLAGS[name].value
    if FLAGS.format != "litert":
        if text is not None:
            raise InvalidInput(
                f"--{name} is for litert; {FLAGS.format} takes pictures of any size"
            )
        return None
    if text is None:
        return SIZES[name]
    if not re.fullmatch(r"\d{1,9}x\d{1,9}", text, re.ASCII):
        raise InvalidInput(
            f"--{name} is {text!r}; it must be WIDTHxHEIGHT in pixels, such as 512x384"
        )
    width, height = map(int, text.split("x"))
    return width, height


def _check(path):
    """Checks that an existing output is ours."""
    if FLAGS.format != "savedmodel" or not path.is_dir():
        return manifest.check_ours([path])
    first = path / "saved_model.pb"
    found = {Path(at, name) for at, _, names in os.walk(path) for name in names}
    # Killed processes leave temporary files behind.
    others = {other for other in found if not files.is_temporary(other.name)}
    manifest.check_ours([first, *sorted(others - {first, manifest.path_of(first)})])


def _convert(sizes):
    """Returns the contents of the model's files, by their paths below the output."""
    if not FLAGS.verbose:
        logging.set_verbosity(logging.ERROR)

    def load():
        from tf_style.fast import export

        return export

    export = startup.import_quietly(load, FLAGS.verbose)
    convert = {
        "savedmodel": export.to_saved_model,
        "onnx": lambda: {"": export.to_onnx()},
        "litert": lambda: {"": export.to_litert(**sizes)},
    }[FLAGS.format]
    if FLAGS.verbose:
        return convert()
    with startup.silenced():  # Converters print every step.
        return convert()
