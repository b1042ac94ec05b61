"""Checks the values of settings.

A bad value raises `ValueError` that names the setting, the value and what is allowed.
"""

import math
import numbers
import os
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, TypeVar

from tf_style.system.errors import InvalidInput

C = TypeVar("C")

# Numbers enter graphs as float32.
LARGEST = 3.4e38
# Number of characters of a bad value that a message shows.
MAX_SHOWN = 100

KINDS: Mapping[type, str] = MappingProxyType(
    {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
)


def make_plain(config: Any) -> None:
    """Converts the values of a config to plain Python types, or refuses them."""
    for spec in fields(config):
        kind: Any = spec.type
        value = getattr(config, spec.name)
        several = typing.get_origin(kind) is tuple
        if several:
            kind = typing.get_args(kind)[0]
        elif kind == int | None and value is not None:
            kind = int
        if kind not in KINDS:
            continue
        try:
            value = _plain_tuple(value, kind) if several else _plain(value, kind)
        except (TypeError, OverflowError):
            wanted = f"a tuple, each item {KINDS[kind]}" if several else KINDS[kind]
            check(config, spec.name, False, wanted)
        object.__setattr__(config, spec.name, value)


def _plain_tuple(values, kind):
    if hasattr(values, "tolist"):
        values = values.tolist()
    if not isinstance(values, (tuple, list)):
        raise TypeError
    return tuple(_plain(value, kind) for value in values)


def _plain(value, kind):
    """Returns a value as one of Python's own `kind`.

    Raises:
        TypeError, OverflowError: it cannot be converted.
    """
    if hasattr(value, "tolist"):  # A NumPy value, possibly a scalar.
        value = value.tolist()
    if kind is str:
        if isinstance(value, os.PathLike):
            return os.fsdecode(value)
        # Subclasses of str may override `str(value)`.
        return str.__str__(value)
    if isinstance(value, bool) != (kind is bool):
        raise TypeError
    if isinstance(value, numbers.Integral):
        return value if kind is bool else int(value)
    if kind is float and isinstance(value, numbers.Real):
        return float(value)
    raise TypeError


def check(config: Any, name: str, valid: bool, wanted: str) -> None:
    """Raises ValueError, saying what is `wanted`, if a setting is not `valid`."""
    if not valid:
        shown = " ".join(repr(getattr(config, name)).split())
        shown = shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."
        raise InvalidInput(f"{name} is {shown}; it must be {wanted}")


def choice(config: Any, name: str, allowed: Iterable[str]) -> None:
    """Checks that a setting is one of `allowed`."""
    check(config, name, getattr(config, name) in allowed, " or ".join(allowed))


def number(
    config: Any, name: str, low: float, high: float, above: bool = False
) -> None:
    """Checks that low <= number <= high, or low < number with `above`."""
    value = getattr(config, name)
    start = f"above {low}" if above else f"from {low}"
    end = "" if high == math.inf and value <= LARGEST else f" to {min(high, LARGEST)}"
    valid = low <= value <= min(high, LARGEST)
    check(config, name, valid and not (above and value == low), start + end)


def checked(config: C | None, kind: type[C], name: str = "config") -> C:
    """Returns a config of a kind, or the defaults for None; refuses anything else."""
    if config is None:
        return kind()
    if not isinstance(config, kind):
        given = type(config).__name__
        raise InvalidInput(f"{name} is a {given}; it must be a {kind.__name__}")
    return config


def from_dict(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Rebuilds a config from `dataclasses.asdict`, also read from JSON."""
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidInput(
            f"{kind.__name__} has no setting {unknown[0]!r}; "
            f"it has {', '.join(sorted(known))}"
        )
    return kind(**values)
