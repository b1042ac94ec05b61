"""Squares of positions as channels, and back."""

from keras import ops


def fold(x, side):
    """[B, H * side, W * side, C] to [B, H, W, side * side * C]."""
    count, height, width, channels = ops.shape(x)
    rows, columns = height // side, width // side
    x = ops.reshape(x, (count, rows, side, columns, side, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (count, rows, columns, side * side * channels))


def unfold(x, side):
    """[B, H, W, side * side * C] to [B, H * side, W * side, C]."""
    count, height, width, size = ops.shape(x)
    channels = size // side**2
    x = ops.reshape(x, (count, height, width, side, side, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (count, height * side, width * side, channels))
