"""What `--help` shows: examples, and flags by what they are for."""

import textwrap

from tf_style.cli.flags import EXAMPLE, FLAGS

USAGE = f"""Repaints photos in the style of paintings.

    {EXAMPLE}
    tf-style photo.jpg painting.jpg out.png --mode=neighbors
    tf-style --content=photos/ --style=a.jpg,b.jpg --output=painted/

tf-style is short for python -m tf_style. tf-style export writes the built-in stylizer
for other programs; see tf-style export --help."""


# How `--help` shows them.
GROUPS = {
    "What to paint": (
        *("content", "style", "output", "mode", "max_side", "mask"),
        *("format", "quality", "from_manifest"),
    ),
    "Styles": (
        *("style_scale", "style_size", "style_blend", "style_weights"),
        *("preserve_color", "color_strength"),
    ),
    "Mode hub: one pass": ("model", "strength"),
    "Modes neighbors and gatys: optimise": (
        *("steps", "time_budget", "content_weight", "init", "seed", "scales"),
        *("backbone", "pooling", "precision", "tile", "deterministic"),
        *("optimizer", "learning_rate", "beta1", "epsilon"),
    ),
    "Mode neighbors": ("layers",),
    "Mode gatys": (
        *("style_weight", "tv_weight"),
        *("content_layers", "style_layers", "style_layer_weights"),
    ),
    "Intermediate results": ("save_every", "timelapse", "checkpoint_every", "resume"),
    "Films": ("flow", "keyframes", "temporal_weight"),
    "The job": ("sweep", "dry_run", "executor", "quiet", "verbose"),
}


def describe() -> str:
    """Returns what `--help` shows."""
    lines = [USAGE]
    for heading, names in GROUPS.items():
        lines += ["", f"{heading}:"]
        for flag in map(FLAGS.__getitem__, names):
            text = flag.help.partition(";\n")[0]  # absl adds how to repeat it.
            default = (flag.default_as_str or "").strip("'").replace(",", ", ")
            if default not in ("", "[]", "false") and "[" not in text:
                text += f" [{default}]"
            name = f"  --{'[no]' if flag.boolean else ''}{flag.name} "
            lines += textwrap.wrap(f"{name:<23} {text}", 88, subsequent_indent=" " * 24)
    return "\n".join([*lines, "", "--flagfile=FILE reads flags from a file."])
