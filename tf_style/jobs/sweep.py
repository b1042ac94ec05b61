"""Sweeps: the same picture at several values of one or two settings."""

import dataclasses
import itertools
import typing

from tf_style.jobs import modes
from tf_style.system.errors import InvalidInput


def variations(job):
    """Returns the changes of each picture: tuples of (setting, value as text).

    Args:
        job: a `Job`; its sweep has texts like "style_weight=1e-3,1e-2".

    Raises:
        ValueError: a text has another form, no method of the mode has the setting, or a
            value is invalid.
    """
    if len(job.sweep) > 2:
        raise InvalidInput(f"sweep has {len(job.sweep)} settings; give 1 or 2")
    axes = []
    for text in job.sweep:
        name, equals, values = text.partition("=")
        if not (equals and all(values.split(","))):
            raise InvalidInput(
                f"sweep is {text!r}; it must be like style_weight=1e-3,1e-2,1e-1"
            )
        axes.append([(name, value) for value in dict.fromkeys(values.split(","))])
    if len({name for name, _ in itertools.chain(*axes)}) < len(axes):
        raise InvalidInput("sweep has the same setting twice")
    found = list(itertools.product(*axes))
    for changes in found:
        vary(job, changes)
    return found


def vary(job, changes):
    """Returns a job with changed settings, in all methods that `modes.sharing` names.

    Raises:
        ValueError: no method has a setting, or a value is invalid.
    """
    for name, text in changes:
        varied = {}
        for method in modes.sharing(job.methods, name):
            config = getattr(job, method)
            value = _parse(name, typing.get_type_hints(type(config))[name], text)
            varied[method] = dataclasses.replace(config, **{name: value})
        if not varied:
            raise InvalidInput(f"sweep: mode {job.mode} has no setting {name!r}")
        job = dataclasses.replace(job, **varied)
    return job


def _parse(name, kind, text):
    """Converts text to a setting's value; the items of a tuple are joined by +."""
    if typing.get_origin(kind) is tuple:
        item, _ = typing.get_args(kind)
        return tuple(_parse(name, item, part) for part in text.split("+"))
    if kind is bool and text in ("true", "false"):
        return text == "true"
    try:
        return {str: str, int: int, float: float}[kind](text)
    except (KeyError, ValueError):
        wanted = {int: "a whole number", float: "a number", bool: "true or false"}
        raise InvalidInput(f"{name} is {text!r}; it must be {wanted[kind]}") from None
