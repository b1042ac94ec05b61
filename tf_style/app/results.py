"""The right side of the page: the buttons, the status and the results."""

import html
from typing import NamedTuple

import gradio as gr

from tf_style.app import chart
from tf_style.config import LOSS_COLORS


class ResultPanel(NamedTuple):
    """The components that start, show and stop one kind of task."""

    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    pictures: tuple  # an ImageSlider, or an Image of each path
    chart: gr.HTML
    picture: gr.DownloadButton
    bundle: gr.DownloadButton

    def outputs(self):
        """Returns the components that change while a task runs."""
        return [self.status, *self.pictures, self.chart, self.picture, self.bundle]

    def render(self, view):
        """Returns the new values of the components.

        Args:
            view: a `work.View`, or a line that says why there is none.
        """
        if isinstance(view, str):
            return {self.status: f"<p>{html.escape(view)}</p>"}
        bar = ""
        if view.progress is not None:
            bar = f'<progress value="{view.progress:.3f}"></progress>'
        drawing = chart.draw(view.points, view.steps)
        values = {
            self.status: f"<p>{html.escape(view.status)}</p>{bar}",
            self.chart: _table(view.numbers) + drawing,
            self.picture: _download(view.picture),
            self.bundle: _download(view.bundle),
        }
        if not view.fast:
            return values
        if len(self.pictures) == 1:
            return values | {self.pictures[0]: (view.before, view.slow or view.fast)}
        return values | dict(zip(self.pictures, (view.fast, view.slow)))


def single():
    """Returns the `ResultPanel` of one picture."""
    start, stop, status = _controls("one", "Paint")
    slider = gr.ImageSlider(
        label="Before and after",
        type="filepath",
        interactive=False,
        max_height=560,
        buttons=["fullscreen"],
        elem_id="slider",
    )
    return ResultPanel(start, stop, status, (slider,), *_chart_and_downloads("one"))


def pair():
    """Returns the `ResultPanel` of both paths side by side."""
    start, stop, status = _controls("pair", "Paint both")
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
    return ResultPanel(start, stop, status, pictures, *_chart_and_downloads("pair"))


def _controls(kind, label):
    with gr.Row():
        start = gr.Button(label, variant="primary", elem_id=f"{kind}-paint")
        stop = gr.Button(
            "Stop and keep the best",
            variant="stop",
            visible=False,
            min_width=200,
            elem_id=f"{kind}-stop",
        )
    return start, stop, gr.HTML(elem_id=f"{kind}-status", elem_classes="status")


def _chart_and_downloads(kind):
    """Returns the loss chart and the two download buttons."""
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


def _download(path):
    return gr.update(value=path, interactive=path is not None)


def _table(numbers):
    """Returns seconds and losses of both paths as HTML; empty for one path."""
    if not numbers:
        return ""
    rows = "".join(
        f"<tr><th>{name.capitalize()}</th><td>{result['seconds']:.1f}</td>"
        + "".join(f"<td>{_number(result['losses'][k])}</td>" for k in LOSS_COLORS)
        for name, result in numbers.items()
    )
    heads = "".join(f"<th>{kind} loss</th>" for kind in LOSS_COLORS)
    return f"<table><tr><th></th><th>seconds</th>{heads}</tr>{rows}</table>"


def _number(value):
    """Formats a loss; in a manifest None stands for infinity."""
    return "∞" if value is None else f"{value:.3g}"
