"""Digits that a tiny network learns within seconds, and that network as a model's module."""

import keras
import numpy as np

from components.models.compiling import HParams, compile_classifier
from components.training.dataset import Digits

MODULE = __name__  # for `ModelSettings`
STEPS_PER_EXECUTION = 2


def network(input_shape: tuple[int, ...]) -> keras.Sequential:
    """Returns a network whose dropout tells whether a training that was stopped goes on alike."""
    return keras.Sequential(
        [
            keras.layers.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )


def build(hparams: HParams, input_shape: tuple[int, ...]) -> keras.Model:
    """Returns the network, compiled as the product's are."""
    return compile_classifier(network(input_shape), hparams)


def bright_rows(count: int) -> Digits:
    """Returns digits of noise, each with a bright row for its label."""
    labels = np.arange(count) % 10
    images = np.random.default_rng(0).integers(0, 60, (count, 28, 28)).astype(np.uint8)
    images[np.arange(count), 2 * labels + 4] += 150
    return Digits(images, labels.astype(np.int64))
