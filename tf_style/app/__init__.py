"""The page in the browser, and the endpoint for other programs.

`python -m tf_style.app` serves `routes` and the files of `static`; `tf-style serve`
serves `api`. `server` starts and ends both, `sessions` keeps their files, and `work`
makes the pictures; only that needs TensorFlow, which is imported while the page is up.
"""
