"""Kolkin, Kucera, Paris, Sykora, Shechtman and Shakhnarovich (2022), "Neural Neighbor
Style Transfer": every spot of the picture takes the nearest activations of the
painting.

https://arxiv.org/abs/2203.13215

Departures from the paper, chosen by patch distances on 24 pairs:

* The paper matches hypercolumns (all layers of a spot at once) from coarse to fine, and
  single layers in a last pass. We start from the built-in fast model, which matches
  several layers at once, and then match layers one by one throughout.
* Spots of the painting also look for their neighbours in the picture, as in the relaxed
  earth mover's distance of Kolkin et al. (2019), https://arxiv.org/abs/1904.12785.
  Otherwise a few of them are used everywhere, and the palette fades.
* L-BFGS on pixels gets further in 36 steps than Adam on a Laplacian pyramid in 90, and
  leaves no speckle. Instead of the pyramid's levels, the fine detail of the fast
  picture is added to the result at half the size. Pictures of more than 1024 pixels
  would look like photos then; the fast model repaints the result instead.
* The painting is represented by `PLACES` random positions of each layer, not by all.
* In films, spots keep the neighbours that they had in the frame before, moved along
  with the scene, unless others are nearer by `HOLD`. If all were searched for anew,
  they would differ a little each time, and strokes would crawl.

`objective_terms` and `measure_targets` are the method. The rest is `method.Method`; the
loop that lowers the loss is `engine.optimize`.

This module neither prints nor touches files.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_style import images
from tf_style.config import NeighborsConfig
from tf_style.images import Pixels, Size
from tf_style.networks import features, losses
from tf_style.optimization.method import Method, Prior, hold_to_prior
from tf_style.optimization.objective import Objective, Target
from tf_style.optimization.style import Style
from tf_style.optimization.tiles import TiledObjective

# Number of steps between searches: by default, two searches at each of two sizes.
FIND_EVERY = 10
# Number of positions of a painting in each layer that take part in the search.
PLACES = 4096
# Number of random positions of the picture for the reverse search.
OFFERED = 1 << 14
# Weight of the reverse search. A higher weight keeps the palette better, and copies
# strokes less closely.
COVERAGE = 0.22
# By how much another neighbour must be nearer, as a cosine, to replace that which moved
# along with a film.
HOLD = 0.2
# Number of cosines in memory at a time: 32 MB in bfloat16.
PRODUCTS = 1 << 24
# Number of pairs that L-BFGS remembers: with new targets every 10 steps, 10 are no
# better.
HISTORY = 3
# Number of pixels above which the picture is processed in tiles, in a fifth less memory
# and a fifth more time.
WHOLE_PIXELS = 1 << 21


class Places(NamedTuple):
    """A painting's activations in a layer."""

    mean: tf.Tensor  # over all positions, float32 [C]
    activations: tf.Tensor  # at `PLACES` of them or fewer, float32 [N, C]


def objective_terms(
    config: NeighborsConfig, is_frame: bool = False
) -> list[tuple[float, losses.Loss]]:
    """Returns the terms of the objective, (weight, loss) each.

    The mean over layers of cosine distances, eq. 1 of the paper. There is no content
    loss: the photo enters by the start and, with `content_weight`, by the search.
    Frames of films are also tied to the one before.
    """
    layers = tuple(map(features.layer_name, config.layers))
    terms = [(1.0, losses.nearest(layers))]
    if is_frame:
        terms.append((config.temporal_weight, losses.temporal()))
    return terms


