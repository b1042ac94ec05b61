"""Paints the page's own pictures: its first result, and what the choices do.

python docs/make_page_pictures.py
"""

from pathlib import Path

import tf_style as ts
from tf_style import images

STATIC = Path(__file__).parent.parent / "tf_style" / "app" / "static"
# In the order of the page; the file of each has its number.
CHOICES = {
    "strength": ("strength", (0.35, 0.65, 1.0)),
    "stroke": ("style_scale", (0.5, 1.0, 2.0)),
    "colors": ("preserve_color", ("none", "luminance", "covariance")),
}
SIDE = 150


def main():
    """Writes all of them."""
    photo, painting = (
        ts.load_image(STATIC / f"{n}.webp") for n in ("harbor", "swirls")
    )
    result = ts.stylize(photo, painting, model="builtin")
    ts.save_image(STATIC / "harbor_swirls.webp", result)
    for name, (setting, values) in CHOICES.items():
        for number, value in enumerate(values):
            picture = ts.stylize(photo, painting, model="builtin", **{setting: value})
            part = images.fit_longest(picture[:, 60:330, 130:490], SIDE)
            ts.save_image(STATIC / f"{name}_{number}.webp", part)


if __name__ == "__main__":
    main()
