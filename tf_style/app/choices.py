"""The left side of the page: a photo, styles, and the settings."""

from typing import NamedTuple

import gradio as gr

from tf_style.app.request import (
    DEFAULT_SIDE,
    DEFAULT_STEPS,
    MAX_SIDE,
    MAX_STEPS,
    MAX_STYLES,
    MIN_SIDE,
)
from tf_style.config import GatysConfig, HubConfig, NeighborsConfig

# Examples in the package; the first of each is chosen when the page opens.
PHOTOS = ("harbor.webp", "still_life.webp")
PAINTINGS = (
    "swirls.webp",
    "mosaic.webp",
    "cubist.webp",
    "watercolor.webp",
    "woodcut.webp",
)
MODES = [
    ("Fast: one pass", "hub"),
    ("Painted: nearest neighbours", "neighbors"),
    ("Slow: optimise the picture", "gatys"),
]
COLORS = [
    ("Of the style", "none"),
    ("Hue and saturation of the photo", "luminance"),
    ("Mean and spread of the photo's", "covariance"),
    ("Distribution of the photo's", "histogram"),
]
INITS = [("The photo", "content"), ("The fast picture", "hub"), ("Noise", "noise")]

# Our status line says more than Gradio's overlay; and this page is no API.
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


class Choices(NamedTuple):
    """The components that a click reads, in the order of `StylizeRequest`."""

    photo: gr.Image
    styles: gr.Gallery
    mode: gr.Radio
    strength: gr.Slider
    colors: gr.Dropdown
    side: gr.Slider
    steps: gr.Slider
    init: gr.Dropdown
    seed: gr.Number
    neighbors_steps: gr.Slider


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

    def add(request: gr.Request, file):
        return handlers.add_photo(file, request.session_hash)

    def pick(request: gr.Request, event: gr.SelectData):
        return handlers.pick_photo(event.index, request.session_hash)

    def clear(request: gr.Request):
        handlers.clear_photo(request.session_hash)

    photo.upload(add, photo, photo, **QUIET)
    photo.clear(clear, None, None, queue=False, **QUIET)
    examples = _thumbnails(handlers.photos, "Or one of ours", "photos")
    examples.select(pick, None, photo, queue=False, **QUIET)
    return photo


def _styles(handlers):
    styles = gr.Gallery(
        handlers.paintings[:1],
        label=f"Styles: one, or up to {MAX_STYLES} to mix",
        type="filepath",
        file_types=["image"],
        interactive=True,
        allow_preview=False,
        object_fit="cover",
        columns=MAX_STYLES,
        buttons=[],
        elem_id="styles",
    )

    def add(request: gr.Request, files):
        return handlers.add_styles(files, request.session_hash)

    def toggle(request: gr.Request, event: gr.SelectData, files):
        return handlers.toggle_style(files, event.index, request.session_hash)

    styles.upload(add, styles, styles, **QUIET)
    examples = _thumbnails(
        handlers.paintings, "Or ours: a click adds one, or takes it out", "paintings"
    )
    examples.select(toggle, styles, styles, **QUIET)
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
    fast, slow = MAX_SIDE["hub"], MAX_SIDE["gatys"]
    with gr.Accordion("Settings", open=False):
        return (
            gr.Slider(0, 1, HubConfig.strength, step=0.05, label="Strength"),
            gr.Dropdown(COLORS, value=HubConfig.preserve_color, label="Colours"),
            gr.Slider(
                MIN_SIDE,
                fast,
                DEFAULT_SIDE,
                step=32,
                label="Longest side, in pixels",
                info=f"At most {fast}; of painted and slow ones {slow}.",
                elem_id="side",
            ),
            gr.Slider(
                1,
                MAX_STEPS,
                DEFAULT_STEPS,
                step=1,
                label="Slow: steps",
                elem_id="steps",
            ),
            gr.Dropdown(INITS, value=GatysConfig.init, label="Slow: begin with"),
            gr.Number(GatysConfig.seed, label="Slow: seed of the noise", precision=0),
            gr.Slider(
                1,
                MAX_STEPS,
                NeighborsConfig.steps,
                step=1,
                label="Painted: steps",
                elem_id="neighbors_steps",
            ),
        )