def measure_targets(
    objective: Objective | TiledObjective,
    content: Pixels,
    style: Style,
    size: Size,
    config: NeighborsConfig,
    masks: Sequence[Pixels] = (),
    prior: Prior | None = None,
    picture: Pixels | None = None,
) -> list[Target]:
    """Finds the nearest neighbour of each spot; see `method.MeasureTargets`."""
    photo = images.resize(content, *size)
    picture = photo if picture is None else picture
    shares = config.share_among(len(style.paintings))

    def measure(loss):
        if loss.reference == "prior":
            return hold_to_prior(prior, size)
        paintings = style.measure(
            lambda painting: _take_places(objective, painting, loss.layers),
            (objective, loss),
            objective.extract,
            content,
            photo,
        )
        seen = objective.activations(picture, loss.layers)
        kept = [(None, None)] * len(seen)
        if config.content_weight:
            of_photo = objective.activations(photo, loss.layers)
            kept = [(values, _mean(values)) for values in of_photo]
        before = prior.found if prior and prior.found else [None] * len(seen)
        local, whole, found = [], [], []
        for held, moved, *places in zip(kept, before, *paintings, strict=True):
            own = seen.pop(0)  # so that its memory is freed
            centre = tf.add_n([p.mean * share for p, share in zip(places, shares)])
            query = _Query(own, centre, *held, config.content_weight)
            directions, nearest = _directions(query, places, shares, masks, moved)
            local.append(directions)
            found.append(nearest)
            whole.append(centre)
        return Target(local, whole, found)

    return [measure(loss) for _, loss in objective.terms]


def _take_places(objective, painting, layers):
    """Returns the `Places` of a painting in each layer."""
    found, seen = [], objective.activations(painting, layers)
    while seen:
        values = seen.pop(0)  # so that its memory is freed
        flat = tf.reshape(values, [-1, values.shape[-1]])
        # The same positions for equal sizes, so that a picture can be made again.
        order = np.random.default_rng(0).permutation(flat.shape[0])
        taken = tf.gather(flat, order[:PLACES])
        found.append(Places(_mean(values), tf.cast(taken, tf.float32)))
    return found


def _mean(values):
    """Returns the mean of [1, H, W, C] over positions, float32 [C]."""
    _, height, width, _ = values.shape
    # In bands, because a float32 copy of the whole is large.
    bands = [values[:, top : top + 128] for top in range(0, height, 128)]
    sums = [tf.reduce_sum(tf.cast(band, tf.float32), [0, 1, 2]) for band in bands]
    return tf.add_n(sums) / (height * width)


class _Query(NamedTuple):
    """The query of a search: the picture so far, mixed with the photo."""

    picture: tf.Tensor  # activations, [1, H, W, C]
    centre: tf.Tensor  # where its directions start, float32 [C]
    photo: tf.Tensor | None  # like `picture`; None: no photo
    photo_centre: tf.Tensor | None
    share: float  # of the photo

    def unit_vectors(self, rows):
        """Returns some rows of the query, [P, C]."""
        query = self._centred(self.picture, self.centre, rows)
        if self.photo is not None:
            photo = self._centred(self.photo, self.photo_centre, rows)
            query = (1 - self.share) * query + self.share * photo
        return tf.math.l2_normalize(query, -1, epsilon=1e-8)

    @staticmethod
    def _centred(values, centre, rows):
        band = tf.cast(values[:, rows], tf.float32)
        return tf.reshape(band - centre, [-1, values.shape[-1]])


def _directions(query, places, shares, masks, moved):
    """Returns the target directions of a layer, [1, H, W, C], and the neighbours.

    Neighbours are numbers of places, int32 [R, H, W]: of R regions, or of all styles
    together.

    Args:
        query: a `_Query`.
        places: `Places` of each style.
        shares: share of each style; they add up to 1.
        masks: masks of regions, [1, H', W', 1]; if there are several, one per style.
        moved: neighbours in the frame before, moved to where things are now, of any
            size, with -1 where there are none; None: there is no such frame.
    """
    size = query.picture.shape[1:3]
    if moved is None:
        moved = [None] * max(1, len(masks))
    else:
        moved = tf.image.resize(moved[..., None], size, method="nearest")
        moved = tf.unstack(tf.reshape(moved, [len(moved), -1]))
    if len(masks) < 2:
        several = [
            place.activations[: max(1, round(share * PLACES))]
            for place, share in zip(places, shares)
            if share
        ]
        return _match(query, tf.concat(several, 0), *moved)
    regions = [tf.image.resize(mask, size, method="area") for mask in masks]
    total = tf.add_n(regions) + 1e-6
    parts, found = [], []
    for region, place, before in zip(regions, places, moved, strict=True):
        directions, nearest = _match(query, place.activations, before)
        parts.append(tf.cast(region / total, directions.dtype) * directions)
        found.append(nearest)
    return tf.add_n(parts), tf.concat(found, 0)


