"""The Ray executor: workers on one or more machines, each with one loaded model.

It splits a job into parts, which workers run with the local executor, and forwards
their
reports. Pictures do not pass through it: all machines share the folders.
"""

import concurrent.futures
import contextlib
import itertools
import os
import pickle
import queue
import tempfile

from tf_style.jobs import modes, plan
from tf_style.jobs.events import Info, Started
from tf_style.jobs.executors import ray_runtime
from tf_style.jobs.executors.ray_worker import Worker, WorkerContext
from tf_style.jobs.inputs import read
from tf_style.jobs.runner import settle
from tf_style.system.errors import FileError, NotFound

# Largest part, after which its worker reports. Films and slow pictures take long enough
# to be a part each.
PART = 8
# Seconds between checks for a stop.
LOOK_EVERY_S = 0.3
# Ray takes a millisecond to prepare a part, so huge jobs have larger parts.
MAX_PARTS = 2000
# Environment variables that workers inherit.
ENVIRONMENT = (
    "HOME",
    "KERAS_HOME",
    "TFHUB_CACHE_DIR",
    "TFHUB_MODEL_LOAD_FORMAT",
    "TF_STYLE_CACHE",
    "XDG_CACHE_HOME",
)


def stylize(job, pairs, style_cache, show, stop):
    """Paints pictures, like `local.stylize`.

    Joins the cluster at `RAY_ADDRESS`, or else starts Ray on this machine.

    Raises:
        ImportError: Ray is not installed.
        ValueError, OSError: see `run.run`; or the cluster cannot be reached, or cannot
            see the folder of the pictures.
    """
    ray = ray_runtime.load()
    job, notes = settle(job)
    yield from map(Info, notes)
    reports, written, begun = queue.SimpleQueue(), set(), itertools.count()
    sheet = plan.sheet_path(pairs)
    with (
        tempfile.TemporaryDirectory(
            prefix=".tf_style-", dir=pairs[0].output.parent
        ) as folder,
        ray_runtime.joined(ray),
        concurrent.futures.ThreadPoolExecutor(1) as pool,
        # Workers stop when the file is gone; then wait for them.
        tempfile.NamedTemporaryFile(dir=folder) as running_file,
    ):
        workers, each = ray_runtime.count_workers(ray)
        alone = not modes.of(job).IS_QUICK or any(pair.is_film for pair in pairs)
        parts = dict(enumerate(share(pairs, workers, 1 if alone else PART)))
        workers = min(workers, len(parts))
        context = _worker_context(job, pairs, style_cache, running_file.name, each)
        rows = _rows(ray, parts, context, workers, each)
        # In a thread, so that Ctrl-C does not interrupt Ray's own code.
        collected = pool.submit(_collect, rows, workers, reports)
        for report in _until_stopped(reports, stop, running_file):
            for event in report.events:
                if isinstance(event, Started):
                    # It is done already, and counts as one step.
                    event = Started(next(begun), event.count, event.name, 0)
                yield event
            if not stop.requested:
                check(report, running_file.name)
            written |= report.written
            done = parts.pop(report.part)
            if sheet:
                _show(job, done, show)
        _check_ray(ray, collected)
    return written


def _until_stopped(reports, stop, running_file):
    """Yields reports until there are no more; removes the file at a stop."""
    while True:
        try:
            report = reports.get(timeout=LOOK_EVERY_S)
        except queue.Empty:
            if stop.requested:
                running_file.close()
            continue
        if report is None:
            return
        yield report


def share(pairs, workers, most):
    """Splits pictures into ever smaller parts, so that all workers end together.

    Args:
        pairs: the `plan.Pair`s, those of one photo together, as many of each.
        workers: number of workers.
        most: largest part, unless there are very many pictures.

    Yields:
        Lists of pairs: of several photos, or some of one photo's.
    """
    most = max(most, len(pairs) // MAX_PARTS)
    of_photo = sum(pair.content == pairs[0].content for pair in pairs)
    begin = 0
    while begin < len(pairs):
        size = max(1, min(most, (len(pairs) - begin) // (2 * workers)))
        left = of_photo - begin % of_photo
        if left < of_photo or size < of_photo:
            size = min(size, left)
        else:
            size -= size % of_photo
        yield pairs[begin : begin + size]
        begin += size


def _worker_context(job, pairs, style_cache, running_file, each):
    styles = dict.fromkeys(style for pair in pairs for style in pair.styles)
    environment = {n: os.environ[n] for n in ENVIRONMENT if n in os.environ}
    return WorkerContext(
        job=job,
        styles=tuple(styles),
        readable=frozenset(style_cache.readable),
        count=len(pairs),
        folder=os.getcwd(),
        environment=environment,
        running_file=running_file,
        cores=each.get("num_cpus", 0),
    )


def _rows(ray, parts, context, workers, each):
    """Returns an iterator of rows with the reports of workers, as they come."""
    items = [
        {"part": number, "pairs": pickle.dumps(pairs)}
        for number, pairs in parts.items()
    ]
    dataset = ray.data.from_items(items, override_num_blocks=len(items))
    dataset.context.enable_progress_bars = False
    # By default, Ray replaces dead workers and restarts their parts forever.
    pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
    return dataset.map(Worker, fn_constructor_args=(context,), compute=pool, **each)


def _collect(rows, workers, reports):
    """Puts reports into a queue, and None after the last."""
    stopped = set()
    try:
        for row in rows.iter_rows():
            report = pickle.loads(row["report"])
            reports.put(report)
            stopped |= {report.worker} if report.stopped else set()
            # Parts in the queue would not be started.
            if len(stopped) == workers:
                return
    finally:
        reports.put(None)


def check(report, running_file):
    """Raises an error that ends a job."""
    if report.error:
        kind, reason = report.error
        raise kind(reason)
    if report.stopped:
        raise NotFound(
            f"{report.machine} cannot see {running_file}; --executor=ray needs "
            "folders that all machines share"
        )


def _check_ray(ray, collected):
    try:
        collected.result()
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise FileError(f"Ray cannot run the job: {reason}") from error


def _show(job, pairs, show):
    """Shows the photos of a part, for the contact sheet."""
    for source in dict.fromkeys(pair.content for pair in pairs):
        with contextlib.suppress(ValueError, OSError):  # Its worker reported why.
            show(source, read(job, "content", source, job.max_side).pixels)
