"""The program: runs a job, shows it, and exits with one line for what went wrong.

Only this folder reads flags or prints.
"""

import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from absl import app, flags, logging

from tf_style import __version__
from tf_style.cli.flags import FLAGS, make_job, ours
from tf_style.cli.help import USAGE, describe
from tf_style.jobs import modes
from tf_style.system import files, startup
from tf_style.system.stop import StopToken

# Start of the program, for its time budget.
_BEGAN = time.monotonic()
HELP = {"-h", "-help", "--help", "-?", "--helpshort"}


def main() -> None:
    """Runs the program and exits: 0 done, 1 nothing made, 2 some failed, 130 Ctrl-C."""
    _secure_streams()
    if sys.argv[1:2] == ["export"]:
        from tf_style.cli import export

        sys.exit(export.main(sys.argv[1:]))
    app.run(run, flags_parser=parse)


def _secure_streams():
    """Makes output robust against closed streams and unprintable file names."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            files.discard_output(number)
            setattr(sys, name, open(number, "w", closefd=False))
        getattr(sys, name).reconfigure(errors="backslashreplace")


def parse(argv: Sequence[str]) -> list[str]:
    """Reads flags; returns the program's name and the positional arguments."""
    try:
        if HELP & {*argv[1:]}:
            print(describe(), flush=True)
            sys.exit()
        if "--version" in argv[1:]:
            print(f"tf_style {__version__}", flush=True)
            sys.exit()
        return FLAGS([*_respelled(argv)])
    except (flags.Error, ValueError) as error:
        _fail(f"{' '.join(str(error).split())}; see --help")
    except BrokenPipeError:  # of `--help | head`
        files.discard_output(sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:  # of `--help > file` on a full disk
        files.discard_output(sys.stdout.fileno())
        _fail(f"cannot write the help: {error.strerror}")
    except SystemExit as help_was_shown:
        # absl exits with 1 after --help.
        raise SystemExit(0) from help_was_shown


def _respelled(argv):
    """Yields arguments, with the names of flags as absl spells them.

    Other programs have --style-size for --style_size, --no-flow for --noflow, and -v.
    """
    for place, argument in enumerate(argv):
        if argument == "--":
            yield from argv[place:]
            return
        name, *value = argument.split("=", 1)
        plain = "verbose" if name == "-v" else name.removeprefix("--").replace("-", "_")
        if plain.startswith("no_") and plain[3:] in FLAGS:
            plain = f"no{plain[3:]}"
        is_ours = plain in FLAGS or plain.removeprefix("no") in FLAGS
        if name == "-v" or (name.startswith("--") and is_ours):
            name = f"--{plain}"
        yield "=".join([name, *value])


def run(argv: Sequence[str]) -> NoReturn:
    """Runs what `parse` read, and exits."""
    try:
        if len(argv) == 1 and not any(flag.present for flag in ours()):
            print(USAGE, "--help lists all flags.", sep="\n", file=sys.stderr)
            sys.exit(1)
        job = make_job(argv[1:])
        with contextlib.ExitStack() as stack:
            if FLAGS.quiet:  # Keras prints its downloads.
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            status = _run(job)
    except (ValueError, OSError, ImportError) as error:
        if FLAGS.verbose:
            raise
        reason = " ".join(str(error).split())
        # Of os.getcwd, which names no file.
        if error.args == (errno.ENOENT, os.strerror(errno.ENOENT)):
            reason = "the current folder was deleted; change to another one"
        _fail(reason)
    except KeyboardInterrupt as interrupt:
        print(f"tf_style: interrupted{interrupt}", file=sys.stderr)
        status = 130
    sys.exit(status)


def _run(job):
    """Runs and shows the job; returns the exit status."""
    run, display = _import_methods()
    console, signals = display.Display(FLAGS.quiet), _Signals()
    try:
        for event in run.run(job, _BEGAN, signals.stop):
            # An interrupted step can fail in any way, so let it finish.
            signals.patient = signals.patient or isinstance(
                event, (run.Step, run.Framed)
            )
            console.show(event)
    except Exception:
        if signals.stop.requested:
            raise KeyboardInterrupt(_describe_resuming(job, console)) from None
        raise
    finally:
        console.close()
        console.sum_up()
    if signals.stop.requested:
        raise KeyboardInterrupt(_describe_resuming(job, console))
    if not console.failed:
        return 0
    return 2 if console.written or console.skipped or console.planned else 1


def _describe_resuming(job, console):
    """Returns how to continue an interrupted job."""
    if not console.is_resumable:
        return ""
    if modes.of(job).HAS_CHECKPOINTS and job.checkpoint_every:
        return "; the same command with --resume continues"
    return "; the same command continues" if console.written else ""


class _Signals:
    """Turns Ctrl-C and SIGTERM into requests to stop.

    Attributes:
        stop: the `StopToken` that they set.
        patient: whether the first one lets the current step finish instead of raising.
    """

    def __init__(self):
        self.stop, self.patient, self._came = StopToken(), False, 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, *_):
        self._came += 1
        self.stop.set()
        # When patient, only the third raises; the second may come from a double press.
        if self._came > 2 or (self._came == 1 and not self.patient):
            raise KeyboardInterrupt


def _fail(reason: str) -> NoReturn:
    print(f"tf_style: {reason}", file=sys.stderr)
    sys.exit(1)


def _import_methods():
    """Imports the modules that need TensorFlow, without its start-up messages."""
    if not FLAGS.verbose:
        logging.set_verbosity(logging.WARNING)
    if not FLAGS.quiet:
        os.environ.setdefault("TFHUB_DOWNLOAD_PROGRESS", "1")

    def load():
        from tf_style.cli import display
        from tf_style.jobs import run

        return run, display

    return startup.import_quietly(load, FLAGS.verbose)
