"""`sequential`, the small convolutional network of the study: 873,738 parameters."""

import keras
from keras import layers

from components.models.compiling import HParams, compile_classifier

INPUT_SHAPE = (28, 28, 1)
LEARNING_RATES = (1e-3, 4e-3)
STEPS_PER_EXECUTION = 32


def build(
    hparams: HParams, input_shape: tuple[int, ...] = INPUT_SHAPE, classes: int = 10
) -> keras.Model:
    """Returns the compiled network."""
    return compile_classifier(network(input_shape, classes), hparams)


def network(input_shape: tuple[int, ...] = INPUT_SHAPE, classes: int = 10) -> keras.Sequential:
    """Two pairs of convolutions, each before a pooling, then a dense layer of 512."""
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(64, 3, padding="same"),
            layers.ReLU(),
            layers.Conv2D(64, 3, padding="same"),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(classes, activation="softmax", dtype="float32"),
        ],
        name="sequential",
    )
