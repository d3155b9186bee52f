"""The moving average of the weights: what Adam keeps, and what a training makes of it."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from components.features import to_pixels
from components.models.averaging import Averages, momentum
from components.models.compiling import HParams, compile_classifier
from components.settings import ModelSettings
from components.training import scoring
from components.training.fit import FitJob, FitResult, fit
from tests.bright_rows import bright_rows

pytestmark = pytest.mark.slow

STEPS_PER_EXECUTION = 2


def network(input_shape: tuple[int, ...]) -> keras.Sequential:
    return keras.Sequential(
        [
            keras.layers.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )


def build(hparams: HParams, input_shape: tuple[int, ...]) -> keras.Model:
    return compile_classifier(network(input_shape), hparams)


def train(averaging: float, precision: str = "float32", **changes: Any) -> FitResult:
    """Trains two epochs of eight steps."""
    model = ModelSettings(
        "rows", __name__, (28, 28, 1), precision, "constant", 5, "none", averaging
    )
    job = FitJob(
        what="rows",
        model=model,
        precision=precision,
        batch_size=16,
        learning_rate=0.01,
        epochs=2,
        patience=2,
        train=bright_rows(128),
        eval_=bright_rows(50),
        transform=lambda image: to_pixels(image, (28, 28, 1)),
    )
    return fit(dataclasses.replace(job, **changes))


@dataclasses.dataclass
class Course:
    """A training of five steps: its model, and the weights after each step."""

    model: keras.Model
    weights: list[list[np.ndarray]]


@pytest.fixture
def course() -> Course:
    keras.utils.set_random_seed(3)
    model = build(HParams(0.01, averaging=0.75), (28, 28, 1))
    model.optimizer.build(model.trainable_variables)
    weights: list[list[np.ndarray]] = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: weights.append(model.get_weights())
    )
    digits = bright_rows(40)
    pixels = digits.images[..., None] / 255.0
    model.fit(pixels, digits.labels, batch_size=8, shuffle=False, verbose=0, callbacks=[note])
    return Course(model, weights)


def assert_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_average_is_that_of_the_formula(course: Course) -> None:
    expected = course.weights[0]
    for weights in course.weights[1:]:
        expected = [0.75 * old + 0.25 * new for old, new in zip(expected, weights, strict=True)]
    Averages(course.model).use()
    assert_equal(course.model.get_weights(), expected)
    assert not np.allclose(expected[0], course.weights[-1][0], atol=1e-4)


def test_the_end_of_a_fit_leaves_the_weights_as_they_are(course: Course) -> None:
    assert_equal(course.model.get_weights(), course.weights[-1])


def test_averages_come_and_go_without_a_trace(course: Course) -> None:
    averages = Averages(course.model)
    averages.put_back()
    assert_equal(course.model.get_weights(), course.weights[-1])
    averages.use()
    used = course.model.get_weights()
    averages.use()
    assert_equal(course.model.get_weights(), used)
    averages.put_back()
    assert_equal(course.model.get_weights(), course.weights[-1])
    averages.use()
    assert_equal(course.model.get_weights(), used)


def test_without_an_average_nothing_happens() -> None:
    model = build(HParams(0.01), (28, 28, 1))
    before = model.get_weights()
    Averages(model).use()
    assert_equal(model.get_weights(), before)
    assert not model.optimizer.use_ema


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_training_validates_and_keeps_the_averages(precision: str) -> None:
    averaged, plain = train(0.5, precision), train(0.0, precision)
    kept = averaged.model.get_weights()
    assert np.abs(kept[0] - plain.model.get_weights()[0]).max() > 1e-3
    found = scoring.predict(
        averaged.model, bright_rows(50).images, lambda image: to_pixels(image, (28, 28, 1))
    )
    np.testing.assert_allclose(found, averaged.eval_probabilities, atol=1e-5)
    losses = [[epoch["loss"] for epoch in r.record.history] for r in (averaged, plain)]
    np.testing.assert_allclose(*losses, rtol=1e-5)  # the training itself is the same


@pytest.mark.parametrize(
    ("share", "steps", "expected"),
    [(0.1, 1000, 0.99), (0.5, 4, 0.5), (0.1, 10, 0.0), (0.1, 5, 0.0), (0.0, 1000, 0.0)],
)
def test_momentum_averages_over_a_share_of_the_steps(
    share: float, steps: int, expected: float
) -> None:
    assert momentum(share, steps) == pytest.approx(expected)
