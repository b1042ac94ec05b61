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


class JobLeft:
    """Estimates the time left of several pictures from those after the first.

    Pictures that were there already pass by without time, and do not count.
    """

    def __init__(self):
        self._painted = -1  # before the present picture
        self._pictures = 0  # from the present one to the last
        self._since = None  # pictures painted, and when

    def start(self, index, count):
        """Takes up a picture, of so many."""
        self._painted += 1
        self._pictures = count - index
        if self._painted == 1:  # The first waited for its model.
            self._since = None

    def update(self, progress, now):
        """Returns the seconds until all are done; None as long as that is unknown.

        Args:
            progress: share of the present picture that is done, 0 to 1.
            now: seconds of `time.monotonic`.
        """
        painted = self._painted + progress
        self._since = self._since or (painted, now)
        done = painted - self._since[0]
        if done <= 0:
            return None
        return (now - self._since[1]) / done * (self._pictures - progress)
