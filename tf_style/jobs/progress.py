"""How long a run of steps still takes."""


class TimeLeft:
    """Estimates the time left from the steps after the first, which compiles.

    Attributes:
        steps: how many there were since the first.
        seconds: that these took.
    """

    def __init__(self):
        self._first = None
        self.steps = 0
        self.seconds = 0.0

    def update(self, index, progress, now):
        """Takes one step.

        Args:
            index: of the step, in whatever it counts from.
            progress: share of the work that is done, 0 to 1.
            now: seconds of `time.monotonic`.

        Returns:
            Seconds until all is done; None as long as that is unknown.
        """
        self._first = self._first or (index, progress, now)
        index_then, progress_then, then = self._first
        self.steps, self.seconds = index - index_then, now - then
        if progress <= progress_then:
            return None
        return self.seconds * (1 - progress) / (progress - progress_then)
