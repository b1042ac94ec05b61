"""A worker of the Ray executor: hands its parts of a job to the local executor.

Importing it does not load TensorFlow, which needs to know its settings before.
"""

import contextlib
import os
import pickle
import socket
import traceback
import uuid
from typing import NamedTuple

from tf_style.jobs.events import Failed, Info, Skipped, Started, Written
from tf_style.jobs.job import Job
from tf_style.system import startup

# How often a part is begun whose worker dies; one picture could kill them for ever.
MAX_TRIES = 3
# Steps and frames are not reported: nobody could follow those of all workers.
REPORTED = (Failed, Skipped, Info, Started, Written)


class WorkerContext(NamedTuple):
    """What a worker must know of a job."""

    job: Job  # whose models are settled
    styles: tuple[str, ...]
    readable: frozenset[str]  # those of them that could be read
    count: int  # of all pictures of the job
    folder: str  # that relative paths start from
    environment: dict[str, str]
    # Path of a file that is there until the job is stopped; tries stand beside it.
    running_file: str
    cores: int  # to compute on; 0: as TensorFlow likes


class Report(NamedTuple):
    """What became of a part of a job."""

    part: int
    worker: str  # a name that no other has
    machine: str
    events: list  # those of `tf_style.events`
    written: frozenset  # paths of what is there
    stopped: bool  # whether that file was gone before the end
    error: tuple[type, str] | None  # what ends the whole job


class Worker:
    """Paints part after part, with one model.

    Args:
        context: a `WorkerContext`.
    """

    def __init__(self, context):
        os.environ.update(context.environment)
        # Elsewhere than on the machine that sent it, the folder may not exist.
        with contextlib.suppress(OSError):
            os.chdir(context.folder)
        self._local, inputs, self._stop_token = startup.import_quietly(_import_executor)
        if context.cores:
            _keep_to(context.cores)
        self._style_cache = inputs.StyleCache(context.job, context.styles)
        self._style_cache.readable = context.readable
        self._context = context
        self._name = uuid.uuid4().hex

    def __call__(self, row):
        """Paints one part.

        Args:
            row: its number, and its `plan.Pair`s as pickle has them.

        Returns:
            A row with the `Report`, as pickle has it.
        """
        events, error, stopped, written = [], None, False, frozenset()
        try:
            pairs = pickle.loads(row["pairs"])
            if self._is_over():
                stopped = True
            elif self._tries(row["part"]) > MAX_TRIES:
                events.append(_given_up(pairs))
            else:
                stopped, written = self._stylize(pairs, events.append)
        except (ValueError, OSError, ImportError) as reason:
            error = ValueError if isinstance(reason, ValueError) else OSError
            error = error, str(reason)
        except Exception:  # Elsewhere nobody would see where it came from.
            error = RuntimeError, traceback.format_exc()
        machine = socket.gethostname()
        report = Report(
            row["part"], self._name, machine, events, written, stopped, error
        )
        return {"report": pickle.dumps(report)}

    def _stylize(self, pairs, report):
        """Reports the events of the local executor; stops it when that file is gone.

        Returns:
            Whether it was stopped, and the paths of what is there.
        """
        job, count = self._context.job, self._context.count
        stop = self._stop_token(watch=self._is_over)
        events = self._local.stylize(
            job, pairs, self._style_cache, count, 0.0, lambda *_: None, stop
        )
        try:
            while True:
                event = next(events)
                if isinstance(event, REPORTED):
                    report(event)
        except StopIteration as end:
            return stop.requested, frozenset(end.value)

    def _is_over(self):
        return not os.path.exists(self._context.running_file)

    def _tries(self, part):
        """Returns how often a part was begun, by whomever, and now."""
        with open(f"{self._context.running_file}-{part}", "ab") as stream:
            stream.write(b"1")
            return stream.tell()


def _given_up(pairs):
    first, last = (pair.output.name for pair in (pairs[0], pairs[-1]))
    return Failed(
        f"some pictures from {first} to {last} are missing: {MAX_TRIES} workers died "
        "while painting them, perhaps for lack of memory; the same command continues "
        "from here"
    )


def _import_executor():
    from tf_style.jobs import inputs
    from tf_style.jobs.executors import local
    from tf_style.system.stop import StopToken

    return local, inputs, StopToken


def _keep_to(cores):
    """Has TensorFlow compute on so many cores; it must not have computed yet."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(cores)
