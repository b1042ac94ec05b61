"""Measures the cost of fewer bits: the final loss, in float32.

    python benchmarks/precision.py [--backbone=builtin] [--steps=300]

Optimises pairs of `examples/` in float32, in bfloat16, and in bfloat16 with the last
tenth of the steps in float32, each from starts that differ by noise of a thousandth,
which shows how much a run varies by itself.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from tf_style import compare, images
from tf_style.config import GatysConfig
from tf_style.optimization import gatys

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PAIRS = (("harbor", "swirls"), ("still_life", "mosaic"))
STARTS = 3


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="builtin")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--max_side", type=int, default=256)
    options = parser.parse_args()
    exact = GatysConfig(
        backbone=options.backbone, steps=options.steps, init="x", precision="float32"
    )
    coarse = dataclasses.replace(exact, precision="bfloat16")
    print("| pair | float32 | bfloat16 | and the last tenth in float32 |")
    print("| --- | --- | --- | --- |")
    for pair in PAIRS:
        content, style = (
            images.load_image(EXAMPLES / f"{name}.jpg", options.max_side)
            for name in pair
        )
        measure = compare.measurer(content, style, exact)
        ways = ((exact, exact), (coarse, coarse), (coarse, exact))
        losses = [
            [
                measure(_paint(content, style, *way, start))["total"]
                for start in range(STARTS)
            ]
            for way in ways
        ]
        base = np.mean(losses[0])
        cells = [
            f"{np.mean(found) / base:.4f} ± {np.std(found) / base:.4f}"
            for found in losses
        ]
        print(f"| {' in '.join(pair)} | {' | '.join(cells)} |", flush=True)


def _paint(content, style, config, last, start):
    """Returns the best picture; the last tenth of the steps is made with `last`."""
    noise = np.random.default_rng(start).normal(0, 1e-3, content.shape)
    first = np.clip(content + noise, 0, 1).astype(np.float32)
    for step in gatys.iterate(content, style, config, init=first):
        if config is not last and step.index == config.steps * 9 // 10:
            # Losses of both precisions do not compare.
            state = step.state()._replace(best=None, best_losses={"total": np.inf})
            for step in gatys.iterate(content, style, last, init=first, state=state):
                pass
            break
    return step.best


if __name__ == "__main__":
    main()
