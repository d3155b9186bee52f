"""The study's way to train, to stand beside ours: NumPy arrays in float32, `fit` as it comes."""

import importlib

import keras
import numpy as np
import tensorflow as tf


def arrays(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns digits uint8 [n, 28, 28] as float32 [n, *shape] in 0..1, resized beforehand."""
    height, width, channels = shape
    pixels = (images[..., None] / 255.0).astype("float32")
    if (height, width) != images.shape[1:]:
        pixels = tf.image.resize(pixels, (height, width)).numpy()
    return np.repeat(pixels, channels, -1)


def network(model: str, shape: tuple[int, int, int], rate: float) -> keras.Model:
    """Returns the registry's layers, compiled with Adam at a constant rate."""
    layers = importlib.import_module(f"components.models.{model}").network(shape)
    layers.compile(
        keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["acc"]
    )
    return layers
