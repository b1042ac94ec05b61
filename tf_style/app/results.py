"""The right side of the page: the buttons, the status and the results."""

import html
from typing import NamedTuple

import gradio as gr

from tf_style.app import chart
from tf_style.app.choices import MODES
from tf_style.config import LOSS_COLORS


class ResultPanel(NamedTuple):
    """The components that start, show and stop one kind of task."""

    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    # An Image of each method by its name; or an ImageSlider, of "".
    pictures: dict[str, gr.Image | gr.ImageSlider]
    chart: gr.HTML
    picture: gr.DownloadButton
    bundle: gr.DownloadButton

    def outputs(self):
        """Returns the components that change while a task runs."""
        return [
            self.status,
            *self.pictures.values(),
            self.chart,
            self.picture,
            self.bundle,
        ]

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
            self.chart: _table(view.numbers, view.note) + drawing,
            self.picture: _download(view.picture),
            self.bundle: _download(view.bundle),
        }
        if not view.pictures:
            return values
        if "" in self.pictures:
            last = [*view.pictures.values()][-1]
            return values | {self.pictures[""]: (view.before, last)}
        # Those that are not painted anew yet would be of another photo.
        return values | {
            component: view.pictures.get(method)
            for method, component in self.pictures.items()
        }


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
    return ResultPanel(start, stop, status, {"": slider}, *_chart_and_downloads("one"))


def pair():
    """Returns the `ResultPanel` of all methods side by side."""
    start, stop, status = _controls("pair", "Paint all")
    with gr.Row():
        pictures = {
            method: gr.Image(
                label=label.partition(":")[0],
                type="filepath",
                interactive=False,
                buttons=["fullscreen"],
                min_width=280,
                elem_id=f"pair-{method}",
            )
            for label, method in MODES
        }
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


def _table(numbers, note):
    """Returns what was measured of each method as HTML; empty for one picture."""
    if not numbers:
        return ""
    titles = {method: label.partition(":")[0] for label, method in MODES}
    rows = {
        titles[method]: {"seconds": f"{result['seconds']:.1f}"}
        | {f"{kind} loss": _number(result["losses"][kind]) for kind in LOSS_COLORS}
        | {name: _number(value) for name, value in result["distances"].items()}
        for method, result in numbers.items()
    }
    heads = "".join(f"<th>{head}</th>" for head in next(iter(rows.values())))
    body = ""
    for title, row in rows.items():
        cells = "".join(f"<td>{text}</td>" for text in row.values())
        body += f"<tr><th>{title}</th>{cells}</tr>"
    table = f"<table><tr><th></th>{heads}</tr>{body}</table>"
    return f"{table}<p>{html.escape(note[:1].upper() + note[1:])}.</p>"


def _number(value):
    """Formats a loss; in a manifest None stands for infinity."""
    return "∞" if value is None else f"{value:.3g}"
