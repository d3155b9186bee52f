"""`alexnet-book`, the study's reference AlexNet with batch normalisation.

Layer for layer as in the book "Deep Learning for Vision Systems": 62,383,848 parameters with its
1000 classes, of which 62,381,096 are trainable.
"""

import keras
from keras import layers, regularizers

from components.models.compiling import HParams, compile_classifier

INPUT_SHAPE = (227, 227, 3)
LEARNING_RATES = (5e-5, 1e-3)
STEPS_PER_EXECUTION = 1
WEIGHT_DECAY = 5e-4
DROPOUT = 0.5


def build(
    hparams: HParams, input_shape: tuple[int, ...] = INPUT_SHAPE, classes: int = 10
) -> keras.Model:
    """Returns the compiled network."""
    return compile_classifier(network(input_shape, classes), hparams)


def network(input_shape: tuple[int, ...] = INPUT_SHAPE, classes: int = 10) -> keras.Sequential:
    """Five normalised convolutions, then two dense layers of 4096 with dropout."""
    return keras.Sequential(
        [
            layers.Input(input_shape),
            *_convolution(96, 11, strides=4, padding="valid"),
            _pooling(),
            layers.BatchNormalization(),
            *_convolution(256, 5),
            _pooling(),
            layers.BatchNormalization(),
            *_convolution(384, 3),
            layers.BatchNormalization(),
            *_convolution(384, 3),
            layers.BatchNormalization(),
            *_convolution(256, 3),
            layers.BatchNormalization(),
            _pooling(),
            layers.Flatten(),
            layers.Dense(4096, activation="relu"),
            layers.Dropout(DROPOUT),
            layers.Dense(4096, activation="relu"),
            layers.Dropout(DROPOUT),
            layers.Dense(classes, activation="softmax", dtype="float32"),
        ],
        name="alexnet_book",
    )


def _convolution(
    filters: int, size: int, strides: int = 1, padding: str = "same"
) -> tuple[keras.Layer, keras.Layer]:
    decay = regularizers.L2(WEIGHT_DECAY)
    convolution = layers.Conv2D(filters, size, strides, padding, kernel_regularizer=decay)
    return convolution, layers.Activation("relu")


def _pooling() -> keras.Layer:
    return layers.MaxPooling2D(3, strides=2)
