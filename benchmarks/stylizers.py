"""Compares the built-in models with Magenta's: distances and times.

    python benchmarks/stylizers.py --data=DATA --model=FOLDER

DATA contains the pairs, `dev`, and the networks that measure; see `pairs.py`. FOLDER is
Magenta's SavedModel. It prints seconds to load and two tables. With --pictures=FOLDER
it writes a panel of content, style, Magenta's picture and ours for every pair.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pairs

from tf_style import images
from tf_style.config import GatysConfig, HubConfig
from tf_style.fast import hub
from tf_style.images import grid
from tf_style.optimization import gatys

TIMED_SIZE = (384, 512)
GATYS_STEPS = 20
MEASURES = ("fidelity", "coverage", "structure", "style", "content", "even windows")


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True, help="Magenta's SavedModel")
    parser.add_argument("--strengths", type=float, nargs="+", default=[1.0])
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    _print_loading()
    networks = pairs.Networks(options.data)

    def score(*trio):
        """Returns what MEASURES names, of content, style and picture."""
        content, _, picture = trio
        even = _unevenness(content[0], picture[0])
        return *networks.patches(*trio), *networks.score(*trio), even

    found = list(pairs.paths(options.data / "dev"))
    configs = {"Magenta": HubConfig(model=options.model)}
    for strength in options.strengths:
        config = HubConfig(model="builtin", strength=strength)
        configs[f"built in, strength {strength:g}"] = config
    _print_distances(found, configs, score, options.pictures)
    _print_times(found[0], configs, options.calls)


def _print_loading():
    """Prints seconds to load both built-in models, in a process that has neither."""
    began = time.perf_counter()
    hub.load_model("builtin")
    gatys.load_backbone(GatysConfig(backbone="builtin"))
    print(f"loading both built-in models: {time.perf_counter() - began:.2f} s\n")


def _print_distances(paths, configs, score, folder):
    """Prints means over all pairs; the style is measured at the photo's size."""
    distances = {name: [] for name in configs}
    for content_path, style_path in paths:
        content, style, target = pairs.read(content_path, style_path)
        pictures = [content, grid.thumbnail(style, max(content.shape[1:3]))]
        captions = ["content", "style"]
        for name, config in configs.items():
            picture = hub.stylize(content, style, config)
            found = score(content, target, picture)
            distances[name].append(found)
            pictures.append(picture)
            parts = (f"{n} {x:.3f}" for n, x in zip(MEASURES[:-1], found))
            captions.append(name + "\n" + ", ".join(parts))
        if folder:
            cells = map(grid.Cell, pictures, captions)
            name = f"{content_path.stem}_{style_path.stem}.png"
            images.save_image(folder / name, grid.draw([list(cells)]))
    print(f"{len(paths)} pairs, longest side {pairs.LONGEST_SIDE}; lower is closer")
    pairs.print_table(MEASURES, distances)


def _unevenness(photo, picture):
    """Variance of 8x8 means in the photo's flattest fifth of 32-pixel windows."""

    def windows(image):
        rows, columns = (side // 32 for side in image.shape[:2])
        image = image[: rows * 32, : columns * 32]
        cells = image.reshape(rows, 4, 8, columns, 4, 8, -1).transpose(
            0, 3, 1, 4, 2, 5, 6
        )
        return cells.reshape(rows * columns, 16, 64, -1)

    deviations = windows(photo.mean(-1, keepdims=True)).std((1, 2, 3))
    flattest = deviations.argsort()[: max(1, len(deviations) // 5)]
    return windows(picture)[flattest].mean(2).var(1).mean()


def _print_times(pair, configs, calls):
    """Prints median seconds, all sides taking turns, once warm."""
    content, style = (images.load_image(path) for path in pair)
    content = images.resize(content, *TIMED_SIZE)
    works = {}
    for name, config in configs.items():
        works[name] = lambda new, c=config: hub.stylize(content, new, c)
        code = hub.encode(style, config)
        works[f"{name}, style known"] = lambda _, c=config, code=code: hub.stylize(
            content, code, c
        )
    seconds = {name: [] for name in works}
    for turn in range(calls + 1):
        for name, work in works.items():
            new = np.roll(style, 8 * turn + 1, 2)  # A model may know the last ones.
            began = time.perf_counter()
            work(new)
            if turn:
                seconds[name].append(time.perf_counter() - began)
    print(
        "\n| {1}x{0} pixels | seconds | ratio |\n| --- | --- | --- |".format(
            *TIMED_SIZE
        )
    )
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"| {name} | {median:.3f} | {median / medians['Magenta']:.2f} |")
    config = GatysConfig(backbone="builtin", steps=GATYS_STEPS, scales=1)
    ends = [time.perf_counter() for _ in gatys.iterate(content, style, config)]
    print(f"| gatys, one step | {statistics.median(np.diff(ends)[1:-1]):.3f} | |")


if __name__ == "__main__":
    main()
