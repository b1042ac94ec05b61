"""Imports Ray, and joins a cluster or starts one temporarily."""

import contextlib
import logging
import os
import secrets
import signal
import socket
import tempfile
import threading

from tf_style.system import files, startup
from tf_style.system.errors import FileError, MissingPackage

# Cores of a worker without a graphics card.
CORES = 1
# Ray's smallest object store; pictures do not pass through it.
OBJECT_STORE_BYTES = 80 << 20
# Token of our own Ray, which listens on the network; Ray caches the first one.
TOKEN = secrets.token_hex(32)


def load():
    """Returns Ray, with its data library.

    Raises:
        ImportError: it is not installed.
    """
    # Ray prints messages about workers past all loggers.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray.data
    except ImportError as error:
        raise MissingPackage(
            "--executor=ray needs Ray; install it with pip install 'tf_style[cluster]'"
        ) from error
    # It prints at length what we report in one line.
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return ray


@contextlib.contextmanager
def joined(ray):
    """Joins the cluster at `RAY_ADDRESS`, or starts a Ray that leaves no trace.

    Raises:
        OSError: it cannot be reached or started.
    """
    if ray.is_initialized():  # for example by a notebook, which may continue to use it
        yield
        return
    with contextlib.ExitStack() as stack:
        settings = {"RAY_BACKEND_LOG_LEVEL": "fatal"}
        options = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        address = os.environ.get("RAY_ADDRESS", "")
        if address in ("", "local"):
            settings |= {
                "RAY_USAGE_STATS_ENABLED": "0",
                # Otherwise Ray would write one to the home folder.
                "RAY_AUTH_TOKEN": TOKEN,
            }
            options |= {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": stack.enter_context(folder()),
            }
        stack.enter_context(_environment(settings))
        stack.callback(ray.shutdown)
        try:
            _reach(address)
            with _undisturbed(), startup.silenced():
                ray.init(**options)
        except (RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
            reason = str(error).strip().splitlines()[0]
            where = f"at RAY_ADDRESS={address}" if address else "on this machine"
            raise FileError(f"cannot reach Ray {where}: {reason}") from error
        yield


def _reach(address):
    """Raises OSError within seconds, where Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        there, seconds = (host.strip("[]"), int(port)), files.REACHED_WITHIN_S
        files.call_within(
            lambda: socket.create_connection(there, seconds).close(), seconds
        )


@contextlib.contextmanager
def _environment(values):
    """Sets defaults of environment variables for the processes that Ray starts."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def folder():
    """Provides a temporary folder for Ray's files while it runs."""
    # Not in TMPDIR: the paths of its sockets must be short.
    place = "/tmp" if os.path.isdir("/tmp") else None
    return tempfile.TemporaryDirectory(
        prefix="ray-", dir=place, ignore_cleanup_errors=True
    )


@contextlib.contextmanager
def _undisturbed():
    """Delays a first signal until Ray has started, which it would disrupt.

    It also keeps the program's SIGTERM handler, which Ray would replace.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []

    def remember(number, _):
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    before = {n: signal.signal(n, remember) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def count_workers(ray):
    """Returns the number of workers, and the resources of each."""
    there = ray.cluster_resources()
    if cards := int(there.get("GPU", 0)):
        return cards, {"num_gpus": 1}
    return max(1, int(there.get("CPU", 0)) // CORES), {"num_cpus": CORES}
