"""The right side of the page: where a task is started, shown and stopped."""

import html
from typing import NamedTuple

import gradio as gr

from tf_style.app import chart


class Stage(NamedTuple):
    """Where one kind of task is started, shown and stopped."""

    paint: gr.Button
    stop: gr.Button
    status: gr.HTML
    pictures: tuple  # an ImageSlider; or Images of the fast path and the slow one
    chart: gr.HTML
    picture: gr.DownloadButton
    bundle: gr.DownloadButton

    def outputs(self):
        """Returns the components that change while it paints."""
        return [self.status, *self.pictures, self.chart, self.picture, self.bundle]

    def show(self, found):
        """Returns what a `work.View`, or the reason why there is none, looks like."""
        if isinstance(found, str):
            return {self.status: f"<p>{html.escape(found)}</p>"}
        bar = ""
        if found.progress is not None:
            bar = f'<progress value="{found.progress:.3f}"></progress>'
        drawing = chart.draw(found.points, found.steps)
        shown = {
            self.status: f"<p>{html.escape(found.status)}</p>{bar}",
            self.chart: _table(found.numbers) + drawing,
            self.picture: _taking(found.picture),
            self.bundle: _taking(found.bundle),
        }
        if not found.fast:
            return shown
        if len(self.pictures) == 1:
            return shown | {self.pictures[0]: (found.before, found.slow or found.fast)}
        return shown | dict(zip(self.pictures, (found.fast, found.slow)))


def single():
    """Returns the `Stage` of one picture."""
    paint, stop, status = _controls("one", "Paint")
    slider = gr.ImageSlider(
        label="Before and after",
        type="filepath",
        interactive=False,
        max_height=560,
        buttons=["fullscreen"],
        elem_id="slider",
    )
    return Stage(paint, stop, status, (slider,), *_takings("one"))


def pair():
    """Returns the `Stage` of both paths side by side."""
    paint, stop, status = _controls("pair", "Paint both")
    with gr.Row():
        pictures = tuple(
            gr.Image(
                label=label,
                type="filepath",
                interactive=False,
                buttons=["fullscreen"],
                min_width=280,
                elem_id=elem_id,
            )
            for label, elem_id in (("Fast", "pair-fast"), ("Slow", "pair-slow"))
        )
    return Stage(paint, stop, status, pictures, *_takings("pair"))


def _controls(kind, label):
    with gr.Row():
        paint = gr.Button(label, variant="primary", elem_id=f"{kind}-paint")
        stop = gr.Button(
            "Stop and keep the best",
            variant="stop",
            visible=False,
            min_width=200,
            elem_id=f"{kind}-stop",
        )
    return paint, stop, gr.HTML(elem_id=f"{kind}-status", elem_classes="status")


def _takings(kind):
    """Returns the chart and the two downloads."""
    with gr.Row():
        picture, bundle = (
            gr.DownloadButton(
                label,
                size="md",
                interactive=False,
                min_width=200,
                elem_id=f"{kind}-{elem_id}",
            )
            for label, elem_id in (
                ("Download the picture", "picture"),
                ("Download with the manifest", "bundle"),
            )
        )
    chart = gr.HTML(elem_id=f"{kind}-chart", elem_classes="chart")
    return chart, picture, bundle


def _taking(path):
    return gr.update(value=path, interactive=path is not None)


def _table(numbers):
    """Returns what both paths came to, as HTML; empty for one path."""
    if not numbers:
        return ""
    rows = "".join(
        f"<tr><th>{name.capitalize()}</th><td>{found['seconds']:.1f}</td>"
        + "".join(f"<td>{_number(found['losses'][k])}</td>" for k in chart.COLOURS)
        for name, found in numbers.items()
    )
    heads = "".join(f"<th>{kind} loss</th>" for kind in chart.COLOURS)
    return f"<table><tr><th></th><th>seconds</th>{heads}</tr>{rows}</table>"


def _number(value):
    """Returns a loss as text; JSON knows no infinity."""
    return "∞" if value is None else f"{value:.3g}"
