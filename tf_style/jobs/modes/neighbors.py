"""Mode neighbors: every place takes what is nearest, Kolkin et al. (2022)."""

from tf_style.jobs.modes.gatys import (
    HAS_CHECKPOINTS,
    HAS_STEPS,
    IS_QUICK,
    MAKES_FILMS,
    MAX_SIDE,
    draw,
    parts,
    picture_path,
    stylize,
    stylize_film,
)

__all__ = [
    "HAS_CHECKPOINTS",
    "HAS_STEPS",
    "HELP",
    "IS_QUICK",
    "MAKES_FILMS",
    "MAX_SIDE",
    "METHODS",
    "draw",
    "parts",
    "picture_path",
    "stylize",
    "stylize_film",
]

HELP = "matches the painting's nearest features, in seconds"
METHODS = ("neighbors",)
