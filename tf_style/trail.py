"""What the slow path leaves on its way: checkpoints, frames, and the film of them."""

import time

from tf_style import checkpoint, files, timelapse

# Of a film whose steps nobody counted out.
FILM_FRAMES = 100


class Trail:
    """Follows the optimisation of one picture.

    Args:
        job: a `config.Job`.
        output: path of the picture.
        size: its height and width.
        account: what it depends on, as of `manifest.describe`.
    """

    def __init__(self, job, output, size, account):
        self._job = job
        self._account = account
        self._checkpoint = checkpoint.path_of(output) if job.mode == "gatys" else None
        folder = output.with_name(f"{output.stem}_frames")
        self._frames = timelapse.Frames(folder, size)
        self._due = 0  # of `FILM_FRAMES`
        if self._wanted and not job.resume:
            self._frames.remove()

    @property
    def _wanted(self):
        return bool(self._job.save_every or self._job.timelapse)

    def resume(self):
        """Returns the `gatys.State` to go on from, or None.

        Raises:
            ValueError: the checkpoint is of another run, or none at all.
        """
        if self._job.resume and self._checkpoint and self._checkpoint.exists():
            return checkpoint.read(self._checkpoint, self._account)
        return None

    def follow(self, steps):
        """Yields `steps`, and writes what is due.

        What cannot be written is told in the step's note, and not tried again: the
        picture matters more.
        """
        saved, trouble = time.monotonic(), ""
        for step in steps:
            now = time.monotonic()
            try:
                if not trouble:
                    self._film(step)
                    every = self._job.checkpoint_every
                    if self._checkpoint and 0 < every <= now - saved:
                        self._save(step)
                        saved = time.monotonic()
            except OSError as error:
                trouble = f"going on without checkpoints and frames: {error}"
                step = step._replace(note="; ".join(filter(None, [step.note, trouble])))
            yield step

    def stop(self, step):
        """Writes the checkpoint of the last step of a run that is stopped.

        Returns:
            A list of what the user should know.
        """
        try:
            self._save(step)
        except OSError as error:
            return [f"no checkpoint to go on from: {error}"]
        return []

    def _save(self, step):
        if self._checkpoint and self._job.checkpoint_every:
            checkpoint.write(self._checkpoint, step.state(), self._account)

    def finish(self, painted):
        """Makes the film, and deletes what nobody needs once the picture is done.

        Args:
            painted: the picture, [1, H, W, 3], and whether it was `interrupted`.

        Returns:
            A list of the film's path, empty without one.
        """
        films = [files.local(self._job.timelapse)] if self._job.timelapse else []
        if self._wanted:
            self._frames.add(painted.facts["steps"], painted.picture)
        for path in films:
            timelapse.write(path, self._frames.paths)
        if not painted.interrupted:
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
