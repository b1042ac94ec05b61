"""Imports TensorFlow and loads the models while the page is up already."""

import importlib
import threading
from concurrent.futures import Future

from tf_style.system import startup

# Seconds that a page is given to open first.
START_AFTER = 5.0


class Warmup:
    """What the page waits for before it can make a picture."""

    def __init__(self):
        self.work = Future()  # of the module `tf_style.app.work`, with models loaded
        self._wanted = threading.Event()

    def hurry(self):
        """Starts loading now: a page is open, or a picture was requested."""
        self._wanted.set()

    def start(self, folder):
        """Starts to load when the first page is open, or soon after.

        The results of a trial run go to `folder`.
        """
        # A daemon, so that Ctrl-C does not wait for a download.
        threading.Thread(target=self._load, args=(folder,), daemon=True).start()

    def _load(self, folder):
        # Until then, opening the page has the processor to itself.
        self._wanted.wait(START_AFTER)
        try:
            work = startup.import_quietly(_import_work)
            work.warm_up(folder)
            self.work.set_result(work)
        except BaseException as error:
            self.work.set_exception(error)


def _import_work():
    return importlib.import_module("tf_style.app.work")
