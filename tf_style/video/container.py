"""Opens the files of films with PyAV."""

import os
from typing import Any

from tf_style.system.files import StrPath


def open_film(path: StrPath, *arguments: Any, **settings: Any) -> Any:
    """Returns what `av.open` does for a path, which may have colons in its name.

    FFmpeg takes what is before a colon for a protocol, but for absolute paths.
    """
    import av  # optional, and slow to load

    return av.open(os.path.abspath(path), *arguments, **settings)
