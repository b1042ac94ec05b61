"""Ray itself: imported, and joined at its address or started here for a while."""

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

# What a worker computes on, where it has no graphics card.
CORES = 1
# Pictures do not pass through Ray's memory, and this is the least that it takes.
OBJECT_STORE_BYTES = 80 << 20
# Admits to a Ray of our own, which listens on the network; Ray remembers the first.
TOKEN = secrets.token_hex(32)


def load():
    """Returns Ray, with its data library.

    Raises:
        ImportError: it is not installed.
    """
    # What Ray tells of its workers' fate is printed past all loggers.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray.data
    except ImportError as error:
        raise MissingPackage(
            "--executor=ray needs Ray; install it with pip install 'tf_style[cluster]'"
        ) from error
    # It tells at length of what ends in one line here.
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return ray


@contextlib.contextmanager
def joined(ray):
    """Joins the cluster of `RAY_ADDRESS`, or starts a Ray that leaves no trace.

    Raises:
        OSError: it cannot be reached, or not be started.
    """
    if ray.is_initialized():  # by a notebook, say, which may go on with it
        yield
        return
    with contextlib.ExitStack() as stack:
        settings = {"RAY_BACKEND_LOG_LEVEL": "fatal"}
        options = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        address = os.environ.get("RAY_ADDRESS", "")
        if address in ("", "local"):
            settings |= {
                "RAY_USAGE_STATS_ENABLED": "0",
                # Without it, Ray would write one into the home folder.
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
    """Raises OSError within seconds where Ray would try for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        there, seconds = (host.strip("[]"), int(port)), files.REACHED_WITHIN_S
        files.call_within(
            lambda: socket.create_connection(there, seconds).close(), seconds
        )


@contextlib.contextmanager
def _environment(values):
    """Sets what the user did not set, for the processes that Ray starts."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def folder():
    """Gives a temporary folder for Ray's files while it runs."""
    # Not where TMPDIR points: the paths of its sockets must be short.
    place = "/tmp" if os.path.isdir("/tmp") else None
    return tempfile.TemporaryDirectory(
        prefix="ray-", dir=place, ignore_cleanup_errors=True
    )


@contextlib.contextmanager
def _undisturbed():
    """Has a signal wait for Ray's start, which it would tear apart; a second does not.

    Keeps what the program does at SIGTERM, which Ray would change.
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
    """Returns how many workers there is room for, and what each takes."""
    there = ray.cluster_resources()
    if cards := int(there.get("GPU", 0)):
        return cards, {"num_gpus": 1}
    return max(1, int(there.get("CPU", 0)) // CORES), {"num_cpus": CORES}
