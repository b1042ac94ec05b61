"""Times a folder with Ray workers, and with the local executor on as many cores.

    python benchmarks/cluster.py [--model=builtin] [--count=200] [--size=512]

Both paint the same photos, crops of `examples/`, in turns, each time into an empty
folder. Rates count from the first written picture to the last. The total time includes
the start of Ray, and of TensorFlow in every worker.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from folder import EXAMPLES, draw

TURNS = 2


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--size", type=int, default=512, help="pixels a side")
    parser.add_argument("--ending", default=".jpg", help="of the photos")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        draw(photos, options)
        rates = {"local": [], "ray": []}
        for turn in range(TURNS):
            for executor, found in rates.items():
                out = Path(folder, f"{executor}{turn}")
                began = time.perf_counter()
                _paint(executor, photos, out, options.model)
                whole = time.perf_counter() - began
                found.append(_rate(out))
                print(f"{executor}: {found[-1]:.2f} pictures/s, {whole:.1f} s in all")
    best = {executor: max(found) for executor, found in rates.items()}
    print(f"Ray paints at {best['ray'] / best['local']:.2f} of the local rate")


def _paint(executor, photos, out, model):
    command = [sys.executable, "-m", "tf_style", f"--executor={executor}", "--quiet"]
    command += [f"--content={photos}", f"--style={EXAMPLES / 'swirls.jpg'}"]
    subprocess.run([*command, f"--model={model}", f"--output={out}/"], check=True)


def _rate(out):
    """Returns pictures a second between the first that was written and the last."""
    times = sorted(path.stat().st_mtime for path in out.glob("*_*.json"))
    return (len(times) - 1) / (times[-1] - times[0])


if __name__ == "__main__":
    main()
