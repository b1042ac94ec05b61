"""The modes: what a picture is made by, and what is written with it.

A mode is a module in this folder, and a line in the table below. It has

* HELP: a few words, for `--help`;
* MAX_SIDE: the longest side to work at unless told otherwise, in pixels; 0 keeps the
  photo's own;
* HAS_STEPS: whether there are steps to watch, to film and to budget;
* HAS_CHECKPOINTS: whether a run that was killed goes on where it was;
* IS_QUICK: whether reading and writing should go on beside it, and several pictures of
  one size are made at once;
* MAKES_FILMS: whether it takes films;
* METHODS: names of the methods that it uses, in their order, a slow one last;
* parts(output): what is written beside a picture;
* picture_path(output): where the picture itself is;
* stylize(task, snapshots): yields the steps, returns a `tasks.Stylized`;
* stylize_film(task, shots, state): where it takes films, yields the steps of the frames
  to come, given what the last left, and each `video.stylize.Stylized`;
* draw(task, stylized, paths): writes all files.

Importing one imports nothing heavy.
"""

from dataclasses import fields

from tf_style.jobs.modes import compare, gatys, hub, neighbors
from tf_style.methods import METHODS

MODES = {"hub": hub, "neighbors": neighbors, "gatys": gatys, "compare": compare}


def of(job):
    """Returns the mode of a job."""
    return MODES[job.mode]


def methods(mode, init):
    """Returns names of the methods of a mode; the first picture may be the fast one."""
    names = MODES[mode].METHODS
    return ("hub", *names) if init == "hub" and "hub" not in names else names


def sharing(methods, setting):
    """Returns which of several methods a setting is of that is given once for all.

    It is of those that have it, but where their defaults differ, of the last alone: 150
    steps of one are not 150 of another.
    """
    defaults = {}
    for method in methods:
        for spec in fields(METHODS[method][1]):
            if spec.name == setting:
                defaults[method] = spec.default
    last = [*defaults.values()][-1:]
    return [method for method, default in defaults.items() if [default] == last]
