"""The objective of a slow method: a weighted sum of losses of one picture.

A loss (`networks.losses.Loss`) is a function of means over positions, either of
distances or of products of channels. This module and `tiles` rely on nothing else.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_style.networks.losses import PIXELS, Loss, with_neighbours
from tf_style.networks.tracing import Traced


class Target(NamedTuple):
    """The targets of a loss, one item for each of its layers.

    Attributes:
        local: targets of positions, [R, H', W', C] or a tuple of them, cut into tiles
            with the picture; () if there are none.
        whole: targets of the picture as a whole; () if there are none.
        found: what a search found, of each layer, for the next frame of a film; see
            `method.Prior`.
    """

    local: list
    whole: list
    found: Sequence = ()

    @classmethod
    def empty(cls, loss: Loss) -> "Target":
        """Returns an empty target."""
        nothing = [()] * len(loss.layers)
        return cls(nothing, nothing)


class Objective:
    """The objective of pictures whose activations fit into memory.

    Args:
        extract: a `networks.backbone.Backbone`.
        terms: a list of (weight, `Loss`).
    """

    def __init__(self, extract, terms):
        self.extract = extract
        self.terms = terms
        self._measure = Traced(self._losses)
        self._differentiate = Traced(self._losses_and_gradient)
        self._looks = {}  # of pictures: of layers, and of what losses measure

    def activations(self, picture, layers):
        """Returns the activations of a picture, a list of [1, H', W', C]."""
        self.extract.check_size(*picture.shape[1:3], "a picture")

        def look(image):
            found = self.extract(image)
            return [found[layer] for layer in layers]

        return self._looks.setdefault(layers, Traced(look))(picture)

    def statistics(self, picture, loss):
        """Returns the means that a loss measures, one for each layer."""

        def look(image):
            return self._means(image, loss, Target.empty(loss))

        return self._looks.setdefault(loss, Traced(look))(picture)

    def measure(self, image, targets):
        """Measures a picture.

        Args:
            image: [1, H, W, 3] in [0, 1].
            targets: a `Target` for each term.

        Returns:
            The weighted losses by name, and their "total", as scalars.
        """
        return self._measure(image, targets)

    def differentiate(self, image, targets):
        """Like `measure`, and returns the gradient of the total, [1, H, W, 3]."""
        return self._differentiate(image, targets)

    @property
    def traces(self):
        """How many graphs were traced."""
        traced = [self._measure, self._differentiate, *self._looks.values()]
        return sum(function.count for function in traced)

    def _means(self, image, loss, target, activations=None):
        activations = activations or self.extract(image)
        return [
            loss.measure(
                with_neighbours(image) if layer == PIXELS else activations[layer], *held
            )
            for layer, *held in zip(
                loss.layers, target.local, target.whole, strict=True
            )
        ]

    def _losses(self, image, targets):
        activations = self.extract(image)
        means = [
            self._means(image, loss, target, activations)
            for (_, loss), target in zip(self.terms, targets, strict=True)
        ]
        return weigh(self.terms, means, targets)

    def _losses_and_gradient(self, image, targets):
        with tf.GradientTape() as tape:
            tape.watch(image)
            losses = self._losses(image, targets)
        return losses, tape.gradient(losses["total"], image)


def weigh(terms, means, targets):
    """Returns weighted losses and their total, Gatys et al. (2016), eq. 7.

    Args:
        terms: a list of (weight, `Loss`).
        means: the means of each loss, one item for each of its layers.
        targets: a `Target` for each.
    """
    losses = {
        loss.name: weight * loss.combine(found, target.whole)
        for (weight, loss), found, target in zip(terms, means, targets, strict=True)
    }
    return losses | {"total": tf.add_n(list(losses.values()))}
