"""Estimates memory, and chooses tiles that fit into it."""

import math

from tf_style.system import hardware

# Sides of tiles to choose from: smaller ones need less memory and more time.
SIDES = (512, 256)
# Bytes per pixel that the optimisation needs besides activations: the picture, the best
# one, gradients and the optimizer's memory.
PIXEL_BYTES = 240
# Bytes per number of a block's first layer, for its Gram matrix and for gradients;
# this and the above fit what was measured at 1024 and 2048 pixels.
PASSING_BYTES = 12
# Memory of TensorFlow and the weights, and the share of free memory to leave alone.
BASE_BYTES = 4e8
MARGIN = 0.1


def estimate_memory(extract, size, side=0):
    """Estimates the bytes that an optimisation needs.

    Args:
        extract: a `features.Backbone`.
        size: height and width of the picture.
        side: side of the tiles; 0 for the whole picture.
    """
    blocks, positions, longest = list(extract.blocks), size[0] * size[1], max(size)
    need, tile = BASE_BYTES + PIXEL_BYTES * positions, 0
    while side and blocks and longest > side + 1:
        tile = max(tile, _differentiating(blocks[:1], side**2))
        block = blocks.pop(0)
        positions, longest = positions / 4, longest / 2
        # The block's output, and its gradient.
        need += 2 * positions * block.channels[-1] * block.itemsize
    return need + tile + (_differentiating(blocks, positions) if blocks else 0)


def _differentiating(blocks, positions):
    """Estimates the bytes for going forwards and backwards through blocks."""
    need = PASSING_BYTES * positions * blocks[0].channels[0]
    for block in blocks:
        computed = sum(block.channels) + block.channels[-1] / 4  # with the pooled
        need += positions * computed * block.itemsize
        positions /= 4
    return need


def choose_side(extract, size, whole_pixels=math.inf):
    """Returns a side of tiles that fit into memory; 0: the whole picture does.

    If the machine does not report its memory, everything fits.

    Args:
        extract: a `features.Backbone`.
        size: height and width of the picture.
        whole_pixels: number of pixels above which it is cut in any case.
    """
    free = hardware.free_memory()
    sides = SIDES if math.prod(size) > whole_pixels else (0, *SIDES)
    fitting = (
        side
        for side in sides
        if free is None or estimate_memory(extract, size, side) < (1 - MARGIN) * free
    )
    return next(fitting, SIDES[-1])
