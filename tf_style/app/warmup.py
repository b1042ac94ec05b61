"""Imports TensorFlow and loads the models while the page is up already."""

import importlib
import threading
from concurrent.futures import Future

from tf_style.system import startup

# Seconds that a page may take to open.
BEGIN_AFTER = 5.0


class Warmup:
    """What the page waits for before it paints.

    Attributes:
        work: future of the module `tf_style.app.work`.
        notes: future of the lines that say which models there are, and why.
    """

    def __init__(self):
        self.work, self.notes = Future(), Future()
        self._wanted = threading.Event()

    def hurry(self):
        """Begins now: a page is open, or a picture is wanted."""
        self._wanted.set()

    def start(self, photo, style, folder):
        """Begins in a thread, when the first page is open or soon after.

        Args:
            photo, style: paths of pictures to paint for practice.
            folder: for what is painted.
        """

        def load():
            # What comes first to be seen has the processor to itself.
            self._wanted.wait(BEGIN_AFTER)
            try:
                self.work.set_result(startup.import_quietly(_import_work))
                self.notes.set_result(self.work.result().warm(photo, style, folder))
            except BaseException as error:
                for future in (self.work, self.notes):
                    if not future.done():
                        future.set_exception(error)

        # Who presses Ctrl-C does not wait for a download.
        threading.Thread(target=load, name="warm-up", daemon=True).start()


def _import_work():
    return importlib.import_module("tf_style.app.work")
