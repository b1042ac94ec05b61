"""The tutorial's objective, minimised by `tf_style.gatys`.

See `peer.py` for the protocol. It saves the best picture so far, which is what users
get.
"""

import numpy as np
import peer

from tf_style.config import GatysConfig
from tf_style.optimization import gatys


class Loop:
    """Steps of `gatys.iterate`, in the hands of the driver."""

    def __init__(self, *arguments, init):
        self._arguments, self._init = arguments, init
        self.reset()

    def reset(self):
        """Starts again, which takes one step: tracing cannot be had without it."""
        self._steps = self._last = None  # Two at once would count as our memory.
        self._steps = gatys.iterate(*self._arguments, init=self._init)
        return [self.step()]

    def step(self):
        """Makes one step and returns the loss before it."""
        self._last = next(self._steps)
        return self._last.losses["total"]

    def picture(self):
        """Returns the best picture so far."""
        return np.asarray(self._last.best)


def _config(options):
    """Returns the settings whose losses are the tutorial's numbers."""
    height, width = options.content.shape[1:3]
    return GatysConfig(
        backbone=options.weights,
        content_layers=(peer.CONTENT_LAYER,),
        style_layers=tuple(peer.STYLE_LAYERS),
        content_weight=peer.CONTENT_WEIGHT,
        style_weight=peer.STYLE_WEIGHT,
        # The tutorial's is a sum over pixels, ours a mean.
        tv_weight=peer.VARIATION_WEIGHT * height * width,
        scales=1,
        steps=1_000_000,
        style_size=max(options.style.shape[1:3]),
        init=options.init,
        precision=options.precision,
        optimizer=options.optimizer,
        learning_rate=options.learning_rate,
        beta1=options.beta1,
        epsilon=options.epsilon,
    )


def main():
    """Loads and serves."""
    parser = peer.parser(__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--init", default="content", help="or the npy of a picture")
    parser.add_argument("--optimizer", default=GatysConfig.optimizer)
    for name in ("learning_rate", "beta1", "epsilon"):
        default = getattr(GatysConfig, name)
        parser.add_argument(f"--{name}", type=float, default=default)
    options = parser.parse_args()
    first = None if options.init == "content" else np.load(options.init)
    loop = Loop(options.content, options.style, _config(options), init=first)
    peer.serve(loop, options.steps)


if __name__ == "__main__":
    main()
