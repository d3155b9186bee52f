"""Adam in one kernel: the steps of Keras' own, whatever bounds, averages or schedules it has."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models.adam import OnePassAdam

pytestmark = pytest.mark.slow

STEPS = 12
SHAPES = ((7, 5), (5,))
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bounded": {"global_clipnorm": 1.0},
    "bound out of reach": {"global_clipnorm": 1e6},
    "decayed": {"weight_decay": 0.1},
    "averaged": {"use_ema": True, "ema_momentum": 0.9},
    "scheduled": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.8)},
}


def steps(kind: type[keras.optimizers.Adam], **options: Any) -> list[np.ndarray]:
    """Returns the weights and all that the optimizer keeps of them, after some steps in a graph."""
    random = np.random.default_rng(4)
    weights = [keras.Variable(random.normal(size=shape)) for shape in SHAPES]
    optimizer = kind(**{"learning_rate": 0.01} | options)
    optimizer.build(weights)

    @tf.function
    def step(*gradients: tf.Tensor) -> None:
        optimizer.apply(gradients, weights)

    for _ in range(STEPS):
        step(*(tf.constant(random.normal(size=shape), tf.float32) for shape in SHAPES))
    return [np.array(value) for value in (*weights, *optimizer.variables)]


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_step_is_that_of_keras(options: dict[str, Any]) -> None:
    found, expected = steps(OnePassAdam, **options), steps(keras.optimizers.Adam, **options)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_a_bound_changes_the_steps_of_these_tests() -> None:
    bounded, free = steps(OnePassAdam, global_clipnorm=1.0), steps(OnePassAdam)
    assert np.abs(bounded[-1] - free[-1]).max() > 1e-3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_no_number_is_not_hidden_by_the_bound(value: float) -> None:
    weight = keras.Variable(np.ones(3, np.float32))
    optimizer = OnePassAdam(0.01, global_clipnorm=1.0)
    optimizer.build([weight])
    optimizer.apply([tf.constant([0.0, value, 0.0])], [weight])
    assert np.isnan(np.array(weight)).all()


def test_the_end_of_a_fit_does_not_put_averages_into_the_model() -> None:
    weight = keras.Variable(np.ones(3, np.float32))
    optimizer = OnePassAdam(0.5, use_ema=True, ema_momentum=0.9)
    optimizer.build([weight])
    optimizer.apply([tf.ones(3)], [weight])
    before = np.array(weight)
    optimizer.finalize_variable_values([weight])
    np.testing.assert_array_equal(np.array(weight), before)
