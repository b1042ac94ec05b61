"""Tells how long pictures will take, from those that this server has painted."""

import collections
import math
import statistics

# Pictures of a kind that are remembered, and those that a forecast is made from.
KEPT, NEAREST = 30, 3


class Forecast:
    """Learns the seconds that methods take.

    The first picture of a size takes longer, as graphs are traced for it; such pictures
    are told apart from the others.
    """

    def __init__(self):
        self._known = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))
        self._sizes = set()

    def learn(self, method, size, steps, seconds):
        """Takes a picture that was painted; `size` is its sides in pixels."""
        kind = (method, *size) not in self._sizes
        self._sizes.add((method, *size))
        self._known[method, kind].append((math.prod(size) * steps, seconds))

    def learn_trial(self, method, size, steps, seconds):
        """Takes what counts until there is a picture; arguments as of `learn`."""
        self._known[method, "trial"].append((math.prod(size) * steps, seconds))

    def seconds(self, method, size, steps):
        """Returns how long a picture will take, in seconds; None: nothing is known.

        Time grows with pixels and steps, so the last ones with about as many tell best.
        """
        work, first = math.prod(size) * steps, (method, *size) not in self._sizes
        for kind in (first, not first, "trial"):
            if known := self._known[method, kind]:
                last = reversed(known)
                near = sorted(last, key=lambda job: abs(math.log(job[0] / work)))
                return work * statistics.median(s / w for w, s in near[:NEAREST])
        return None
