"""The flags that all trainings share; imports no TensorFlow."""

import argparse
from pathlib import Path

import keras


def parser(description, steps, drawings):
    """Returns an `argparse` parser of the flags that every training has."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("--distilled", required=True, help="distilled VGG-19, .npz")
    flags.add_argument("--exact", required=True, help="VGG-19's own kernels, .npz")
    flags.add_argument("--folder", type=Path, required=True, help="checkpoints, log")
    flags.add_argument("--steps", type=int, default=steps)
    flags.add_argument("--drawings", type=int, default=drawings)
    flags.add_argument("--seed", type=int, default=1)
    return flags


def begin(flags):
    """Parses the command line, makes the folder, and seeds all that is random."""
    options = flags.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    return options