def _match(query, activations, moved):
    """Returns directions of the nearest of N places, [1, H, W, C]; these, [1, H, W]."""
    dtype = query.picture.dtype
    keys = tf.math.l2_normalize(activations - query.centre, -1, epsilon=1e-8)
    keys = tf.cast(keys, dtype)
    _, height, width, channels = query.picture.shape
    band = max(1, PRODUCTS // (len(keys) * width))
    nearest, seekers = [], []
    chance = np.random.default_rng(0)
    offered = np.sort(chance.permutation(height * width)[:OFFERED])
    for top in range(0, height, band):
        vectors = tf.cast(query.unit_vectors(slice(top, top + band)), dtype)
        if moved is None:
            nearest.append(_nearest(vectors, keys))
        else:
            before = moved[top * width : (top + band) * width]
            nearest.append(_nearest_or_moved(vectors, keys, before))
        here = offered[offered // (band * width) == top // band] - top * width
        seekers.append(tf.gather(vectors, here))
    found = tf.gather(offered, _nearest(keys, tf.concat(seekers, 0)))
    nearest = tf.concat(nearest, 0)
    directions = tf.gather(keys, nearest)
    weight = tf.cast(COVERAGE * height * width / len(keys), dtype)
    directions = tf.tensor_scatter_nd_add(directions, found[:, None], weight * keys)
    directions /= tf.cast(1 + COVERAGE, dtype)
    directions = tf.reshape(directions, [1, height, width, channels])
    return directions, tf.reshape(nearest, [1, height, width])


def _nearest(vectors, keys):
    """Returns which key is nearest to each vector, int32 [P]."""
    products = tf.matmul(vectors, keys, transpose_b=True)
    return tf.argmax(products, 1, output_type=tf.int32)


def _nearest_or_moved(vectors, keys, moved):
    """Returns the same, or `moved` [P] where no other key is nearer by `HOLD`."""
    held = _cosines(vectors, tf.gather(keys, tf.maximum(moved, 0)))
    held = tf.where(moved < 0, -np.inf, held)
    # No key can be nearer than 1: most places need no search.
    rows = tf.where(held < 1 - HOLD)
    vectors = tf.gather_nd(vectors, rows)
    found = _nearest(vectors, keys)
    gain = _cosines(vectors, tf.gather(keys, found)) - tf.gather_nd(held, rows)
    found = tf.where(gain < HOLD, tf.gather_nd(moved, rows), found)
    return tf.tensor_scatter_nd_update(moved, rows, found)


def _cosines(vectors, others):
    """Returns the products of unit vectors, [P, C] each, as float32 [P]."""
    return tf.reduce_sum(tf.cast(vectors, tf.float32) * tf.cast(others, tf.float32), 1)


_METHOD = Method(
    NeighborsConfig,
    objective_terms,
    measure_targets,
    find_every=FIND_EVERY,
    keeps_detail=True,
    history=HISTORY,
    whole_pixels=WHOLE_PIXELS,
)

stylize, iterate, finish = _METHOD.stylize, _METHOD.iterate, _METHOD.finish
encode, choose, plan_scales = _METHOD.encode, _METHOD.choose, _METHOD.plan_scales
load_backbone, load_objective = _METHOD.load_backbone, _METHOD.load_objective
estimate_memory, first_picture = _METHOD.estimate_memory, _METHOD.first_picture
