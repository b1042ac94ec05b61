"""The loop of the TensorFlow tutorial "Neural style transfer", rewritten.

https://www.tensorflow.org/tutorials/generative/style_transfer; see `peer.py` for the
protocol. In bfloat16 it is the tutorial under Keras' policy mixed_bfloat16.
"""

import keras
import peer
import tensorflow as tf


class Loop:
    """Adam on the pixels, step by step.

    Args:
        weights: path of Keras' weights of VGG-19 without its top.
        content: photo, [1, H, W, 3] in [0, 1].
        style: painting, [1, H', W', 3] in [0, 1].
    """

    def __init__(self, weights, content, style):
        self._extract = _extractor(weights)
        *styles, _ = self._extract(tf.constant(style))
        self._grams = [_gram_matrix(layer) for layer in styles]
        self._target = self._extract(tf.constant(content))[-1]
        self._content = content
        self._image = tf.Variable(content)
        self._optimizer = keras.optimizers.Adam(0.02, beta_1=0.99, epsilon=1e-1)
        self._optimizer.build([self._image])
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]

    def reset(self):
        """Starts again from the content."""
        self._image.assign(self._content)
        for variable, value in zip(self._optimizer.variables, self._fresh):
            variable.assign(value)
        return []

    def step(self):
        """Makes one step and returns the loss before it."""
        return float(self._train_step())

    def picture(self):
        """Returns the picture as it is now."""
        return self._image.numpy()

    def measure(self, picture):
        """Returns the loss of a picture of the content's size."""
        return float(self._loss(tf.constant(picture)))

    @tf.function
    def _train_step(self):
        with tf.GradientTape() as tape:
            loss = self._loss(self._image)
        gradient = tape.gradient(loss, self._image)
        self._optimizer.apply_gradients([(gradient, self._image)])
        self._image.assign(tf.clip_by_value(self._image, 0.0, 1.0))
        return loss

    @tf.function
    def _loss(self, image):
        *styles, content = self._extract(image)
        terms = [
            tf.reduce_mean((_gram_matrix(layer) - target) ** 2)
            for layer, target in zip(styles, self._grams)
        ]
        loss = tf.add_n(terms) * peer.STYLE_WEIGHT / len(terms)
        loss += tf.reduce_mean((content - self._target) ** 2) * peer.CONTENT_WEIGHT
        variation = tf.reduce_sum(tf.image.total_variation(image))
        return loss + peer.VARIATION_WEIGHT * variation


def _extractor(weights):
    """Returns a function from a picture to the style layers and the content layer."""
    vgg = keras.applications.VGG19(include_top=False, weights=weights)
    vgg.trainable = False
    names = [*peer.STYLE_LAYERS, peer.CONTENT_LAYER]
    model = keras.Model(vgg.input, [vgg.get_layer(name).output for name in names])

    def extract(image):
        shown = keras.applications.vgg19.preprocess_input(image * 255)
        # Keras' guide to mixed precision has what a loss is made of in float32.
        return [tf.cast(layer, tf.float32) for layer in model(shown)]

    return extract


def _gram_matrix(layer):
    shape = tf.shape(layer)
    positions = tf.cast(shape[1] * shape[2], tf.float32)
    return tf.einsum("bhwc,bhwd->bcd", layer, layer) / positions


def main():
    """Loads and serves."""
    parser = peer.parser(__doc__)
    parser.add_argument("--weights", required=True)
    options = parser.parse_args()
    if options.precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{options.precision}")
    loop = Loop(options.weights, options.content, options.style)
    peer.serve(loop, options.steps)


if __name__ == "__main__":
    main()
