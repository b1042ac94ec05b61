"""The left side of the page: a photo, styles, and the settings."""

from typing import NamedTuple

import gradio as gr

from tf_style.app.wish import (
    LEAST_SIDE,
    MOST_SIDE,
    MOST_STEPS,
    MOST_STYLES,
    SIDE,
    STEPS,
)
from tf_style.config import GatysConfig, HubConfig

# Of those that ship with the package; the first of each is there when the page opens.
PHOTOS = ("harbor.webp", "still_life.webp")
PAINTINGS = (
    "swirls.webp",
    "mosaic.webp",
    "cubist.webp",
    "watercolor.webp",
    "woodcut.webp",
)
MODES = [("Fast: one pass", "hub"), ("Slow: optimise the picture", "gatys")]
COLORS = [
    ("Of the style", "none"),
    ("Hue and saturation of the photo", "luminance"),
    ("Mean and spread of the photo's", "covariance"),
    ("Distribution of the photo's", "histogram"),
]
INITS = [("The photo", "content"), ("The fast picture", "hub"), ("Noise", "noise")]

# Our own status line says more than Gradio's veil; and this page is no API.
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


class Choices(NamedTuple):
    """What a click reads, in the order of `wish.Wish`."""

    photo: gr.Image
    styles: gr.Gallery
    mode: gr.Radio
    strength: gr.Slider
    colors: gr.Dropdown
    side: gr.Slider
    steps: gr.Slider
    init: gr.Dropdown
    seed: gr.Number


def lay_out(handlers):
    """Returns the components without the mode: photo, styles, and the settings."""
    return _photo(handlers), _styles(handlers), *_settings()


def _photo(handlers):
    photo = gr.Image(
        handlers.photos[0],
        label="Photo",
        sources=["upload", "clipboard"],
        height=280,
        buttons=[],
        elem_id="photo",
    )

    def adopt(request: gr.Request, file):
        return handlers.adopt_photo(file, request.session_hash)

    def pick(request: gr.Request, event: gr.SelectData):
        return handlers.pick_photo(event.index, request.session_hash)

    def clear(request: gr.Request):
        handlers.clear_photo(request.session_hash)

    photo.upload(adopt, photo, photo, **QUIET)
    photo.clear(clear, None, None, queue=False, **QUIET)
    ours = _thumbnails(handlers.photos, "Or one of ours", "photos")
    ours.select(pick, None, photo, queue=False, **QUIET)
    return photo


def _styles(handlers):
    styles = gr.Gallery(
        handlers.paintings[:1],
        label=f"Styles: one, or up to {MOST_STYLES} to mix",
        type="filepath",
        file_types=["image"],
        interactive=True,
        allow_preview=False,
        object_fit="cover",
        columns=MOST_STYLES,
        buttons=[],
        elem_id="styles",
    )

    def adopt(request: gr.Request, files):
        return handlers.adopt_styles(files, request.session_hash)

    def toggle(request: gr.Request, event: gr.SelectData, files):
        return handlers.toggle_style(files, event.index, request.session_hash)

    styles.upload(adopt, styles, styles, **QUIET)
    ours = _thumbnails(
        handlers.paintings, "Or ours: a click adds one, or takes it out", "paintings"
    )
    ours.select(toggle, styles, styles, **QUIET)
    return styles


def _thumbnails(paths, label, elem_id):
    with gr.Group(elem_classes="ours"):
        gr.HTML(label)
        return gr.Gallery(
            paths,
            show_label=False,
            container=False,
            columns=len(paths),
            object_fit="cover",
            interactive=False,
            allow_preview=False,
            buttons=[],
            elem_id=elem_id,
            elem_classes="thumbnails",
        )


def _settings():
    """Returns the components of the settings, in the order of `Choices`."""
    fast, slow = MOST_SIDE["hub"], MOST_SIDE["gatys"]
    with gr.Accordion("Settings", open=False):
        return (
            gr.Slider(0, 1, HubConfig.strength, step=0.05, label="Strength"),
            gr.Dropdown(COLORS, value=HubConfig.preserve_color, label="Colours"),
            gr.Slider(
                LEAST_SIDE,
                fast,
                SIDE,
                step=32,
                label="Longest side, in pixels",
                info=f"At most {fast}; on the slow path {slow}.",
                elem_id="side",
            ),
            gr.Slider(
                1, MOST_STEPS, STEPS, step=1, label="Slow: steps", elem_id="steps"
            ),
            gr.Dropdown(INITS, value=GatysConfig.init, label="Slow: begin with"),
            gr.Number(GatysConfig.seed, label="Slow: seed of the noise", precision=0),
        )
