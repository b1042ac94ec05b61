"""Estimates how much time is left."""


class TimeLeft:
    """Estimates the time left from the steps after the first, which compiles.

    Attributes:
        steps: number of steps since the first.
        seconds: duration of these steps.
    """

    def __init__(self):
        self._first = None
        self.steps = 0
        self.seconds = 0.0

    def update(self, index, progress, now):
        """Takes one step.

        Args:
            index: index of the step, from any start.
            progress: finished share of the work, 0 to 1.
            now: time, by `time.monotonic`.

        Returns:
            Seconds until the end; None while unknown.
        """
        self._first = self._first or (index, progress, now)
        index_then, progress_then, then = self._first
        self.steps, self.seconds = index - index_then, now - then
        if progress <= progress_then:
            return None
        return self.seconds * (1 - progress) / (progress - progress_then)


class JobLeft:
    """Estimates the time left of several pictures from those after the first.

    Pictures that existed take no time and do not count.
    """

    def __init__(self):
        self._painted = -1  # before the current picture
        self._pictures = 0  # from the current one to the last
        self._since = None  # pictures painted, and when

    def start(self, index, count):
        """Starts a picture."""
        self._painted += 1
        self._pictures = count - index
        if self._painted == 1:  # The first one had to wait for its model.
            self._since = None

    def update(self, progress, now):
        """Returns the seconds until all are done; None while unknown.

        Args:
            progress: finished share of the current picture, 0 to 1.
            now: time, by `time.monotonic`.
        """
        painted = self._painted + progress
        self._since = self._since or (painted, now)
        done = painted - self._since[0]
        if done <= 0:
            return None
        return (now - self._since[1]) / done * (self._pictures - progress)
