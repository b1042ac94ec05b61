"""Measures time and memory of many photos in one style with a slow method.

    python benchmarks/photos.py [--photos=60] [--sizes=60] [--side=128]

The style is encoded once. It prints resident memory and seconds per photo.
"""

import argparse
import statistics
import time
from pathlib import Path

import memory

from tf_style import gatys, images
from tf_style.config import GatysConfig

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--sizes", type=int, default=60, help="different ones")
    parser.add_argument("--side", type=int, default=128, help="about, in pixels")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--backbone", default="builtin")
    options = parser.parse_args()
    config = GatysConfig(backbone=options.backbone, steps=options.steps)
    photo = images.load_image(EXAMPLES / "harbor.jpg")
    style = gatys.encode(images.load_image(EXAMPLES / "swirls.jpg"), config)
    held, seconds = [], []
    for index in range(options.photos):
        side = options.side - options.sizes // 2 + index % options.sizes
        content = images.fit_longest(photo, side)
        began = time.perf_counter()
        gatys.stylize(content, style, config)
        seconds.append(time.perf_counter() - began)
        held.append(memory.resident())
    objective = gatys.load_objective(config, content.shape[1:3])
    print(
        f"{options.photos} photos of {options.sizes} sizes: {objective.traces} traces"
    )
    quarter = options.photos // 4
    print("photos | MiB resident after them | seconds a photo, median")
    for start in range(0, quarter * 4, quarter):
        stop = start + quarter
        middle = statistics.median(seconds[start:stop])
        print(f"{start + 1} to {stop} | {held[stop - 1]} | {middle:.2f}")
    print(f"last : {quarter}th = {held[-1] / held[quarter - 1]:.3f}")


if __name__ == "__main__":
    main()
