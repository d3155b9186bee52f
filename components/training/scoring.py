"""Accuracy and loss of predictions, and the predictions themselves, without Keras' own loops."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from components.training.dataset import Transform, prediction_batches

SMALLEST_PROBABILITY = 1e-7  # as Keras clips a cross-entropy


def predict(
    model: keras.Model,
    images: np.ndarray,
    transform: Transform,
    before_each: Callable[[], None] | None = None,
) -> np.ndarray:
    """Returns probabilities float32 [n, classes] for images uint8 [n, 28, 28].

    Args:
      before_each: called before each batch; it ends all by raising.
    """

    @tf.function(reduce_retracing=True)
    def forward(pixels: tf.Tensor) -> tf.Tensor:
        return model(pixels, training=False)

    answers = []
    for pixels in prediction_batches(images, transform):
        if before_each:
            before_each()
        answers.append(forward(pixels).numpy())
    return np.concatenate(answers)


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the share of rows whose largest probability is the label's."""
    return float(np.mean(probabilities.argmax(-1) == labels))


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean negative logarithm of the label's probability, in nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1.0))))
