"""Measures speed and memory of a folder, relative to the bare model in a loop.

    python benchmarks/folder.py [--model=builtin] [--count=500] [--size=512]

It crops pictures from `examples/`, paints them with one job of `tf_style.run`, and
calls the model on a picture in memory equally often, before and after.
"""

import argparse
import tempfile
import time
from pathlib import Path

import memory
import numpy as np

from tf_style import images
from tf_style.config import HubConfig, Job
from tf_style.fast import hub
from tf_style.jobs import run

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CALLS = 100


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--size", type=int, default=512, help="pixels a side")
    parser.add_argument("--ending", default=".jpg", help="of the photos")
    options = parser.parse_args()
    config = HubConfig(model=options.model)
    style = EXAMPLES / "swirls.jpg"
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        draw(photos, options)
        photo = images.load_image(next(photos.iterdir()))
        bare = [call(config, style, photo)]
        job = Job(
            contents=(str(photos),),
            styles=(str(style),),
            output=str(Path(folder, "out")),
            hub=config,
        )
        began, written, held = time.perf_counter(), 0, []
        for event in run.run(job):
            if isinstance(event, run.Written):
                written += 1
                if written % (options.count // 10) == 0:
                    held.append(memory.resident())
        ours = (time.perf_counter() - began) / options.count
        bare.append(call(config, style, photo))
    rates = ", ".join(f"{seconds:.4f}" for seconds in bare)
    print(f"bare call {rates} s a picture, ours {ours:.4f} s")
    print(f"ours runs at {np.mean(bare) / ours:.2f} of the bare model's speed")
    print("MiB resident, every tenth of the way:", *held)


def draw(folder, options):
    """Writes pictures that all differ: cuts of the examples at seeded places."""
    folder.mkdir()
    sources = [images.load_image(EXAMPLES / f"{n}.jpg") for n in ("harbor", "mosaic")]
    generator = np.random.default_rng(0)
    for index in range(options.count):
        source = sources[index % len(sources)]
        side = generator.integers(200, min(source.shape[1:3]))
        top, left = (generator.integers(0, s - side + 1) for s in source.shape[1:3])
        cut = source[:, top : top + side, left : left + side]
        picture = images.resize(cut, options.size, options.size)
        images.save_image(folder / f"{index:04}{options.ending}", picture)


def call(config, style, photo, calls=CALLS):
    """Returns seconds of a call of the model on pixels, with the style known."""
    code = hub.encode(images.load_image(style), config)
    model = hub.load_model(config.model)
    for index in range(calls + 3):
        if index == 3:
            began = time.perf_counter()
        model.paint(photo, code.parts, code.weights, 1.0)
    return (time.perf_counter() - began) / calls


if __name__ == "__main__":
    main()
