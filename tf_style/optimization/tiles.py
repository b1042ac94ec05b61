"""The exact objective of pictures that do not fit into memory, tile by tile.

All losses are functions of means over positions. A first pass adds up those means,
block by block, and keeps only what each block passes to the next. A second pass goes
back through the blocks, runs each tile again and backpropagates the derivative of the
whole through it, as in Chen et al. (2016), "Training Deep Nets with Sublinear Memory
Cost",
https://arxiv.org/abs/1604.06174. Deep blocks see a picture that pooling has made small,
so they run once, on the whole. A tile includes as much of its neighbours as its
activations depend on, so only the order of sums differs from the whole.
"""

import numpy as np
import tensorflow as tf

from tf_style.images.tiles import tiles
from tf_style.networks.losses import PIXELS, with_neighbours
from tf_style.networks.tracing import Traced
from tf_style.optimization.objective import weigh


class TiledObjective:
    """Like `objective.Objective`, for pictures of any size.

    Args:
        extract: a `networks.backbone.Backbone`.
        terms: a list of (weight, `Loss`).
        side: of the tiles, in positions of each block, which are pixels in the first.
    """

    def __init__(self, extract, terms, side):
        self.extract = extract
        self.terms = terms
        self._side = side
        self._blocks = [_Block(block, terms) for block in extract.blocks]
        self._finish = {}

    def activations(self, picture, layers):
        """As of `Objective`."""
        found = {}

        def keep(tile, entry, activations):
            for layer in layers:
                if layer in activations:
                    if layer not in found:
                        found[layer] = _like(activations[layer], entry.shape[1:3])
                    tile.own(found[layer])[:] = activations[layer].numpy()

        rest = self._look(picture, keep)
        return [found[layer] if layer in found else rest[layer] for layer in layers]

    def statistics(self, picture, loss):
        """As of `Objective`."""
        sums = {}

        def add(tile, _, activations):
            for layer in {*loss.layers}:
                if layer in activations:
                    mean = tile.share * loss.measure(activations[layer], (), ())
                    sums[layer] = sums.get(layer, 0.0) + mean

        rest = self._look(picture, add)
        return [
            sums[layer] if layer in sums else loss.measure(rest[layer], (), ())
            for layer in loss.layers
        ]

    def measure(self, image, targets):
        """As of `Objective`."""
        losses, _, _ = self._forward(image, targets)
        return losses

    def differentiate(self, image, targets):
        """As of `Objective`."""
        losses, entries, upstream = self._forward(image, targets)
        return losses, tf.constant(self._backward(entries, targets, *upstream))

    @property
    def traces(self):
        """As of `Objective`."""
        finishing = sum(finish.count for finish in self._finish.values())
        return finishing + sum(block.traces for block in self._blocks)

    def _look(self, picture, visit):
        """Visits the activations of all tiles; returns those of untiled blocks."""

        def look(block, entry, tile):
            activations, handed_on = block.look(entry, tile)
            visit(tile, entry, activations)
            return handed_on

        entries = self._walk(picture, look)
        return self._run_rest(len(entries) - 1, entries[-1])

    def _walk(self, picture, visit):
        """Visits all tiles of the blocks that need more than one.

        `visit(block, entry, tile)` returns what the block passes on for the tile, or
        None if it is the last.

        Returns:
            The input of each of these blocks, and of the one after them, which is empty
            if there is none.
        """
        entries = [np.asarray(picture)]
        for block in self._blocks:
            entry, room = entries[-1], np.empty(0, np.float32)
            if len(cut := block.cut(entry, self._side)) == 1:
                break
            for tile in cut:
                handed_on = visit(block, entry, tile)
                if handed_on is None:
                    continue
                if not room.size:
                    room = _like(handed_on, [side // 2 for side in entry.shape[1:3]])
                tile.shrunk(2).own(room)[:] = handed_on.numpy()
            entries.append(room)
        return entries

    def _run_rest(self, done, features):
        """Returns the activations of the blocks after the first `done`."""
        found = {PIXELS: with_neighbours(features)} if not done else {}
        for block in self.extract.blocks[done:]:
            activations, features = block(features)
            found |= activations
        return found

    def _forward(self, image, targets):
        """Returns losses, the result of `_walk`, and derivatives to propagate back."""
        means = [[()] * len(loss.layers) for _, loss in self.terms]
        rest = [target._replace(local=[*target.local]) for target in targets]

        def add(block, entry, tile):
            found, handed_on = block.measure(entry, tile, targets)
            for (term, index), mean in zip(block.places, found):
                mean = tile.share * mean
                before = means[term][index]
                if not isinstance(before, tuple):
                    mean += before
                means[term][index] = mean
                rest[term].local[index] = ()
            return handed_on

        entries = self._walk(image, add)
        done = len(entries) - 1
        if done not in self._finish:
            finish = Traced(lambda *arguments: self._weigh_rest(done, *arguments))
            self._finish.setdefault(done, finish)
        losses, *upstream = self._finish[done](entries[-1], means, rest)
        return losses, entries, upstream

    def _weigh_rest(self, done, entry, means, targets):
        """Runs the blocks after the first `done` and weighs the means of all blocks.

        Returns:
            The losses, and the derivatives of their total by `means` and `entry`.
        """
        with tf.GradientTape() as tape:
            tape.watch([means, entry])
            activations = self._run_rest(done, entry)
            complete = [
                [
                    (
                        loss.measure(activations[layer], local, whole)
                        if isinstance(mean, tuple)  # It was not measured yet.
                        else mean
                    )
                    for layer, local, whole, mean in zip(
                        loss.layers, target.local, target.whole, known
                    )
                ]
                for (_, loss), target, known in zip(self.terms, targets, means)
            ]
            losses = weigh(self.terms, complete, targets)
        # Losses may look at none of these blocks.
        nothing = tf.UnconnectedGradients.ZERO
        upstream = tape.gradient(
            losses["total"], (means, entry), unconnected_gradients=nothing
        )
        return losses, *upstream

    def _backward(self, entries, targets, by_means, by_entry):
        """Returns the gradient of the total by the pixels, [1, H, W, 3]."""
        entries.pop()
        for block in reversed(self._blocks[: len(entries)]):
            # Also removed from the list, so that its memory is freed after use.
            entry, by_handed_on = entries.pop(), by_entry
            by_entry = np.zeros_like(entry)
            for tile in block.cut(entry, self._side):
                gradient = block.differentiate(
                    entry, tile, targets, by_means, by_handed_on
                )
                before = tile.seen(by_entry)
                # NumPy itself would add bfloat16 one by one.
                before[:] = (gradient + before).numpy()
        return by_entry


class _Block:
    """One block of the network, run on tiles.

    Args:
        block: a `networks.backbone.Block`.
        terms: of the objective.

    Attributes:
        places: (index of the term, index among its layers) of what it measures.
    """

    def __init__(self, block, terms):
        self._block = block
        self._layers = {*block.layers} | ({PIXELS} if block.is_first else set())
        self.places = [
            (term, index)
            for term, (_, loss) in enumerate(terms)
            for index, layer in enumerate(loss.layers)
            if layer in self._layers
        ]
        self._losses = [terms[term][1] for term, _ in self.places]
        self._named = [terms[term][1].layers[index] for term, index in self.places]
        self._run = Traced(self._measure)
        self._run_back = Traced(self._differentiate)
        self._look = Traced(self._own_activations)

    @property
    def traces(self):
        """How many graphs were traced."""
        return self._look.count + self._run.count + self._run_back.count

    def cut(self, entry, side):
        """Cuts the block's input into a list of tiles."""
        # Each 3x3 convolution reaches one position further.
        return list(tiles(*entry.shape[1:3], side, halo=len(self._block.channels)))

    def look(self, entry, tile):
        """Returns a tile's own activations by layer, and its output."""
        return self._look(tile.seen(entry), tile.inside)

    def measure(self, entry, tile, targets):
        """Returns the means over a tile's own positions, and its output."""
        return self._run(tile.seen(entry), tile.inside, self._held(tile, targets))

    def differentiate(self, entry, tile, targets, by_means, by_handed_on):
        """Backpropagates the derivatives of a tile's output through the tile.

        Returns:
            The derivative by the tile's input.
        """
        return self._run_back(
            tile.seen(entry),
            tile.inside,
            self._held(tile, targets),
            [by_means[term][index] * tile.share for term, index in self.places],
            [tile.shrunk(2).own(by_handed_on)] if len(by_handed_on) else [],
        )

    def _held(self, tile, targets):
        """Returns its targets: at a tile's own positions, and as a whole."""
        local = [targets[term].local[index] for term, index in self.places]
        whole = [targets[term].whole[index] for term, index in self.places]
        return list(zip(tf.nest.map_structure(tile.own, local), whole))

    def _own_activations(self, seen, inside):
        """Returns a tile's own activations, by layer, and its pooled output."""

        def own(features, inside, neighbours=0):
            top, left, height, width = tf.unstack(inside)
            batch, _, _, channels = features.shape
            size = [batch, height + neighbours, width + neighbours, channels]
            # Its gradient takes a twentieth of the time of that of features[...].
            return tf.slice(features, [0, top, left, 0], size)

        activations, handed_on = self._block(seen)
        found = {layer: own(activations[layer], inside) for layer in self._block.layers}
        if PIXELS in self._named:
            found[PIXELS] = own(with_neighbours(seen), inside, neighbours=1)
        if handed_on is not None:
            handed_on = own(handed_on, inside // 2)
        return found, handed_on

    def _measure(self, seen, inside, held):
        activations, handed_on = self._own_activations(seen, inside)
        means = [
            loss.measure(activations[layer], *own)
            for loss, layer, own in zip(self._losses, self._named, held)
        ]
        return means, handed_on

    def _differentiate(self, seen, inside, held, by_means, by_handed_on):
        with tf.GradientTape() as tape:
            tape.watch(seen)
            means, handed_on = self._measure(seen, inside, held)
        outputs = [*means, handed_on][: len(means) + len(by_handed_on)]
        return tape.gradient(outputs, seen, [*by_means, *by_handed_on])


def _like(features, size):
    """Returns an array of a size for tiles such as this."""
    kind = features.dtype.as_numpy_dtype
    return np.empty((1, *size, features.shape[-1]), kind)
