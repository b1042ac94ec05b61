"""What is measured of pictures: activations of VGG-19 or our small copy, and losses."""

# First of all, since it looks at what Keras runs on.
from tf_style.networks import keras_settings  # noqa: F401
