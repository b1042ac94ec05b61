"""What the clicks on the page do; knows the page by its session's name only.

Values come straight from a request: none can be trusted to be what it should be.
"""

import gradio as gr

from tf_style.app.request import MAX_STYLES, StylizeRequest


class Handlers:
    """The handlers of clicks.

    Args:
        sessions: the `sessions.Sessions` of the open pages.
        warmup: the `warmup.Warmup`.
        photos, paintings: paths of the examples, in the order of the page.

    Attributes:
        photos, paintings: the same.
    """

    def __init__(self, sessions, warmup, photos, paintings):
        self._sessions = sessions
        self._warmup = warmup
        self.photos = photos
        self.paintings = paintings

    def stylize(self, kind, values, name):
        """Makes a picture, and yields what the page shows meanwhile.

        Args:
            kind: of task; each page has one of each.
            values: those of a `StylizeRequest`, in its order.
            name: of the session.

        Yields:
            A `work.View`, or the line that says why there is none.
        """
        try:
            photo, styles, *settings = values
            photo = photo and self._sessions.resolve(name, photo)
            styles = _files(styles)
            if len(styles) <= MAX_STYLES:  # else the request is refused below
                styles = [self._sessions.resolve(name, s, "style") for s in styles]
            request = StylizeRequest(photo, tuple(styles), *settings)
            task = self._sessions.get(name).start(kind)
            self._warmup.hurry()
            if not self._warmup.notes.done():
                yield "Loading the models; only the first picture waits for them"
            self._warmup.notes.result()
            yield from self._warmup.work.result().stylize(request, task)
        except Exception as error:
            reason = self._sessions.describe(error)
            gr.Warning(reason)
            yield reason

    def stop(self, kind, name):
        """Asks a running task to end with its best picture so far."""
        self._sessions.get(name).stop(kind)

    def close(self, name):
        """Ends the tasks of a page that was closed, and removes its files."""
        self._sessions.close(name)

    def add_photo(self, photo, name):
        """Returns the page's own path of an uploaded photo.

        If it is no picture, the photo stays the one before.
        """
        session = self._sessions.get(name)
        session.photo = next(self._resolve([photo], name, "photo"), session.photo)
        return session.photo

    def pick_photo(self, index, name):
        """Returns one of the example photos."""
        photo = _example(self.photos, index)
        self._sessions.get(name).photo = photo
        return photo

    def clear_photo(self, name):
        """Remembers that there is no photo."""
        self._sessions.get(name).photo = None

    def add_styles(self, styles, name):
        """Returns the styles with those that were just uploaded, up to the limit."""
        files = _files(styles)
        if len(files) > MAX_STYLES:
            gr.Warning(
                f"At most {MAX_STYLES} styles can be mixed; the first {MAX_STYLES} "
                f"of {len(files)} are kept"
            )
        return [*self._resolve(files[:MAX_STYLES], name, "style")]

    def toggle_style(self, styles, index, name):
        """Returns the styles with one of the examples added, or removed."""
        example = _example(self.paintings, index)
        paths = [*self._resolve(_files(styles)[:MAX_STYLES], name, "style")]
        chosen = [path for path in paths if path != example]
        if len(chosen) < len(paths):
            return chosen
        if len(chosen) == MAX_STYLES:
            gr.Warning(f"At most {MAX_STYLES} styles can be mixed; take one out first")
            return chosen
        return [*chosen, example]

    def name_models(self):
        """Waits for the models; returns lines that say which they are, and why."""
        self._warmup.hurry()
        try:
            # The rest names flags of the command line.
            notes = [note.partition("; --")[0] for note in self._warmup.notes.result()]
        except (ValueError, OSError, ImportError) as error:
            notes = [f"no picture can be painted: {self._sessions.describe(error)}"]
        return [note[:1].upper() + note[1:] + "." for note in notes]

    def _resolve(self, files, name, kind):
        """Yields the paths of pictures, and warns of files that are none."""
        for file in files:
            try:
                yield self._sessions.resolve(name, file, kind)
            except Exception as error:
                gr.Warning(self._sessions.describe(error))


def _files(styles):
    """Returns the file objects of a gallery's value.

    Raises:
        ValueError: it is none.
    """
    try:
        # Going by the ending, Gradio takes some pictures for videos.
        return [style.get("image") or style.get("video") for style in styles or ()]
    except (TypeError, AttributeError) as error:
        raise ValueError(
            "The styles are no list of pictures; reload the page"
        ) from error


def _example(examples, index):
    if type(index) is not int or not 0 <= index < len(examples):
        raise ValueError(f"There are {len(examples)} examples to choose from")
    return examples[index]
