"""The modes: how a picture is painted, and which files are written.

A mode is a module in this folder and a line in the table below. It has

* HELP: a few words, for `--help`;
* MAX_SIDE: the default longest side in pixels; 0 keeps the photo's size;
* HAS_STEPS: whether it has steps to watch, film and budget;
* HAS_CHECKPOINTS: whether a killed run can continue;
* IS_QUICK: whether to read and write meanwhile, and to paint in batches;
* MAKES_FILMS: whether it takes films;
* METHODS: names of its methods, in order, with a slow one last;
* parts(output): the other files of a picture;
* picture_path(output): the path of the picture itself;
* stylize(task, snapshots): yields the steps, returns a `tasks.Stylized`;
* stylize_film(task, shots, state): if it takes films, yields the steps of further
  frames, given the last state, and each `video.stylize.Stylized`;
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
    """Returns the methods of a mode, with hub if `init` needs it."""
    names = MODES[mode].METHODS
    return ("hub", *names) if init == "hub" and "hub" not in names else names


def sharing(methods, setting):
    """Returns the methods that a setting applies to when it is given once.

    It applies to all that have it; if their defaults differ, only to the last: 150
    steps
    of one method are not 150 steps of another.
    """
    defaults = {}
    for method in methods:
        for spec in fields(METHODS[method][1]):
            if spec.name == setting:
                defaults[method] = spec.default
    last = [*defaults.values()][-1:]
    return [method for method, default in defaults.items() if [default] == last]
