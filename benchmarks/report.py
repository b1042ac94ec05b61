"""Tables and a plot of the results of `gatys.py`."""

import matplotlib.pyplot as plt


def print_speeds(results):
    """Prints a table of steps, and one of the machine's peaks."""
    print(
        "| loop | s a step | times as fast | share of the peak | memory | first loss |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, found in results["loops"].items():
        print(
            f"| {name} | {found['median']:.3f} | {found['times_as_fast']:.2f} "
            f"| {found['share_of_peak']:.0%} | {found['peak_bytes'] / 2**30:.2f} GiB "
            f"| {found['first_loss']:.6g} |"
        )
    print(
        f"\nOne step is {results['multiply_adds'] / 1e9:.1f}e9 multiply-adds. The most "
        "of them, in 1e9, that this machine was seen to do in a second; a share is of "
        "the larger number:\n\n"
        "| | matrix product | convolution |\n| --- | --- | --- |"
    )
    for precision, rates in results["peaks"].items():
        row = " | ".join(f"{rate / 1e9:.0f}" for rate in rates.values())
        print(f"| {precision} | {row} |")


def print_curves(curves):
    """Prints when each loop came to the tutorial's losses."""
    print("\n| tutorial's steps | loss | seconds | our steps | our seconds | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for mark in curves["marks"]:
        row = f"| {mark['steps']} | {mark['loss']:.4g} | {mark['seconds']:.1f} "
        if mark["our_seconds"] is None:
            print(row + "| not reached | | |")
            continue
        ratio = mark["seconds"] / mark["our_seconds"]
        print(
            row + f"| {mark['our_steps']} | {mark['our_seconds']:.1f} | {ratio:.2f} |"
        )


def plot(curves, path):
    """Draws the loss of all loops against seconds."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, curve in curves["loops"].items():
        axes.plot(curve["seconds"], curve["losses"], label=name)
    axes.set(xlabel="seconds", ylabel="loss, in float32", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)
