"""The page in the browser: `python -m tf_style.app`.

`page` lays it out, `work` makes the pictures, `server` starts and ends it. Only `page`,
`choices`, `results`, `handlers` and `server` know Gradio. Only `work` needs TensorFlow,
which is imported while the page is up.
"""
