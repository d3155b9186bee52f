"""`vgg16`, configuration D: 138,357,544 parameters with 1000 classes, 134,301,514 with 10.

Its weights start from He's distribution and its gradient norm is bounded; from Keras' default
start the network may collapse to one class. Neither changes a parameter count.
"""

import keras
from keras import layers

from components.models.compiling import HParams, compile_classifier

INPUT_SHAPE = (224, 224, 3)
LEARNING_RATES = (8e-5, 2.5e-4)
STEPS_PER_EXECUTION = 1
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
DROPOUT = 0.5
CLIP_NORM = 1.0
INITIALIZER = "he_uniform"  # He et al. 2015, https://arxiv.org/abs/1502.01852


def build(
    hparams: HParams, input_shape: tuple[int, ...] = INPUT_SHAPE, classes: int = 10
) -> keras.Model:
    """Returns the compiled network; the input may be any square of 32 pixels or more."""
    return compile_classifier(network(input_shape, classes), hparams, clip_norm=CLIP_NORM)


def network(
    input_shape: tuple[int, ...] = INPUT_SHAPE, classes: int = 10, initializer: str = INITIALIZER
) -> keras.Sequential:
    """Thirteen 3x3 convolutions in five blocks, then two dense layers of 4096 with dropout."""
    model = keras.Sequential([layers.Input(input_shape)], name="vgg16")
    for filters, repeats in BLOCKS:
        for _ in range(repeats):
            model.add(
                layers.Conv2D(
                    filters,
                    3,
                    padding="same",
                    activation="relu",
                    kernel_initializer=initializer,
                )
            )
        model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    for _ in range(2):
        model.add(layers.Dense(4096, activation="relu", kernel_initializer=initializer))
        model.add(layers.Dropout(DROPOUT))
    model.add(layers.Dense(classes, activation="softmax", dtype="float32"))
    return model
