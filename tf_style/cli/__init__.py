"""The command line: flags in, pictures out, one plain line for whatever went wrong.

The only module that reads flags or prints.
"""

import contextlib
import os
import signal
import sys
import time
from dataclasses import fields, replace

from absl import app, flags, logging

from tf_style.config import (
    INITS,
    OPTIMIZERS,
    POOLINGS,
    PRECISIONS,
    PRESERVED,
    GatysConfig,
    HubConfig,
)
from tf_style.jobs import modes
from tf_style.jobs.job import EXECUTORS, Job
from tf_style.system import files, startup
from tf_style.system.stop import StopToken

# When the program began, for its time budget.
_BEGAN = time.monotonic()
_GATYS, _HUB = GatysConfig(), HubConfig()
# How the job is done, whatever it is: the flags that a repeated run takes too.
_JOB = {
    field.name: field.default
    for field in fields(Job)
    if field.name
    in ("checkpoint_every", "dry_run", "executor", "resume", "save_every", "timelapse")
}
_SIDES = ", ".join(f"{m.MAX_SIDE} for {name}" for name, m in modes.MODES.items())

flags.DEFINE_enum(
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
flags.DEFINE_string("style", None, "paintings, in the same way; every pair is made")
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
flags.DEFINE_float(
    "style_scale", _HUB.style_scale, "factor on the size of the style, and of strokes"
)
flags.DEFINE_enum(
    "preserve_color",
    _HUB.preserve_color,
    PRESERVED,
    "what to keep of the photo's colours: hue and saturation (luminance), mean and "
    "spread (covariance), the distribution of each channel (histogram)",
)
flags.DEFINE_float(
    "color_strength", _HUB.color_strength, "how far preserve_color goes, from 0 to 1"
)
flags.DEFINE_string(
    "output",
    "",
    "file or folder [stylized.png, .gif or .mp4; stylized/ for several pictures]",
)
flags.DEFINE_integer(
    "max_side", None, f"longest side of the result, in pixels; 0 keeps it [{_SIDES}]"
)
flags.DEFINE_string(
    "from_manifest", None, "repeat the run that this .json beside a picture describes"
)
flags.DEFINE_float(
    "checkpoint_every",
    _JOB["checkpoint_every"],
    "gatys: seconds between checkpoints, for --resume; 0 writes none",
)
flags.DEFINE_bool(
    "resume", _JOB["resume"], "gatys: go on from checkpoints of runs that were stopped"
)
flags.DEFINE_integer(
    "save_every", _JOB["save_every"], "gatys: write every so manyth step; 0 writes none"
)
flags.DEFINE_string(
    "timelapse", _JOB["timelapse"], "gatys: make a film of one picture, .gif or .mp4"
)
flags.DEFINE_multi_string(
    "sweep",
    list(Job.sweep),
    "try a setting at several values, as style_weight=1e-4,1e-3; given twice, two",
)
flags.DEFINE_bool(
    "flow", Job.flow, "of a film, paint along with what moves, against flicker"
)
flags.DEFINE_enum(
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
    "hub: magenta, builtin, auto (the first, else the second), or the URL or folder of "
    "a model like Magenta's",
)
flags.DEFINE_float("strength", _HUB.strength, "hub: from 0, the photo, to 1, the style")
flags.DEFINE_integer(
    "style_size",
    None,
    "hub: of the style, in pixels; 0 suits the model: its longest side is 460 for "
    f"builtin, its shorter 256 for others [{_HUB.style_size}]; "
    f"gatys: its longest side, 0 as the content's [{_GATYS.style_size}]",
)

flags.DEFINE_string(
    "backbone",
    _GATYS.backbone,
    "gatys: vgg19, builtin, auto (the first, else the second), or a file of VGG-19's "
    "weights",
)
flags.DEFINE_enum(
    "pooling",
    _GATYS.pooling,
    POOLINGS,
    "gatys: of the backbone; auto is average for builtin, max for VGG-19",
)
flags.DEFINE_enum(
    "precision",
    _GATYS.precision,
    PRECISIONS,
    "gatys: of the backbone; auto is bfloat16 where there are matrix units for it",
)
flags.DEFINE_list("content_layers", list(_GATYS.content_layers), "gatys: what to keep")
flags.DEFINE_list("style_layers", list(_GATYS.style_layers), "gatys: what to imitate")
flags.DEFINE_list(
    "style_layer_weights",
    list(_GATYS.style_layer_weights),
    "gatys: one per layer [equal]",
)
flags.DEFINE_float("content_weight", _GATYS.content_weight, "gatys: more keeps more")
flags.DEFINE_float("style_weight", _GATYS.style_weight, "gatys: more paints more")
flags.DEFINE_float("tv_weight", _GATYS.tv_weight, "gatys: more is smoother")
flags.DEFINE_float(
    "temporal_weight",
    _GATYS.temporal_weight,
    "gatys: of a film, more holds a frame more to the one before",
)
flags.DEFINE_string(
    "init", _GATYS.init, f"gatys: first picture: {', '.join(INITS)} or a file"
)
flags.DEFINE_integer("steps", _GATYS.steps, "gatys: updates, all scales together")
flags.DEFINE_float(
    "time_budget",
    _GATYS.time_budget,
    "gatys: seconds for the whole run, start-up and all, in place of --steps",
)
flags.DEFINE_integer(
    "scales",
    _GATYS.scales,
    "gatys: sizes to work at, each doubled; 0 begins at 256 pixels or less",
)
flags.DEFINE_enum("optimizer", _GATYS.optimizer, OPTIMIZERS, "gatys: the update")
flags.DEFINE_float(
    "learning_rate", _GATYS.learning_rate, "gatys: Adam's step; L-BFGS's first"
)
flags.DEFINE_float("beta1", _GATYS.beta1, "gatys: Adam's memory of past gradients")
flags.DEFINE_float("epsilon", _GATYS.epsilon, "gatys: Adam's floor under gradients")
flags.DEFINE_integer(
    "tile",
    _GATYS.tile,
    "gatys: work on pieces of so many pixels a side; 0 does where memory needs it",
)
flags.DEFINE_integer("seed", _GATYS.seed, "gatys: of --init=noise")
flags.DEFINE_bool(
    "deterministic", _GATYS.deterministic, "gatys: the same bits at every run"
)

FLAGS = flags.FLAGS

USAGE = """Repaints photos in the style of paintings.

    python -m tf_style --content=photo.jpg --style=painting.jpg --output=out.png
"""


def main():
    """Runs the program and exits: 0 done, 1 nothing made, 2 some failed, 130 Ctrl-C."""
    # absl shows the docstring of the main module as the help's first lines.
    sys.modules["__main__"].__doc__ = USAGE
    _secure_streams()
    app.run(_main, flags_parser=_parse_flags)


def _secure_streams():
    """Lets output be closed, or unable to show a file's name, without harm to a job."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            files.discard_output(number)
            setattr(sys, name, open(number, "w", closefd=False))
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _parse_flags(argv):
    try:
        return FLAGS(argv)
    except (flags.Error, ValueError) as error:
        _fail(f"{' '.join(str(error).split())}; see --help")
    except BrokenPipeError:  # of `--help | head`
        files.discard_output(sys.stdout.fileno())
        raise SystemExit(0) from None
    except SystemExit as help_was_shown:
        # absl leaves with 1 after --help.
        raise SystemExit(0) from help_was_shown


def _main(argv):
    try:
        if len(argv) > 1:
            raise ValueError(f"unexpected argument {argv[1]!r}; every input has a flag")
        job = _make_job()
        with contextlib.ExitStack() as stack:
            if FLAGS.quiet:  # Keras tells of its downloads.
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            status = _run(job)
    except (ValueError, OSError, ImportError) as error:
        if FLAGS.verbose:
            raise
        _fail(" ".join(str(error).split()))
    except KeyboardInterrupt:
        print("tf_style: interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)


def _run(job):
    """Does the job while showing it; returns the exit status."""
    run, display = _import_methods()
    console, signals = display.Display(FLAGS.quiet), _Signals()
    try:
        for event in run.run(job, _BEGAN, signals.stop):
            # A step that is cut short can fail in any way, so it is let finish.
            signals.patient = signals.patient or isinstance(
                event, (run.gatys.Step, run.Framed)
            )
            console.show(event)
    except Exception:
        if signals.stop.requested:
            raise KeyboardInterrupt from None
        raise
    finally:
        console.close()
        console.sum_up()
    if signals.stop.requested:
        raise KeyboardInterrupt
    if not console.failed:
        return 0
    return 2 if console.written or console.skipped or console.planned else 1


class _Signals:
    """Hears Ctrl-C and SIGTERM.

    Attributes:
        stop: the `StopToken` that they set.
        patient: whether the first waits for the step that is being made, rather than
            raising at once.
    """

    def __init__(self):
        self.stop, self.patient, self._came = StopToken(), False, 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, *_):
        self._came += 1
        self.stop.set()
        # The second is the impatient one, the third means it.
        if self._came > 2 or (self._came == 1 and not self.patient):
            raise KeyboardInterrupt


def _fail(reason):
    print(f"tf_style: {reason}", file=sys.stderr)
    sys.exit(1)


def _import_methods():
    """Imports what needs TensorFlow, without its start-up messages."""
    if not FLAGS.verbose:
        logging.set_verbosity(logging.WARNING)
    if not FLAGS.quiet:
        os.environ.setdefault("TFHUB_DOWNLOAD_PROGRESS", "1")

    def load():
        from tf_style.cli import display
        from tf_style.jobs import run

        return run, display

    return startup.import_quietly(load, FLAGS.verbose)


def _make_job():
    if FLAGS["engine"].present:
        print("tf_style: --engine is called --executor now", file=sys.stderr)
    if FLAGS.from_manifest:
        return _repeated_job()
    for name in ("content", "style"):
        if not FLAGS[name].value:
            raise ValueError(f"--{name} is missing: give a file, folder, glob or URL")
    return Job(
        contents=_split(FLAGS.content),
        styles=_split(FLAGS.style),
        output=FLAGS.output,
        mode=FLAGS.mode,
        style_blend=FLAGS.style_blend,
        masks=_split(FLAGS.mask) if FLAGS.mask else (),
        sweep=tuple(FLAGS.sweep),
        max_side=FLAGS.max_side,
        flow=FLAGS.flow,
        **_configs(),
        **_manner(),
    )


def _repeated_job():
    from tf_style.jobs import manifest

    allowed = {"from_manifest", "output", "quiet", "verbose", *_JOB}
    ours = FLAGS.flags_by_module_dict()[__name__]
    given = [f.name for f in ours if f.present and f.name not in allowed]
    if given:
        raise ValueError(
            f"--{given[0]} cannot be given with --from_manifest, which sets it"
        )
    return replace(manifest.read(FLAGS.from_manifest, FLAGS.output), **_manner())


def _manner():
    return {name: FLAGS[name].value for name in _JOB}


def _configs():
    """Builds the config of each method from the flags of its fields' names.

    A method that is not used gets those that are its own: they are checked too, and
    the job can tell that they do nothing.
    """
    kinds = {"gatys": GatysConfig, "hub": HubConfig}
    used = modes.MODES[FLAGS.mode].methods(FLAGS.init)
    taken = {field.name for method in used for field in fields(kinds[method])}
    configs = {}
    for method, kind in kinds.items():
        names = {field.name for field in fields(kind)}
        names -= set() if method in used else taken
        values = {name: _value(name) for name in names}
        given = {name: value for name, value in values.items() if value is not None}
        configs[method] = kind(**given)
    return configs


def _value(name):
    """Returns the value of a setting's flag, or None where the default holds."""
    value = FLAGS[name].value
    return _numbers(name, value) if name.endswith("_weights") else value


def _numbers(name, texts):
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise ValueError(f"{name} is {','.join(texts)!r}; it must be numbers") from None


def _split(sources):
    """Splits at commas, unless there is a file whose name has them."""
    if os.path.exists(files.local(sources)):
        return (sources,)
    return tuple(source.strip() for source in sources.split(",") if source.strip())
