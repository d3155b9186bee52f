"""`alexnet`, as the study trained it on digits of 227x227x1: 12,029,378 parameters."""

import keras
from keras import layers

from components.models.compiling import HParams, compile_classifier

INPUT_SHAPE = (227, 227, 1)
LEARNING_RATES = (3e-4, 8e-4)
STEPS_PER_EXECUTION = 1
DROPOUT = 0.4


def build(
    hparams: HParams, input_shape: tuple[int, ...] = INPUT_SHAPE, classes: int = 10
) -> keras.Model:
    """Returns the compiled network."""
    return compile_classifier(network(input_shape, classes), hparams)


def network(input_shape: tuple[int, ...] = INPUT_SHAPE, classes: int = 10) -> keras.Sequential:
    """Five `valid` convolutions, then dense layers of 4096 and 1000 with the study's dropout."""
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(96, 11, strides=4, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(256, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(384, 3, activation="relu"),
            layers.Conv2D(384, 3, activation="relu"),
            layers.Conv2D(256, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(4096, activation="relu"),
            layers.Dropout(DROPOUT),
            layers.Dropout(DROPOUT),
            layers.Dropout(DROPOUT),
            layers.Dense(1000, activation="relu"),
            layers.Dropout(DROPOUT),
            layers.Dense(classes, activation="softmax", dtype="float32"),
        ],
        name="alexnet",
    )
