"""The page in the browser: `python -m tf_style.app`.

`page` lays it out, `work` paints, `server` starts and ends it. Only `page` and `server`
know Gradio, and only `work` needs TensorFlow, which is imported while the page is up.
"""
