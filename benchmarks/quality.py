"""Measures how close the pictures of all methods are to their paintings, and times.

    python benchmarks/quality.py --data=DATA [--pairs=FOLDER] [--model=FOLDER] [--gatys]

For DATA and the folder of pairs (DATA/dev by default) see `pairs.py`; the model is
Magenta's SavedModel. It prints means over the pairs, and the median of the seconds,
with the networks loaded. Lower is better, except for sharpness, which is best at 1: the
mean absolute Laplacian relative to the painting's at the same size. With
--pictures=FOLDER it writes a panel for each pair.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pairs

from tf_style import images, methods
from tf_style.config import GatysConfig, HubConfig, NeighborsConfig
from tf_style.images import grid

HEADS = ("fidelity", "coverage", "structure", "sharpness", "seconds")


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, help="content/ and style/ [DATA/dev]")
    parser.add_argument("--count", type=int, help="so many pairs, evenly spread [all]")
    parser.add_argument("--model", help="Magenta's SavedModel")
    parser.add_argument("--gatys", action="store_true", help="which is slow, too")
    parser.add_argument("--backbone", default="builtin")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    networks = pairs.Networks(options.data)
    found = list(pairs.paths(options.pairs or options.data / "dev"))
    if options.count:
        found = [found[i * len(found) // options.count] for i in range(options.count)]
    ways = dict(_ways(options))
    rows = {name: [] for name in ways}
    for content_path, style_path in found:
        content, style, target = pairs.read(content_path, style_path)
        cells = [grid.Cell(grid.thumbnail(style, pairs.LONGEST_SIDE), "style")]
        for name, stylize in ways.items():
            began = time.perf_counter()
            picture = stylize(content, style)
            seconds = time.perf_counter() - began
            sharpness = _sharpness(picture) / _sharpness(target)
            numbers = *networks.patches(content, target, picture), sharpness, seconds
            rows[name].append(numbers)
            told = [f"{head} {x:.3f}" for head, x in zip(HEADS, numbers)]
            cells.append(grid.Cell(picture, "\n".join([name, *told])))
        if options.pictures:
            name = f"{content_path.stem}_{style_path.stem}.png"
            images.save_image(options.pictures / name, grid.draw([cells]))
    for found_rows in rows.values():
        median = statistics.median(row[-1] for row in found_rows)
        found_rows[:] = [(*row[:-1], median) for row in found_rows]
    print(f"{len(found)} pairs, longest side {pairs.LONGEST_SIDE}")
    pairs.print_table(HEADS, rows)


def _ways(options):
    """Yields names of what is measured, and functions from content and style to it."""
    yield "photo itself", lambda content, style: content
    if options.model:
        yield "Magenta", _method("hub", HubConfig(model=options.model))
    yield "built in", _method("hub", HubConfig(model="builtin"))
    neighbors = NeighborsConfig(backbone=options.backbone)
    yield "neighbors", _method("neighbors", neighbors)
    if options.gatys:
        yield "gatys", _method("gatys", GatysConfig(backbone=options.backbone))


def _method(name, config):
    methods.load_model(name, config)
    return lambda content, style: methods.stylize(content, style, name, config)


def _sharpness(picture):
    """Returns the mean absolute Laplacian of a picture's brightness."""
    grey = picture[0].mean(-1)
    inner = grey[1:-1, 1:-1]
    beside = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return np.abs(beside - 4 * inner).mean()


if __name__ == "__main__":
    main()
