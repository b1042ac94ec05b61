"""What happens in a job, for whoever shows it; `engine.Step` is one of them."""

import logging
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)


def describe_error(error):
    """Returns an exception as one line, with its type if nobody foresaw it.

    Users get one line whatever happens; the traceback goes to the log.
    """
    log.info("caught", exc_info=error)
    reason = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return reason or "not enough memory"
    if reason and isinstance(error, (ValueError, OSError, ImportError)):
        return reason
    return f"{type(error).__name__}: {reason}".removesuffix(": ")


class Info(NamedTuple):
    """Something was settled on, or found, that the user should know."""

    note: str  # one line: what, why, and how to have it otherwise
    setting: bool = False  # it begins with the name of a setting, which does nothing


class Started(NamedTuple):
    """A picture is taken up."""

    index: int  # from 0
    count: int
    name: str
    steps: int | None  # that it will take; 0: a single pass; None: as time allows
    memory: float = 0.0  # bytes that it will need, as far as that is known
    film: bool = False  # then its steps are frames


class Framed(NamedTuple):
    """A frame of a film is stylized."""


class Planned(NamedTuple):
    """A picture would be made, if it was not a dry run."""

    path: Path
    seconds: float  # that it would take, about


class Written(NamedTuple):
    """A picture is there; a painting has its manifest beside it."""

    path: Path
    seconds: float | None  # that painting took; None if it is no painting


class Skipped(NamedTuple):
    """A picture of an earlier run is there already."""

    path: Path


class Failed(NamedTuple):
    """An input or a picture failed; the others go on."""

    reason: str  # one line that names it
