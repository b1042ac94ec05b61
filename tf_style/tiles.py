"""The objective of pictures that do not fit: exact, a piece at a time.

All losses are functions of means over positions. One pass adds those up, block by
block, and keeps only what each block passes on; a second goes back through the blocks,
runs each piece once more and pushes the derivative of the whole through it, as in Chen
et al. (2016), "Training Deep Nets with Sublinear Memory Cost",
https://arxiv.org/abs/1604.06174. Deep blocks see a picture that pooling has made small;
they run once and whole. A piece sees its neighbours as far as its activations depend on
them, so nothing differs from the whole but the order of sums.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import images, losses, objective
from tf_style.features import layer_name
from tf_style.pieces import pieces


class _Block:
    """One block of the backbone, compiled for pieces of any size.

    Args:
        block: a `backbone.Block`.
        config: a `GatysConfig`.
        guided: whether Gram matrices are of regions.
    """

    def __init__(self, block, config, guided):
        self._block = block
        # {index: name} of the content and style layers in this block.
        self.contents = _inside(block, config.content_layers)
        self.styles = _inside(block, config.style_layers)
        guides = [tf.TensorSpec([None, None, None, 1])] * len(self.styles) * guided
        piece = [block.sees, tf.TensorSpec([4], tf.int32), guides]
        self._run = tf.function(self._measure, input_signature=piece)
        contents, grams, passed_on = tf.nest.map_structure(
            lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype),
            self._run.get_concrete_function().structured_outputs,
        )
        slopes = [contents, [tf.TensorSpec([])] * len(contents), grams, passed_on]
        self._run_back = tf.function(
            self._differentiate, input_signature=piece + slopes
        )

    def cut(self, entry, side):
        """Cuts what the block sees into a list of pieces."""
        # Each convolution of 3x3 sees one position further.
        reach = len(self._block.channels)
        return list(pieces(*entry.shape[1:3], side, reach))

    def measure(self, entry, piece, guides):
        """Measures a piece of what the block sees.

        Args:
            entry: what the block sees.
            piece: the piece.
            guides: as of `objective.Targets`.

        Returns:
            Of its own positions: activations of the content layers, Gram matrices of
            the style layers, and what is passed on.
        """
        return self._run(*self._piece(entry, piece, guides))

    def differentiate(self, entry, piece, targets, slopes):
        """Pushes the derivative of the loss by what a piece gives through the piece.

        Args:
            entry: what the block sees.
            piece: the piece.
            targets: the `objective.Targets`.
            slopes: a `_Means` of the derivatives by the whole's means, and the
                derivative by what the block passes on.

        Returns:
            The derivative by what the piece sees.
        """
        by_means, by_passed_on = slopes
        return self._run_back(
            *self._piece(entry, piece, targets.guides),
            [piece.own(targets.content[index]) for index in self.contents],
            [by_means.distances[index] * piece.share for index in self.contents],
            [by_means.grams[index] * piece.share for index in self.styles],
            piece.passed_on(by_passed_on),
        )

    def _piece(self, entry, piece, guides):
        own = [piece.own(guides[index]) for index in self.styles if guides]
        return piece.seen(entry), piece.inside, own

    def _measure(self, seen, inside, guides):
        activations, passed_on = self._block(seen)

        def own(features, inside):
            top, left, height, width = tf.unstack(inside)
            # Its gradient takes a twentieth of the time of that of features[...].
            return tf.slice(features, [0, top, left, 0], [-1, height, width, -1])

        contents = [own(activations[name], inside) for name in self.contents.values()]
        styles = [own(activations[name], inside) for name in self.styles.values()]
        guides = guides or [None] * len(styles)
        grams = [objective.measure_gram(*pair) for pair in zip(styles, guides)]
        return contents, grams, own(passed_on, inside // 2)

    def _differentiate(self, seen, inside, guides, targets, *slopes):
        with tf.GradientTape() as tape:
            tape.watch(seen)
            contents, grams, passed_on = self._measure(seen, inside, guides)
            distances = list(map(losses.content_loss, contents, targets))
        by_distances, by_grams, by_passed_on = slopes
        return tape.gradient(
            [*distances, *grams, passed_on],
            seen,
            [*by_distances, *by_grams, by_passed_on],
        )


class _Means(NamedTuple):
    """What the losses of the whole depend on, {index of layer: value}."""

    distances: dict[int, tf.Tensor]
    grams: dict[int, tf.Tensor]


class Tiled:
    """The objective of pictures of any size; see `objective.Whole` for the methods.

    Args:
        extract: a `features.Backbone`.
        config: a `GatysConfig`.
        side: of the pieces, in positions of each block, which are pixels in the first.
        regions: as of `objective.Whole`.
    """

    def __init__(self, extract, config, side, regions=()):
        self._extract = extract
        self._config = config
        self._side = side
        self._regions = regions
        # The last block has nowhere to pass its share on to, so it runs whole.
        self._blocks = [
            _Block(block, config, bool(regions)) for block in extract.blocks[:-1]
        ]

    def measure_targets(self, content, styles, size, before=None):
        """As `objective.Whole.measure_targets`."""
        extract, config = self._extract, self._config
        styles = styles if before is None else []
        content, styles = objective.scale(content, styles, size, extract, config)
        contents, _ = self._look(content)
        if before is not None:
            return before._replace(content=contents)
        grams = [self._look(style)[1] for style in styles]
        regions = [images.resize(mask, *size) for mask in self._regions]
        return objective.aim(contents, grams, regions, config)

    def measure_losses(self, image, targets):
        """As `objective.Whole.measure_losses`."""
        terms, _, _ = self._forward(image, targets)
        return terms

    def differentiate(self, image, targets):
        """As `objective.Whole.differentiate`."""
        terms, entries, slopes = self._forward(image, targets)
        return terms, self._backward(entries, targets, slopes)

    def _look(self, picture):
        """Returns contents and Gram matrices of a picture, in order of the layers."""
        contents, grams = {}, {}

        def keep(block, entry, piece):
            everywhere = np.ones((1, *entry.shape[1:3], 1), np.float32)
            guides = dict.fromkeys(block.styles, everywhere) if self._regions else []
            found, found_grams, passed_on = block.measure(entry, piece, guides)
            for index, content in zip(block.contents, found):
                if index not in contents:
                    contents[index] = _like(content, entry.shape[1:3])
                piece.own(contents[index])[:] = content.numpy()
            _add(grams, block.styles, found_grams, piece.share)
            return passed_on

        entries = self._walk(picture, keep)
        rest = self._measure_rest(len(entries) - 1, entries[-1], [])
        return [
            [values[index] for index in sorted(values)]
            for values in (contents | rest[0], grams | rest[1])
        ]

    def _walk(self, picture, visit):
        """Visits all pieces of the blocks that see too much for one piece.

        `visit(block, entry, piece)` returns what the block passes on of the piece.

        Returns:
            What each of these blocks sees, and the one after them.
        """
        entries = [picture]
        for block in self._blocks:
            entry, room = entries[-1], None
            if len(cut := block.cut(entry, self._side)) == 1:
                break
            for piece in cut:
                passed_on = visit(block, entry, piece)
                if room is None:
                    room = _like(passed_on, [side // 2 for side in entry.shape[1:3]])
                piece.passed_on(room)[:] = passed_on.numpy()
            entries.append(room)
        return entries

    def _forward(self, image, targets):
        """Returns the terms, what `_walk` does, and what leads back through it."""
        means = _Means({}, {})

        def measure(block, entry, piece):
            contents, grams, passed_on = block.measure(entry, piece, targets.guides)
            aims = [piece.own(targets.content[index]) for index in block.contents]
            distances = map(losses.content_loss, contents, aims)
            _add(means.distances, block.contents, distances, piece.share)
            _add(means.grams, block.styles, grams, piece.share)
            return passed_on

        entries = self._walk(np.asarray(image), measure)
        aims = [
            None if index in means.distances else aim
            for index, aim in enumerate(targets.content)
        ]
        terms, *slopes = self._finish(
            len(entries) - 1,
            entries[-1],
            means,
            self._vary(entries[0]),
            self._drift(entries[0], targets.prior),
            targets._replace(content=aims, prior=[]),
        )
        return terms, entries, slopes

    def _strips(self, image):
        """Yields rows of a picture, and their share of its total variation.

        A strip has one row of the next, for the steps between them; the steps within
        that row are then counted twice, and taken off again.
        """
        height = image.shape[1]
        for top in range(0, height, self._side):
            below = top + self._side
            rows = slice(top, min(below + 1, height))
            yield rows, (rows.stop - rows.start) / height
            if below < height:
                yield slice(below, below + 1), -1 / height

    def _vary(self, image):
        """Returns the total variation of a picture."""
        if not self._config.tv_weight:
            return tf.constant(0.0)
        return tf.add_n(
            [
                share * losses.total_variation(tf.constant(image[:, rows]))
                for rows, share in self._strips(image)
            ]
        )

    def _drift(self, image, prior):
        """Returns the temporal loss of a frame of a film, else None."""
        return losses.temporal_loss(image, *prior) if prior else None

    def _add_slopes(self, image, prior, gradient):
        """Adds the derivatives of what the pixels themselves are held to."""
        if prior:
            before, trust = prior
            scale = np.float32(2 * self._config.temporal_weight / image.size)
            gradient += scale * trust.numpy() * (image - before.numpy())
        if not self._config.tv_weight:
            return
        for rows, share in self._strips(image):
            strip = tf.constant(image[:, rows])
            with tf.GradientTape() as tape:
                tape.watch(strip)
                variation = losses.total_variation(strip)
            slope = tape.gradient(variation, strip).numpy()
            gradient[:, rows] += np.float32(share * self._config.tv_weight) * slope

    @tf.function
    def _finish(self, done, entry, means, variation, drift, targets):
        """Runs the blocks after the first `done`, and weighs the means of all.

        Returns:
            The terms, and the derivatives of their total by `means` and `entry`.
        """
        with tf.GradientTape() as tape:
            tape.watch([means, entry])
            contents, grams = self._measure_rest(done, entry, targets.guides)
            distances = {
                index: losses.content_loss(content, targets.content[index])
                for index, content in contents.items()
            }
            distances, grams = (
                [values[index] for index in sorted(values)]
                for values in (means.distances | distances, means.grams | grams)
            )
            terms = objective.weigh(
                distances, grams, variation, drift, targets, self._config
            )
        return terms, *tape.gradient(terms["total"], (means, entry))

    def _measure_rest(self, done, features, guides):
        """Measures the blocks after the first `done`.

        Returns:
            Contents and Gram matrices, {index of layer: value}.
        """
        contents, grams = {}, {}
        for block in self._extract.blocks[done:]:
            activations, features = block(features)
            for index, name in _inside(block, self._config.content_layers).items():
                contents[index] = activations[name]
            for index, name in _inside(block, self._config.style_layers).items():
                guide = guides[index] if guides else None
                grams[index] = objective.measure_gram(activations[name], guide)
        return contents, grams

    def _backward(self, entries, targets, slopes):
        """Returns the gradient of the total by the pixels, [1, H, W, 3]."""
        image, (by_means, by_entry) = entries[0], slopes
        # Out of the caller's list too, so that they need no memory once they are used.
        entries.pop()
        for block in reversed(self._blocks[: len(entries)]):
            entry, by_passed_on = entries.pop(), by_entry
            by_entry = np.zeros_like(entry)
            for piece in block.cut(entry, self._side):
                gradient = block.differentiate(
                    entry, piece, targets, (by_means, by_passed_on)
                )
                before = piece.seen(by_entry)
                # NumPy itself would add bfloat16 one by one.
                before[:] = (gradient + before).numpy()
        by_entry = np.require(by_entry, requirements="W")
        self._add_slopes(image, targets.prior, by_entry)
        return by_entry


def _inside(block, layers):
    """Returns {index: name} of the layers that lie in a block."""
    names = dict(enumerate(map(layer_name, layers)))
    return {index: name for index, name in names.items() if name in block.layers}


def _like(features, size):
    """Returns an array of a size for pieces such as this."""
    kind = features.dtype.as_numpy_dtype
    return np.empty((1, *size, features.shape[-1]), kind)


def _add(sums, indices, found, share):
    for index, value in zip(indices, found):
        sums[index] = sums.get(index, 0.0) + share * value
