"""The page: its layout, and which handler each event calls."""

import html

import gradio as gr

from tf_style.app import choices, results
from tf_style.app.choices import QUIET

# Requests for pictures that are handled at a time, and more that Gradio queues.
MAX_CONCURRENT = 8
MAX_QUEUED = 8


class Page(gr.Blocks):
    """Blocks that trust nothing that a browser sends."""

    async def preprocess_data(self, block_fn, inputs, *_, **__):
        """Passes inputs to the handlers as they came.

        Gradio would fetch what claims to be a URL, and read what claims to be a file.
        """
        if len(inputs) != len(block_fn.inputs):
            raise ValueError("This page is out of date; reload it")
        return inputs

    async def process_api(self, *args, **kwargs):
        """Turns any error into one line for the page, with no traceback in the log."""
        try:
            return await super().process_api(*args, **kwargs)
        except Exception as error:
            line = " ".join(str(error).split()) or type(error).__name__
            raise gr.Error(line, print_exception=False) from None


def build(handlers):
    """Returns the page, a `gr.Blocks`, whose events a `handlers.Handlers` handles."""
    with Page(title="tf_style", analytics_enabled=False) as page:
        gr.HTML(
            "<h1>tf_style</h1><p>Repaints a photo in the style of a painting.</p>",
            elem_id="heading",
        )
        with gr.Row():
            with gr.Column(scale=4, min_width=320):
                photo, styles, *settings = choices.lay_out(handlers)
            with gr.Column(scale=7, min_width=320), gr.Tabs():
                with gr.Tab("One picture"):
                    mode = gr.Radio(
                        choices.MODES, value="hub", label="Path", elem_id="mode"
                    )
                    single = results.single()
                with gr.Tab("Side by side"):
                    pair = results.pair()
        models = gr.HTML("<p>Loading the models.</p>", elem_id="models")
        inputs = choices.Choices(photo, styles, mode, *settings)
        _connect("one", None, handlers, inputs, single)
        _connect("pair", "compare", handlers, inputs, pair)

        def name_models():
            lines = map(html.escape, handlers.name_models())
            return "".join(f"<p>{line}</p>" for line in lines)

        def close(request: gr.Request):
            handlers.close(request.session_hash)

        page.load(name_models, None, models, concurrency_limit=None, **QUIET)
        page.unload(close)
    return page


def _connect(kind, mode, handlers, inputs, panel):
    """Connects the buttons of a `results.ResultPanel` to the handlers."""

    def stylize(request: gr.Request, photo, styles, chosen, *settings):
        values = photo, styles, mode or chosen, *settings
        for view in handlers.stylize(kind, values, request.session_hash):
            yield panel.render(view)

    def stop(request: gr.Request):
        handlers.stop(kind, request.session_hash)
        return gr.update(interactive=False)

    def begin(chosen):
        slow = (mode or chosen) != "hub"
        return gr.update(interactive=False), gr.update(visible=slow, interactive=True)

    def end():
        return gr.update(interactive=True), gr.update(visible=False)

    buttons = [panel.start, panel.stop]
    panel.start.click(begin, inputs.mode, buttons, queue=False, **QUIET)
    finished = panel.start.click(
        stylize,
        [*inputs],
        panel.outputs(),
        **QUIET,
        concurrency_id="stylize",
        concurrency_limit=MAX_CONCURRENT,
    )
    # After errors too: with a button that stays grey the page would be of no use.
    finished.then(end, None, buttons, queue=False, **QUIET)
    panel.stop.click(stop, None, panel.stop, queue=False, **QUIET)
