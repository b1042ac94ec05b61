"""What `--help` shows: examples, and the flags in groups."""

import textwrap

from tf_style.cli.flags import EXAMPLE, FLAGS

USAGE = f"""Repaints photos and films in the style of paintings.

    {EXAMPLE}
    tf-style photo.jpg painting.jpg out.png --mode=neighbors
    tf-style --content=photos/ --style=a.jpg,b.jpg --output=painted/

tf-style is short for python -m tf_style. tf-style export writes the built-in model for
other programs, tf-style serve paints for them over HTTP; see tf-style export --help
and tf-style serve --help."""

# The flags by group, in the order of `--help`.
GROUPS = {
    "What to paint": (
        *("content", "style", "output", "mode", "max_side", "mask"),
        *("format", "quality", "keep_location", "from_manifest"),
    ),
    "Styles": (
        *("style_scale", "style_size", "style_blend", "style_weights"),
        *("preserve_color", "color_strength"),
    ),
    "Fast method (hub)": ("model", "strength"),
    "Slow methods (neighbors and gatys)": (
        *("steps", "time_budget", "content_weight", "init", "seed", "scales"),
        *("backbone", "pooling", "precision", "tile", "deterministic"),
        *("optimizer", "learning_rate", "beta1", "epsilon"),
    ),
    "neighbors only": ("layers",),
    "gatys only": (
        *("style_weight", "tv_weight"),
        *("content_layers", "style_layers", "style_layer_weights"),
    ),
    "Intermediate results of slow methods": (
        *("save_every", "timelapse", "checkpoint_every", "resume"),
    ),
    "Films": ("flow", "keyframes", "temporal_weight"),
    "Running": ("sweep", "dry_run", "executor", "quiet", "verbose"),
}


def explain(name: str) -> tuple[str, str]:
    """Returns the explanation of a flag, and its default; empty where there is none."""
    flag = FLAGS[name]
    text = flag.help.partition(";\n")[0]  # absl appends how to repeat it.
    if text.endswith("]"):  # Methods have defaults of their own.
        text, _, default = text[:-1].rpartition(" [")
        return text, default
    default = (flag.default_as_str or "").strip("'").replace(",", ", ")
    return text, "" if default in ("[]", "false") else default


def describe() -> str:
    """Returns what `--help` shows."""
    lines = [USAGE]
    for heading, names in GROUPS.items():
        lines += ["", f"{heading}:"]
        for name in names:
            text, default = explain(name)
            text += f" [{default}]" if default else ""
            flag = f"  --{'[no]' if FLAGS[name].boolean else ''}{name} "
            lines += textwrap.wrap(f"{flag:<23} {text}", 88, subsequent_indent=" " * 24)
    end = "--flagfile=FILE reads flags from a file. Defaults are in brackets."
    return "\n".join([*lines, "", end])
