"""Snapshots of slow methods: checkpoints, frames, and their film."""

import contextlib
import time

from tf_style.jobs import checkpoint, modes, timelapse
from tf_style.system import files

# Number of frames of a film if --save_every is not given.
FILM_FRAMES = 100


def frames_folder(output):
    """Returns the folder of a picture's frames."""
    return output.with_name(f"{output.name}.frames")


def check_ours(job, output):
    """Raises ValueError if snapshots would overwrite files that are not ours."""
    if modes.of(job).HAS_CHECKPOINTS:
        checkpoint.check_ours(checkpoint.path_of(output))
    if job.save_every or job.timelapse:
        timelapse.Frames(frames_folder(output), None).check_ours()


def remove_checkpoint(output, account):
    """Removes the checkpoint of a finished picture, if it belongs to that run."""
    path = checkpoint.path_of(output)
    with contextlib.suppress(ValueError, OSError):
        if path.exists() and checkpoint.read(path, account):
            path.unlink()


class Snapshots:
    """The files that are written while a picture is optimised.

    Args:
        job: a `config.Job`.
        output: path of the picture.
        size: its height and width.
        account: what it depends on, from `manifest.describe`.
    """

    def __init__(self, job, output, size, account):
        self._job = job
        self._account = account
        has_checkpoints = modes.of(job).HAS_CHECKPOINTS
        self._checkpoint = checkpoint.path_of(output) if has_checkpoints else None
        self._frames = timelapse.Frames(frames_folder(output), size)
        self._saved = None  # step of the existing checkpoint, if it belongs to this run
        self._due = 0  # of `FILM_FRAMES`

    @property
    def _wanted(self):
        return bool(self._job.save_every or self._job.timelapse)

    def resume(self):
        """Returns the `engine.State` to continue from, if any, and notes for the user.

        Raises:
            ValueError: the checkpoint is invalid or belongs to another run.
        """
        path = self._checkpoint
        if not (path and path.exists()):
            return None, []
        if self._job.resume:
            return checkpoint.read(path, self._account), []
        try:
            self._saved = checkpoint.read(path, self._account).index
        except (ValueError, OSError):
            return None, [
                f"{path} belongs to a run with other settings and is replaced"
            ]
        return None, [
            f"starting over; --resume would continue from step {self._saved} of {path}"
        ]

    def follow(self, steps):
        """Yields `steps`, and writes snapshots when they are due.

        If one cannot be written, the step's note says so, and no more are tried: the
        picture matters more.
        """
        saved, trouble = time.monotonic(), ""
        stale = self._wanted and not self._job.resume
        for step in steps:
            now = time.monotonic()
            try:
                if not trouble:
                    if stale:
                        self._frames.remove()
                        stale = False
                    self._film(step)
                    every = self._job.checkpoint_every
                    if self._checkpoint and 0 < every <= now - saved:
                        self._save(step)
                        saved = time.monotonic()
            except Exception as error:
                trouble = f"continuing without checkpoints and frames: {error}"
                step = step._replace(note="; ".join(filter(None, [step.note, trouble])))
            yield step

    def stop(self, step):
        """Writes a checkpoint of the last step of an interrupted run.

        Returns:
            A list of notes for the user.
        """
        try:
            self._save(step)
        except Exception as error:
            return [f"cannot continue from a checkpoint: {error}"]
        return []

    def _save(self, step):
        if not (self._checkpoint and self._job.checkpoint_every):
            return
        if self._saved is None or step.index >= self._saved:
            checkpoint.write(self._checkpoint, step.state(), self._account)

    def finish(self, stylized):
        """Makes the film, and deletes what a finished picture no longer needs.

        Args:
            stylized: the picture, [1, H, W, 3], and whether it was `interrupted`.

        Returns:
            A list of the film's path, empty without one.
        """
        films = [files.local(self._job.timelapse)] if self._job.timelapse else []
        if self._wanted:
            self._frames.add(stylized.facts["steps"], stylized.picture)
        for path in films:
            timelapse.write(path, self._frames.paths)
        if not stylized.interrupted:
            if self._checkpoint:
                self._checkpoint.unlink(missing_ok=True)
            if films and not self._job.save_every:
                self._frames.remove()
        return films

    def _film(self, step):
        if self._job.save_every:
            due = step.index % self._job.save_every == 0
        else:
            due = self._job.timelapse and step.progress * FILM_FRAMES >= self._due
        if due:
            self._frames.add(step.index, step.image.numpy())
            self._due = int(step.progress * FILM_FRAMES) + 1
