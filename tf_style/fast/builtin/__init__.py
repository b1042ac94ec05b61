"""Our own small models: what they are, and the weights that ship with the package."""

# First of all, since it looks at what Keras runs on.
from tf_style.networks import keras_settings  # noqa: F401
