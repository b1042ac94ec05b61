"""A worker of the Ray executor: runs parts of a job with the local executor.

Importing it does not load TensorFlow, which needs its settings first.
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

# Attempts at a part whose worker dies; one picture could kill workers forever.
MAX_TRIES = 3
# Steps and frames are not reported; nobody could follow those of all workers.
REPORTED = (Failed, Skipped, Info, Started, Written)


class WorkerContext(NamedTuple):
    """What a worker knows about a job."""

    job: Job  # with chosen models
    styles: tuple[str, ...]
    readable: frozenset[str]  # the readable ones
    count: int  # number of pictures of the job
    folder: str  # the working directory
    environment: dict[str, str]
    # Path of a file that exists until the job is stopped; attempts are noted beside it.
    running_file: str
    cores: int  # cores to compute on; 0: TensorFlow's choice


class Report(NamedTuple):
    """The result of a part of a job."""

    part: int
    worker: str  # a unique name
    machine: str
    events: list  # those of `tf_style.events`
    written: frozenset  # paths of what is there
    stopped: bool  # whether the job was stopped before its end
    error: tuple[type, str] | None  # an error that ends the whole job


class Worker:
    """Paints part after part, with one model.

    Args:
        context: a `WorkerContext`.
    """

    def __init__(self, context):
        os.environ.update(context.environment)
        # On other machines, the folder may not exist.
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
            row: its number, and its pickled `plan.Pair`s.

        Returns:
            A row with the pickled `Report`.
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
        except Exception:  # The traceback would be lost on the other machine.
            error = RuntimeError, traceback.format_exc()
        machine = socket.gethostname()
        report = Report(
            row["part"], self._name, machine, events, written, stopped, error
        )
        return {"report": pickle.dumps(report)}

    def _stylize(self, pairs, report):
        """Reports the events of the local executor; stops it when the file is gone.

        Returns:
            Whether it was stopped, and the paths of existing results.
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
        """Returns the number of attempts at a part, including this one."""
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
    """Limits TensorFlow to a number of cores; call it before the first computation."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(cores)
