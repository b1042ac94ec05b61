"""The events of a job; `engine.Step` is one of them."""

import logging
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)


def describe_error(error):
    """Returns an exception as one line, with its type if it was unexpected.

    Users always get one line; the traceback goes to the log.
    """
    log.info("caught", exc_info=error)
    reason = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return reason or "not enough memory"
    if reason and isinstance(error, (ValueError, OSError, ImportError)):
        return reason
    return f"{type(error).__name__}: {reason}".removesuffix(": ")


class Info(NamedTuple):
    """A choice or a finding that the user should know."""

    note: str  # one line: what, why, and how to change it
    setting: bool = False  # whether it starts with a setting that does nothing


class Started(NamedTuple):
    """A picture is started."""

    index: int  # from 0
    count: int
    name: str
    steps: int | None  # number of steps; 0: a single pass; None: as time allows
    memory: float = 0.0  # bytes that it will need, if known
    film: bool = False  # whether its steps are frames


class Framed(NamedTuple):
    """A frame of a film is stylized."""


class Planned(NamedTuple):
    """A picture would be painted if this were not a dry run."""

    path: Path
    seconds: float  # estimated duration


class Written(NamedTuple):
    """A picture was written; if it was painted, with its manifest."""

    path: Path
    seconds: float | None  # duration of painting; None if it was not painted


class Skipped(NamedTuple):
    """A picture exists from an earlier run."""

    path: Path


class Failed(NamedTuple):
    """An input or a picture failed; the others continue."""

    reason: str  # one line that names it
