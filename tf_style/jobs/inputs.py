"""Reads the inputs of a job, checks their checksums, and encodes styles once."""

import functools

from tf_style import images, methods
from tf_style.fast import hub
from tf_style.jobs import manifest
from tf_style.jobs.events import Failed, Info, describe_error
from tf_style.video import reader

# Number of encoded styles to keep.
STYLES_IN_MEMORY = 8


def read(job, name, source, max_side=0):
    """Reads a picture, or a film's first frame, and checks a known checksum."""
    load = reader.load_first if reader.is_film(source) else images.load_picture
    picture = load(source, max_side)
    manifest.check(job, name, source, picture.sha256)
    return picture


def attempt(name, work, *arguments):
    """Returns the result of `work`; None after an event that says why `name` failed.

    Defects of a picture are reported too.
    """
    try:
        found = work(*arguments)
    except Exception as error:  # Decoders can raise anything.
        reason = describe_error(error)
        yield Failed(reason if name in reason else f"{name}: {reason}")
        return None
    if note := getattr(found, "note", ""):
        yield Info(note)
    return found


class StyleCache:
    """The styles of a job, read and encoded once; the last few are cached.

    Attributes:
        readable: sources that could be read; filled with `attempt`.
    """

    def __init__(self, job, sources):
        self._job = job
        self._names = dict(zip(sources, manifest.numbered("style", len(sources))))
        self.read = functools.lru_cache(STYLES_IN_MEMORY)(self._read)
        self._known = functools.lru_cache(STYLES_IN_MEMORY)(self._encode)
        self.encode_slow = functools.lru_cache(STYLES_IN_MEMORY)(self._encode_slow)
        self.readable = set()

    def encode(self, sources, config, content):
        """Returns the `hub.StyleCode` of styles for a photo [1, H, W, 3]."""
        if config.preserve_color == "none":
            return self._known(sources, config)
        return self._encode(sources, config, content)

    def _encode_slow(self, method, sources, config):
        """Returns styles encoded by a slow method."""
        styles = [self.read(source).pixels for source in sources]
        return methods.load(method).encode(styles, config)

    def _read(self, source):
        # Methods scale the style themselves, some by its shorter side.
        return read(self._job, self._names[source], source)

    def _encode(self, sources, config, content=None):
        styles = [self.read(source).pixels for source in sources]
        return hub.encode(styles, config, content=content)
