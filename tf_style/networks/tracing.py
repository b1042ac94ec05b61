"""Compiles a function once for pictures of all sizes."""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

from tf_style.system.errors import InvalidInput

# Whether functions are traced, in this thread.
_traces = contextvars.ContextVar("traces", default=True)


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Runs functions operation by operation.

    It takes a third of the time of tracing a function and running it once, and three
    times that of running it again; intermediate results stay in memory.
    """
    token = _traces.set(False)
    try:
        yield
    finally:
        _traces.reset(token)


class Traced:
    """A `tf.function` that is traced once for each structure of its arguments.

    Heights and widths are dynamic, so a job over pictures of many sizes neither
    retraces nor keeps a graph for each size. It may be called from several threads.

    Args:
        function: takes tensors, arrays, and lists of them.
    """

    def __init__(self, function):
        self._function = function
        self._compiled = {}

    def __call__(self, *arguments):
        if not _traces.get():
            return self._function(*arguments)
        specs = tf.nest.map_structure(_of_any_size, arguments)
        key = str(specs)
        if key not in self._compiled:
            compiled = tf.function(
                self._function, input_signature=specs, autograph=False
            )
            # Concurrent threads share one, which is traced once.
            # Tracing within a call would cause retracing warnings.
            self._compiled.setdefault(key, compiled).get_concrete_function()
        return self._compiled[key](*arguments)

    @property
    def count(self):
        """How often the function was traced."""
        compiled = [*self._compiled.values()]
        return sum(one.experimental_get_tracing_count() for one in compiled)


def require_eager():
    """Raises `InvalidInput` within graphs, where results have no values."""
    if not tf.executing_eagerly():
        raise InvalidInput(
            "pictures are painted eagerly; call this outside of tf.function and "
            "tf.Graph, and do not disable eager execution"
        )


def _of_any_size(value):
    """Returns the `tf.TensorSpec` of a value, whose sizes are open.

    They are the middle of [B, H, W, C], the number of rows of [N, C], the length of a
    picture as a vector, and all but the first of integers, which are maps of places.
    """
    shape, kind = [*value.shape], tf.as_dtype(value.dtype)
    if len(shape) == 4:
        shape[1:3] = None, None
    elif len(shape) == 3 and kind.is_integer:
        shape[1:] = None, None
    elif len(shape) == 2 or (len(shape) == 1 and not kind.is_integer):
        shape[0] = None
    return tf.TensorSpec(shape, kind)
