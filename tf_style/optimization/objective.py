"""What a slow method minimises: a weighted sum of losses of one picture.

A loss (`networks.losses.Loss`) is a function of means over positions: of distances, or
of products of channels. That is all that this module and `tiles` know of it.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_style.networks.losses import PIXELS, Loss, with_neighbours
from tf_style.networks.tracing import Traced


class Target(NamedTuple):
    """What a loss is held to, one item for each of its layers.

    Attributes:
        local: what belongs to positions, [R, H', W', C] or a tuple of such, and is cut
            with the picture; () where there is nothing.
        whole: what belongs to the picture as a whole; () where there is nothing.
    """

    local: list
    whole: list

    @classmethod
    def empty(cls, loss: Loss) -> "Target":
        """Returns a target that holds a loss to nothing."""
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
        self._looks = {}  # at pictures: for layers, and for what losses measure

    def activations(self, picture, layers):
        """Returns what layers make of a picture [1, H, W, 3], a list [1, H', W', C]."""
        self.extract.check_size(*picture.shape[1:3], "a picture")

        def look(image):
            found = self.extract(image)
            return [found[layer] for layer in layers]

        return self._looks.setdefault(layers, Traced(look))(picture)

    def statistics(self, picture, loss):
        """Returns the means that a loss takes of a picture, one for each layer."""

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
        """As `measure`, and the gradient of the total, [1, H, W, 3]."""
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
            for layer, *held in zip(loss.layers, *target, strict=True)
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
        means: what each loss measured, one item for each of its layers.
        targets: a `Target` for each.
    """
    losses = {
        loss.name: weight * loss.combine(found, target.whole)
        for (weight, loss), found, target in zip(terms, means, targets, strict=True)
    }
    return losses | {"total": tf.add_n(list(losses.values()))}
