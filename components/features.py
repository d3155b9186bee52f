"""Names and shapes of the features, and the Transform graph that normalises and resizes a digit.

The same graph runs inside tf.data while training and inside the exported model while serving, so
the two cannot drift apart. Nothing here reads or writes data.
"""

from typing import Any

import tensorflow as tf

IMAGE = "image"
LABEL = "label"
PIXELS = "pixels"
SIDE = 28
CLASSES = 10
WHITE = 255.0

TensorMap = dict[str, tf.Tensor]


def preprocessing_fn(inputs: TensorMap, custom_config: dict[str, Any]) -> TensorMap:
    """Builds the Transform graph for one model's input shape.

    Args:
      inputs: `image` int64 [batch, 28, 28] in 0..255 and `label` int64 [batch].
      custom_config: `input_shape`, the (height, width, channels) that the model takes.

    Returns:
      `pixels` float32 [batch, height, width, channels] in 0..1 and `label` int64 [batch].
    """
    shape = tuple(custom_config["input_shape"])
    return {PIXELS: to_pixels(inputs[IMAGE], shape), LABEL: inputs[LABEL]}


def to_pixels(image: tf.Tensor, input_shape: tuple[int, ...]) -> tf.Tensor:
    """Turns digits, integer [batch, 28, 28], into float32 [batch, *input_shape] in 0..1.

    The resize is bilinear; a grey digit is repeated over the channels.
    """
    height, width, channels = input_shape
    pixels = tf.cast(image, tf.float32)[..., tf.newaxis] / WHITE
    if (height, width) != (SIDE, SIDE):
        pixels = tf.image.resize(pixels, (height, width))
    if channels > 1:
        pixels = tf.repeat(pixels, channels, axis=-1)
    return tf.ensure_shape(pixels, (None, height, width, channels))
