"""The page: what stands where, and what a click leads to."""

import html

import gradio as gr

from tf_style.app import choices, stage
from tf_style.app.choices import QUIET

# Pages that work or wait on the server's side at a time, and more that queue for that.
MOST_AT_ONCE = 8
MOST_QUEUED = 8


class Page(gr.Blocks):
    """Blocks that believe nothing of what a browser sends."""

    async def preprocess_data(self, block_fn, inputs, *_, **__):
        """Hands inputs to the handlers as they came.

        Gradio would fetch what is called a URL, and read what is called a file.
        """
        if len(inputs) != len(block_fn.inputs):
            raise ValueError("This page is an old one; reload it")
        return inputs

    async def process_api(self, *args, **kwargs):
        """Turns whatever goes wrong into one line, without a traceback here."""
        try:
            return await super().process_api(*args, **kwargs)
        except Exception as error:
            line = " ".join(str(error).split()) or type(error).__name__
            raise gr.Error(line, print_exception=False) from None


def build(handlers):
    """Returns the page, a `gr.Blocks`, whose clicks a `handlers.Handlers` answers."""
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
                    single = stage.single()
                with gr.Tab("Side by side"):
                    pair = stage.pair()
        models = gr.HTML("<p>Loading the models.</p>", elem_id="models")
        read = choices.Choices(photo, styles, mode, *settings)
        _connect("one", None, handlers, read, single)
        _connect("pair", "compare", handlers, read, pair)

        def name_models():
            lines = map(html.escape, handlers.name_models())
            return "".join(f"<p>{line}</p>" for line in lines)

        def close(request: gr.Request):
            handlers.close(request.session_hash)

        page.load(name_models, None, models, concurrency_limit=None, **QUIET)
        page.unload(close)
    return page


def _connect(kind, mode, handlers, read, shown):
    """Has a stage's buttons do what they say."""

    def paint(request: gr.Request, photo, styles, chosen, *settings):
        values = photo, styles, mode or chosen, *settings
        for found in handlers.paint(kind, values, request.session_hash):
            yield shown.show(found)

    def stop(request: gr.Request):
        handlers.stop(kind, request.session_hash)
        return gr.update(interactive=False)

    def begin(chosen):
        slow = (mode or chosen) != "hub"
        return gr.update(interactive=False), gr.update(visible=slow, interactive=True)

    def end():
        return gr.update(interactive=True), gr.update(visible=False)

    buttons = [shown.paint, shown.stop]
    shown.paint.click(begin, read.mode, buttons, queue=False, **QUIET)
    painted = shown.paint.click(
        paint,
        [*read],
        shown.outputs(),
        **QUIET,
        concurrency_id="paint",
        concurrency_limit=MOST_AT_ONCE,
    )
    # Whatever happened: a button that stays grey is the end of a page.
    painted.then(end, None, buttons, queue=False, **QUIET)
    shown.stop.click(stop, None, shown.stop, queue=False, **QUIET)
