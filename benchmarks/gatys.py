"""Times the optimisation of a picture: TensorFlow tutorial, PyTorch and ours.

    python benchmarks/gatys.py --weights=FILE --content=photo.jpg \\
        --style=painting.jpg --output=FOLDER [--torch_python=PYTHON]

All minimise the tutorial's objective for the same pixels with the same weights, on the
processor. Each loop is a process; they take turns, so that a busy machine slows all of
them. It prints tables, and writes FOLDER/gatys.json with every number and
FOLDER/gatys.png with
the loss against seconds.
"""

import argparse
import contextlib
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import machine
import numpy as np
import peer
import report
import tensorflow as tf

from tf_style import images

PRECISIONS = ("float32", "bfloat16")
BASE = "tutorial, float32"
# The tutorial's loss after so many steps is what the curves are timed to, and its last.
EARLY_STEPS = 300
STEPS_PER_TURN = 5  # between two measurements of a curve
PATIENCE = 1.2  # as a multiple of the tutorial's seconds
# First losses in float32 that differ by more are not of one objective.
TOLERANCE = 1e-3


def main():
    """Measures, prints and writes."""
    options = _parser().parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    results = {
        "machine": machine.describe() | _versions(options),
        "settings": {
            name: Path(value).name if isinstance(value, Path) else value
            for name, value in vars(options).items()
        },
        "multiply_adds": machine.multiply_adds(options.size, options.size),
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        commands = _commands(options, _prepare(options, Path(folder)))
        peers = {}
        for name, command in commands.items():
            _say(f"starting {name}")
            peers[name] = peer.Peer(*command)
            stack.callback(peers[name].close)
        results |= _take_turns(peers, options)
        _compare(results)
        report.print_speeds(results)
        if not options.skip_curves:
            ours = f"ours, {options.precision}"
            for name in peers.keys() - {BASE, ours}:
                peers[name].close()  # Its memory is of no more use.
            results["curves"] = _draw_curves(
                peers, ours, results["loops"][ours]["median"], options, Path(folder)
            )
            report.print_curves(results["curves"])
            report.plot(results["curves"], options.output / "gatys.png")
    text = json.dumps(results, indent=2)
    (options.output / "gatys.json").write_text(text + "\n")


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, what in (
        ("weights", "Keras' weights of VGG-19 without its top"),
        ("content", "a picture"),
        ("style", "a picture"),
        ("output", "folder for gatys.json and gatys.png"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--torch_python", type=Path, help="a Python that has torch")
    parser.add_argument("--size", type=int, default=512, help="both sides, pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps_per_round", type=int, default=3)
    parser.add_argument("--curve_steps", type=int, default=1000, help="the tutorial's")
    parser.add_argument("--skip_curves", action="store_true")
    fast = {"avx512_bf16", "amx_bf16"} & set(machine.describe()["flags"])
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[bool(fast)],
        help="of our curve; unless given, as --precision=auto of tf_style",
    )
    parser.add_argument(
        "--ours", default="", help="more for ours_loop.py, as '--optimizer=adam'"
    )
    return parser


def _versions(options):
    found = {name.__name__: name.__version__ for name in (tf, keras, np)}
    if options.torch_python:
        show = [options.torch_python, "-c", "import torch; print(torch.__version__)"]
        shown = subprocess.run(show, check=True, capture_output=True, text=True)
        found["torch"] = shown.stdout.strip()
    return found


def _prepare(options, folder):
    """Writes the pictures at their sizes and the kernels; returns arguments."""
    content = images.load_image(options.content)
    content = images.resize(content, options.size, options.size)
    style = images.fit_longest(images.load_image(options.style), options.size)
    np.save(folder / "content.npy", content)
    np.save(folder / "style.npy", style)
    vgg = keras.applications.VGG19(include_top=False, weights=str(options.weights))
    variables = {
        f"{layer.name}/{variable.name}": variable.numpy()
        for layer in vgg.layers
        for variable in layer.weights
    }
    np.savez(folder / "kernels.npz", **variables)
    pictures = [f"--{name}={folder / name}.npy" for name in ("content", "style")]
    return pictures, f"--weights={folder / 'kernels.npz'}"


def _commands(options, prepared):
    """Returns the arguments of `peer.Peer` by the name of the loop."""
    pictures, kernels = prepared
    weights = f"--weights={options.weights}"
    loops = {"tutorial": (sys.executable, "tutorial_loop.py", weights)}
    if options.torch_python:
        loops["torch"] = options.torch_python, "torch_loop.py", kernels
    more = shlex.split(options.ours)
    loops["ours"] = sys.executable, "ours_loop.py", weights, *more
    return {
        f"{name}, {precision}": (*command, *pictures, f"--precision={precision}")
        for name, command in loops.items()
        for precision in PRECISIONS
    }


def _take_turns(peers, options):
    """Measures steps and the machine by turns; returns what it found."""
    loops, peaks = {}, machine.Peaks(PRECISIONS)
    for name, loop in peers.items():
        warm = loop.ask("reset")["losses"] + loop.ask("step 1")["losses"]
        loops[name] = {"first_loss": warm[0], "seconds": []}
    for number in range(options.rounds):
        _say(f"round {number + 1} of {options.rounds}")
        for name, loop in peers.items():
            answer = loop.ask(f"step {options.steps_per_round}")
            loops[name]["seconds"].append(answer["seconds"] / options.steps_per_round)
        peaks.measure()
    for name, loop in peers.items():
        loops[name]["peak_bytes"] = loop.ask("peak")
    return {"loops": loops, "peaks": peaks.found}


def _compare(results):
    """Adds medians, and what they come to beside the tutorial and the machine."""
    loops = results["loops"]
    for found in loops.values():
        found["median"] = statistics.median(found["seconds"])
    for name, found in loops.items():
        found["times_as_fast"] = loops[BASE]["median"] / found["median"]
        peak = max(results["peaks"][name.rpartition(" ")[2]].values())
        found["share_of_peak"] = results["multiply_adds"] / found["median"] / peak
        off = abs(found["first_loss"] / loops[BASE]["first_loss"] - 1)
        if name.endswith("float32") and not off < TOLERANCE:
            _say(f"NOT COMPARABLE: the first loss of {name} is {off:.2%} off")


def _draw_curves(peers, ours, step_seconds, options, folder):
    """Returns {loop: {"steps", "seconds", "losses"}}, all losses in float32."""
    picture = folder / "picture.npy"

    def measure(name):
        peers[name].ask(f"picture {picture}")
        return peers[BASE].ask(f"measure {picture}")

    _say("the tutorial's curve")
    peers[BASE].ask("reset")
    base = {"steps": [0], "seconds": [0.0], "losses": [measure(BASE)]}
    while base["steps"][-1] < options.curve_steps:
        count = min(STEPS_PER_TURN, options.curve_steps - base["steps"][-1])
        _extend(base, peers[BASE].ask(f"step {count}"), measure(BASE))
    _say("our curve")
    # A new start of ours traces again, as that of the tutorial does not: its one step
    # counts as any other does, and what it really took stands beside.
    start = peers[ours].ask("reset")
    mine = {"steps": [0], "seconds": [0.0], "losses": [measure(ours)]}
    mine["start_seconds"] = start["seconds"]
    _extend(mine, start | {"seconds": step_seconds}, mine["losses"][0])
    limit = PATIENCE * base["seconds"][-1]
    while mine["losses"][-1] > base["losses"][-1] and mine["seconds"][-1] < limit:
        answer = peers[ours].ask(f"step {STEPS_PER_TURN}")
        _extend(mine, answer, measure(ours))
    early = min(EARLY_STEPS, options.curve_steps)
    marks = [
        _reach(base, mine, steps) for steps in sorted({early, options.curve_steps})
    ]
    return {"loops": {BASE: base, ours: mine}, "marks": marks}


def _extend(curve, answer, loss):
    curve["steps"].append(curve["steps"][-1] + len(answer["losses"]))
    curve["seconds"].append(curve["seconds"][-1] + answer["seconds"])
    curve["losses"].append(loss)


def _reach(base, mine, steps):
    """Says when each came to the tutorial's loss after so many steps."""
    there = np.searchsorted(base["steps"], steps)
    loss = base["losses"][there]
    mark = {"steps": steps, "loss": loss, "seconds": base["seconds"][there]}
    for *ours, found in zip(mine["steps"], mine["seconds"], mine["losses"]):
        if found <= loss:
            return mark | dict(zip(("our_steps", "our_seconds"), ours))
    return mark | {"our_steps": None, "our_seconds": None}


def _say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
