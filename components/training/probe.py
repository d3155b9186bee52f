"""Measures how fast a model trains and predicts here, in a few steps on random digits."""

import dataclasses
import importlib
import time

import keras
import numpy as np
import tensorflow as tf

from components.features import CLASSES, SIDE, to_pixels
from components.models.compiling import HParams
from components.settings import ModelSettings
from components.training import devices, precision
from components.training.fit import dtype_policy

SECONDS = 2.0
MOST_STEPS = 10


@dataclasses.dataclass(frozen=True)
class Speed:
    """Images a second: `train` and `predict` in `precision`, `export` as float32 predictions.

    `matrix_unit` says whether that is on a GPU or AMX.
    """

    precision: str
    train: float
    predict: float
    export: float
    matrix_unit: bool


def measure(settings: ModelSettings, batch: int) -> Speed:
    """Builds the model and times it in batches of that size; takes a few seconds a model."""
    policy = precision.resolve(settings.precision)
    gpus = devices.prepare_gpus()
    predict = _predictions(settings, policy, batch)
    export = predict
    if policy != precision.FLOAT32:
        export = _predictions(settings, precision.FLOAT32, batch)
    rate = _training(settings, policy, batch)
    keras.backend.clear_session()
    unit = precision.uses_matrix_unit(policy, bool(gpus), precision.read_cpuinfo())
    return Speed(policy, rate, predict, export, unit)


def _training(settings: ModelSettings, policy: str, batch: int) -> float:
    with dtype_policy(policy):
        model = importlib.import_module(settings.module).build(HParams(1e-6), settings.input_shape)
    pixels, labels = _digits(settings, batch), tf.zeros((batch,), tf.int64)
    return batch * _rate(lambda: model.train_on_batch(pixels, labels))


def _predictions(settings: ModelSettings, policy: str, batch: int) -> float:
    with dtype_policy(policy):
        model = importlib.import_module(settings.module).build(HParams(1e-6), settings.input_shape)
    forward = tf.function(lambda pixels: model(pixels, training=False))
    pixels = _digits(settings, batch)
    return batch * _rate(lambda: forward(pixels).numpy())


def _digits(settings: ModelSettings, batch: int) -> tf.Tensor:
    """Returns a batch of noise; zeros would make some products free."""
    noise = np.random.default_rng(CLASSES).integers(0, 256, (batch, SIDE, SIDE), np.uint8)
    return to_pixels(tf.constant(noise), settings.input_shape)


def _rate(step: object) -> float:
    """Returns steps a second over those that take at least two seconds, or ten, or one."""
    assert callable(step)
    step()
    begun, steps = time.perf_counter(), 0
    while steps < MOST_STEPS and time.perf_counter() - begun < SECONDS:
        step()
        steps += 1
    return steps / (time.perf_counter() - begun)
