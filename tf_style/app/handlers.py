"""What the clicks on the page do; knows the page by its session's name only."""

import gradio as gr

from tf_style import images
from tf_style.app.wish import MOST_STYLES, Wish


class Handlers:
    """Answers to clicks.

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

    def paint(self, kind, values, name):
        """Paints, and yields what is to be seen of it.

        Args:
            kind: of task; each page has one of each.
            values: those of `wish.Wish`, in its order.
            name: of the session.

        Yields:
            A `work.View`, or the line that says why there is none.
        """
        try:
            photo, styles, *settings = values
            wish = Wish(photo, tuple(_paths(styles)), *settings)
            task = self._sessions.find(name).begin(kind)
            self._warmup.hurry()
            if not self._warmup.notes.done():
                yield "Loading the models; only the first picture waits for them"
            self._warmup.notes.result()
            yield from self._warmup.work.result().paint(wish, task)
        except (ValueError, OSError, ImportError) as error:
            reason = self._sessions.plain(error)
            gr.Warning(reason)
            yield reason

    def stop(self, kind, name):
        """Has a running task end with what it has."""
        self._sessions.find(name).stop(kind)

    def close(self, name):
        """Ends what a page that was closed has left running, and removes its files."""
        self._sessions.close(name)

    def adopt_photo(self, path, name):
        """Returns where an uploaded photo is from now on; None if it is no picture."""
        return next(self._adopt([path], name), None)

    def adopt_styles(self, styles, name):
        """Returns the styles with those that were just uploaded, as far as they go."""
        return [*self._adopt(_paths(styles), name)]

    def toggle_style(self, styles, index):
        """Returns the styles with one of ours more, or less."""
        ours, paths = self.paintings[index], _paths(styles)
        chosen = [path for path in paths if path != ours]
        if len(chosen) < len(paths):
            return chosen
        if len(chosen) == MOST_STYLES:
            gr.Warning(f"At most {MOST_STYLES} styles can be mixed; take one out first")
            return chosen
        return [*chosen, ours]

    def name_models(self):
        """Waits for the models, and says which they are and why; a list of lines."""
        self._warmup.hurry()
        try:
            # What follows would be flags of the command line.
            notes = [note.partition("; --")[0] for note in self._warmup.notes.result()]
        except (ValueError, OSError, ImportError) as error:
            notes = [f"no picture can be painted: {self._sessions.plain(error)}"]
        return [note[:1].upper() + note[1:] + "." for note in notes]

    def _adopt(self, paths, name):
        """Yields uploads as files of the session, and warns of what is no picture."""
        ours = {*self.photos, *self.paintings}
        for path in paths:
            try:
                session = self._sessions.find(name)
                if not (path in ours or session.owns(path)):
                    path = session.adopt(path)
                    images.load_picture(path)
                yield path
            except (ValueError, OSError) as error:
                gr.Warning(self._sessions.plain(error))


def _paths(styles):
    """Returns the paths of a gallery's value."""
    return [path for path, _ in styles or []]
