"""What the clicks on the page do; knows the page by its session's name only.

Values come as a request has them: anything may be anything.
"""

import gradio as gr

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
            photo = photo and self._sessions.admit(name, photo)
            styles = _files(styles)
            if len(styles) <= MOST_STYLES:  # else it is refused in the next line
                styles = [self._sessions.admit(name, s, "style") for s in styles]
            wish = Wish(photo, tuple(styles), *settings)
            task = self._sessions.find(name).begin(kind)
            self._warmup.hurry()
            if not self._warmup.notes.done():
                yield "Loading the models; only the first picture waits for them"
            self._warmup.notes.result()
            yield from self._warmup.work.result().paint(wish, task)
        except Exception as error:
            reason = self._sessions.plain(error)
            gr.Warning(reason)
            yield reason

    def stop(self, kind, name):
        """Has a running task end with what it has."""
        self._sessions.find(name).stop(kind)

    def close(self, name):
        """Ends what a page that was closed has left running, and removes its files."""
        self._sessions.close(name)

    def adopt_photo(self, photo, name):
        """Returns where an uploaded photo is from now on.

        If it is no picture, it is the photo from before.
        """
        session = self._sessions.find(name)
        session.photo = next(self._adopt([photo], name, "photo"), session.photo)
        return session.photo

    def pick_photo(self, index, name):
        """Returns one of our photos."""
        photo = _one_of(self.photos, index)
        self._sessions.find(name).photo = photo
        return photo

    def clear_photo(self, name):
        """Notes that there is no photo."""
        self._sessions.find(name).photo = None

    def adopt_styles(self, styles, name):
        """Returns the styles with those that were just uploaded, as far as they go."""
        files = _files(styles)
        if len(files) > MOST_STYLES:
            gr.Warning(
                f"At most {MOST_STYLES} styles can be mixed; the first {MOST_STYLES} "
                f"of {len(files)} are kept"
            )
        return [*self._adopt(files[:MOST_STYLES], name, "style")]

    def toggle_style(self, styles, index, name):
        """Returns the styles with one of ours more, or less."""
        ours = _one_of(self.paintings, index)
        paths = [*self._adopt(_files(styles)[:MOST_STYLES], name, "style")]
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

    def _adopt(self, files, name, kind):
        """Yields the paths of pictures, and warns of what is none."""
        for file in files:
            try:
                yield self._sessions.admit(name, file, kind)
            except Exception as error:
                gr.Warning(self._sessions.plain(error))


def _files(styles):
    """Returns the file objects of a gallery's value.

    Raises:
        ValueError: it is none.
    """
    try:
        # By the ending, Gradio takes some pictures for films.
        return [style.get("image") or style.get("video") for style in styles or ()]
    except (TypeError, AttributeError) as error:
        raise ValueError(
            "The styles are no list of pictures; reload the page"
        ) from error


def _one_of(ours, index):
    if type(index) is not int or not 0 <= index < len(ours):
        raise ValueError(f"There are {len(ours)} pictures of ours to choose from")
    return ours[index]
