"""`vgg16` an eighth as wide: as deep, and small enough to be trained for thousands of steps.

Its thirteen convolutions have an eighth of the filters, its dense layers 512 units in place of
4096; everything else is as in `components.models.vgg16`.
"""

import keras
from keras import layers

from components.models.vgg16 import BLOCKS, DROPOUT

PART = 8


def network(
    input_shape: tuple[int, ...], classes: int = 10, initializer: str = "glorot_uniform"
) -> keras.Sequential:
    """Returns the network: 531,634 parameters with an input of 32x32."""

    def relu(kind: type[layers.Layer], units: int, **options: object) -> layers.Layer:
        return kind(units, activation="relu", kernel_initializer=initializer, **options)

    model = keras.Sequential([layers.Input(input_shape)], name="narrow_vgg16")
    for filters, repeats in BLOCKS:
        for _ in range(repeats):
            model.add(relu(layers.Conv2D, filters // PART, kernel_size=3, padding="same"))
        model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    for _ in range(2):
        model.add(relu(layers.Dense, 4096 // PART))
        model.add(layers.Dropout(DROPOUT))
    model.add(layers.Dense(classes, activation="softmax", dtype="float32"))
    return model
