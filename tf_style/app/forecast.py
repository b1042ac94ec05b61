"""Tells how long pictures will take, from those that this server has painted."""

import collections
import math
import statistics

# Pictures of a kind that are remembered, and those that a forecast is made from.
KEPT, NEAREST = 30, 3
# How seconds grow with the number of pixels, as a power: of small pictures much of the
# time does not depend on their size.
GROWTH = 0.7


class Forecast:
    """Learns the seconds that methods take.

    The first picture of a size takes longer, as graphs are traced for it; such pictures
    are told apart from the others.
    """

    def __init__(self):
        # Work and seconds, by method and whether these are of the first, or of a trial.
        self._known = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))
        self._sizes = set()

    def learn(self, method, size, steps, seconds):
        """Takes a picture that was painted; `size` is its sides in pixels."""
        first = (method, *size) not in self._sizes
        self._sizes.add((method, *size))
        self._known[method, first].append((_work(size, steps), seconds))

    def learn_trial(self, method, size, steps, seconds):
        """Takes what counts until there is a picture; arguments as of `learn`."""
        self._known[method, "trial"].append((_work(size, steps), seconds))

    def seconds(self, method, size, steps):
        """Returns how long a picture will take, in seconds; None: nothing is known.

        The last pictures that were about as much work tell best.
        """
        work, first = _work(size, steps), (method, *size) not in self._sizes
        for kind in (first, not first, "trial"):
            if last := [*reversed(self._known[method, kind])]:
                last.sort(key=lambda job: abs(math.log(job[0] / work)))
                return work * statistics.median(s / w for w, s in last[:NEAREST])
        return None


def _work(size, steps):
    return math.prod(size) ** GROWTH * steps
