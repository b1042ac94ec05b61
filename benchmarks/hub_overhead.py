"""Measures what tf_style adds to the bare model in hub mode, per call and command.

    python benchmarks/hub_overhead.py --content=photo.jpg --style=painting.jpg

Both sides take turns, so that a busy machine slows both. The bare side is the usual
script (`BARE`). Prints medians and ratios, and writes them with --json=FILE.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tf_style.config import MAGENTA_HANDLE, HubConfig

BARE = """
import sys
import numpy as np, tensorflow_hub
from PIL import Image

handle, content, style, output = sys.argv[1:]

def load(path, size=None):
    image = Image.open(path).convert("RGB")
    image = image.resize(size) if size else image
    return np.asarray(image, np.float32)[None] / 255

model = tensorflow_hub.load(handle)
picture = model(load(content), load(style, (256, 256)))[0].numpy()
Image.fromarray((picture[0] * 255).astype(np.uint8)).save(output)
"""


def main():
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--content", required=True)
    parser.add_argument("--style", required=True)
    parser.add_argument("--model", default=MAGENTA_HANDLE, help="handle or folder")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--commands", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {"call": _calls(options), "command": _commands(options)}
    for name, (bare, ours) in results.items():
        print(f"{name:8} bare {bare:.3f} s, ours {ours:.3f} s, ratio {ours / bare:.3f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _calls(options):
    """Returns median seconds of the model's call, and of ours around it, once warm."""
    import tensorflow as tf

    from tf_style import hub, images

    config = HubConfig(model=options.model)
    content, style = map(images.load_image, (options.content, options.style))
    model = hub.load_model(config.model)
    height, width = style.shape[1:3]
    factor = model.style_size / model.style_side(height, width)
    small = images.resize(style, round(height * factor), round(width * factor))
    small, whole = tf.constant(small), tf.constant(content)
    return _medians(
        options.calls,
        lambda: model.call(whole, small)[0].numpy(),
        lambda: hub.stylize(content, style, config),
    )


def _commands(options):
    """Returns median seconds of the bare script, and of `python -m tf_style`."""
    with tempfile.TemporaryDirectory() as folder:
        script, numbers = Path(folder, "bare.py"), itertools.count()
        script.write_text(BARE)
        bare = [script, options.model, options.content, options.style]
        bare += [Path(folder, "bare.png")]
        ours = ["-m", "tf_style", f"--model={options.model}", "--quiet"]
        ours += [f"--content={options.content}", f"--style={options.style}"]

        def paint():
            # What is there already would be kept.
            _python([*ours, f"--output={folder}/ours{next(numbers)}.png"])

        return _medians(options.commands, lambda: _python(bare), paint)


def _python(arguments):
    command = [sys.executable, *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def _medians(count, *works):
    """Returns the median seconds of each work, taking turns, after one warm-up."""
    seconds = [[] for _ in works]
    for round_ in range(count + 1):
        for work, times in zip(works, seconds):
            began = time.perf_counter()
            work()
            if round_:
                times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in seconds]


if __name__ == "__main__":
    main()
