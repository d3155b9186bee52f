"""Healthy trainings are left alone, planted illnesses caught; as a script, on two devices."""

import dataclasses
import json
import logging
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from components.features import to_pixels
from components.models import sequential, vgg16
from components.models.compiling import HParams, compile_classifier
from components.settings import ModelSettings
from components.training import devices
from components.training.dataset import Digits
from components.training.doctor import callback
from components.training.doctor.callback import Doctor
from components.training.doctor.chart import Chart, Layer, Sample
from components.training.doctor.diagnosis import diagnose
from components.training.doctor.report import diagnosis_of
from components.training.doctor.sampling import Sampler
from components.training.doctor.thresholds import THRESHOLDS, Thresholds
from components.training.fit import FitJob, FitResult, fit
from components.training.keeper import TrainingDiverged
from components.training.record import Record
from components.tuning.hypermodel import BatchAndRate
from tests.bright_rows import bright_rows
from tests.script import run_script

pytestmark = pytest.mark.slow

Build = Callable[..., keras.Model]
OFTEN = dataclasses.replace(THRESHOLDS, most_share=0.2, first_look=0.02)
ALWAYS = dataclasses.replace(THRESHOLDS, most_share=1e9)
TINY = (8, 8, 1)


def dense(
    shape: tuple[int, ...], units: tuple[int, ...] = (32,), activation: str = "relu", **options: Any
) -> keras.Sequential:
    """Dense layers named first, second and so on, then a softmax."""
    names = ("first", "second", "third", *(f"layer_{i}" for i in range(20)))
    layers = [
        keras.layers.Dense(width, activation=activation, name=name, **options)
        for width, name in zip(units, names, strict=False)
    ]
    softmax = keras.layers.Dense(10, activation="softmax", dtype="float32", name="last", **options)
    return keras.Sequential([keras.layers.Input(shape), keras.layers.Flatten(), *layers, softmax])


def compiled(network: Callable[[tuple[int, ...]], keras.Model], clip: float | None = None) -> Build:
    return lambda hparams, shape: compile_classifier(network(shape), hparams, clip)


def job(build: Build, rate: float = 0.01, steps: int = 40, **changes: Any) -> FitJob:
    """A training on rows; `at_once`, `shape`, `batch` and `seed` are taken out of the changes."""
    taken = {"at_once": 1, "shape": (28, 28, 1), "batch": 16, "seed": 3, "precision": "float32"}
    taken |= {name: changes.pop(name) for name in taken if name in changes}
    module = types.ModuleType(f"doctored_{id(build)}")
    module.build, module.STEPS_PER_EXECUTION = build, taken["at_once"]
    sys.modules[module.__name__] = module
    shape, batch = taken["shape"], taken["batch"]
    values = {
        "what": "rows",
        "model": ModelSettings(
            "rows", module.__name__, shape, taken["precision"], "constant", taken["seed"]
        ),
        "precision": taken["precision"],
        "batch_size": batch,
        "learning_rate": rate,
        "epochs": 2,
        "patience": 9,
        "train": bright_rows(batch * steps),
        "eval_": bright_rows(40),
        "transform": lambda image: to_pixels(image, shape),
        "doctor": OFTEN,
    }
    return FitJob(**values | changes)


def well(asked: FitJob) -> FitResult:
    """Trains, and asserts that nothing was found."""
    result = fit(asked)
    assert result.record.ailment == ""
    assert result.diagnosis is not None
    assert str(result.diagnosis).startswith("healthy: loss from ")
    assert len(result.record.chart.samples) >= 1
    return result


def sickness(asked: FitJob) -> str:
    """Trains what must not end well, and returns what is said of it."""
    try:
        result = fit(asked)
    except TrainingDiverged as error:
        return str(error)
    assert result.diagnosis is not None
    assert result.diagnosis.sick or result.record.ailment
    return diagnosis_of(result.record, result.diagnosis)["words"]


def small_sequential(shape: tuple[int, ...]) -> keras.Model:
    return sequential.network(shape)


@pytest.mark.parametrize(("rate", "seed", "at_once"), [(3e-4, 1, 1), (1e-3, 2, 8), (4e-3, 3, 1)])
def test_sequential_is_well_at_several_rates_and_seeds(
    rate: float, seed: int, at_once: int
) -> None:
    network = compiled(small_sequential)
    well(job(network, rate, steps=24, shape=TINY, seed=seed, at_once=at_once))


@pytest.mark.parametrize(
    ("units", "rate", "seed"),
    [
        ((32,), 1e-4, 1),
        ((32,), 3e-2, 2),
        ((64, 32, 16), 1e-4, 1),
        ((64, 32, 16), 1e-2, 2),
        ((64, 32, 16), 3e-2, 1),
    ],
)
def test_dense_networks_are_well_at_several_rates_and_seeds(
    units: tuple[int, ...], rate: float, seed: int
) -> None:
    network = compiled(lambda shape: dense(shape, units))
    well(job(network, rate, steps=100, shape=(14, 14, 1), seed=seed))


def test_vgg16_is_well_in_its_first_steps() -> None:
    asked = job(vgg16.build, 2.5e-4, steps=3, shape=(32, 32, 3), batch=4, epochs=1, seed=2)
    asked = dataclasses.replace(asked, precision="mixed_bfloat16", eval_=bright_rows(10))
    asked = dataclasses.replace(asked, doctor=THRESHOLDS)
    assert len(well(asked).record.chart.samples[-1].layers) == 16


def test_batch_normalisation_and_dropout_are_well() -> None:
    def network(shape: tuple[int, ...]) -> keras.Model:
        layers = [keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.Dropout(0.3)]
        parts = [keras.layers.Dense(32, name="first"), *layers]
        ends = [keras.layers.Flatten(), *parts, keras.layers.Dense(10, activation="softmax")]
        return keras.Sequential([keras.layers.Input(shape), *ends])

    result = well(job(compiled(network), steps=60))
    first, normalised, last = result.record.chart.samples[-1].layers
    assert (first.dead, last.dead) == (None, None)
    assert normalised.dead is not None


def fresh(network: keras.Sequential) -> list[keras.Layer]:
    """Returns layers of the same kind, not connected to anything yet."""
    return [type(layer).from_config(layer.get_config()) for layer in network.layers]


def test_a_rate_of_one_explodes() -> None:
    words = sickness(job(compiled(lambda s: dense(s, (64, 64, 64))), 1.0, steps=150))
    assert "exploding: at step " in words
    assert "(epoch 1) the loss went from 2." in words
    assert "the gradient norm is largest in " in words  # it was too early for a look before


def test_zeros_as_a_start_are_dead_relus_for_want_of_weights() -> None:
    network = compiled(lambda s: dense(s, (32, 16), kernel_initializer="zeros"))
    words = sickness(job(network, doctor=THRESHOLDS))
    assert "dead ReLUs: all units of first and second are 0 on every image at step " in words
    assert "all weights of first, second and last are 0" in words


def test_a_layer_that_is_not_trained_is_named() -> None:
    def frozen(shape: tuple[int, ...]) -> keras.Model:
        network = dense(shape, (32, 16))
        network.get_layer("second").trainable = False
        return network

    words = sickness(job(compiled(frozen)))
    assert "frozen: second is not trainable: its weights stay as they began" in words
    well(job(compiled(frozen), doctor=dataclasses.replace(OFTEN, may_freeze=("second",))))


def test_a_layer_that_no_gradient_reaches_is_named() -> None:
    def cut(shape: tuple[int, ...]) -> keras.Model:
        class Cut(keras.layers.Layer):
            def call(self, inputs: tf.Tensor) -> tf.Tensor:
                return tf.stop_gradient(inputs)

        layers = fresh(dense(shape, (32, 16)))
        return keras.Sequential([keras.layers.Input(shape), *layers[:2], Cut(), *layers[2:]])

    words = sickness(job(compiled(cut)))
    assert "vanishing: no gradient reaches first at step " in words


def test_gradients_vanish_in_a_deep_network_of_sigmoids() -> None:
    deep = compiled(lambda s: dense(s, (16,) * 12, activation="sigmoid"))
    limits = dataclasses.replace(OFTEN, stuck_steps=200)
    words = sickness(job(deep, 1e-3, steps=250, shape=TINY, epochs=1, doctor=limits))
    assert "vanishing: the gradient of " in words
    assert "is too small for Adam" in words


def shuffled(count: int) -> Digits:
    rows = bright_rows(count)
    noise = np.random.default_rng(1).integers(0, 256, rows.images.shape).astype(np.uint8)
    return Digits(noise, np.random.default_rng(2).integers(0, 10, count))


def test_shuffled_labels_that_cannot_be_learned_by_heart_are_stuck_at_ln_10() -> None:
    asked = job(compiled(lambda s: dense(s, (4,))), 1e-3, shape=(4, 4, 1), epochs=1)
    words = sickness(dataclasses.replace(asked, train=shuffled(16 * 900)))
    assert "stuck at ln 10: the mean loss over " in words or "collapsed to one class" in words
    assert "(ln 10 is 2.303)" in words


def test_shuffled_labels_that_are_learned_by_heart_are_not_stuck() -> None:
    asked = job(compiled(lambda s: dense(s, (256,))), 3e-3, epochs=10)
    asked = dataclasses.replace(asked, train=shuffled(16 * 40), eval_=shuffled(40))
    result = fit(asked)
    assert result.record.history[-1]["loss"] < 2.0  # below ln 10, by what it knows by heart
    assert result.record.ailment == ""


def test_an_output_beyond_float16_is_an_overflow() -> None:
    start = keras.initializers.Constant(300.0)
    network = compiled(lambda s: dense(s, (32, 16), kernel_initializer=start))
    words = sickness(job(network, precision="mixed_float16"))
    assert "expected a finite loss" in words
    assert "the output of second is the first that is not finite: float16 ends at 65,504" in words


def test_gradients_that_no_scale_makes_fit_float16_are_an_overflow() -> None:
    seen = fit(job(compiled(dense), steps=2, precision="mixed_float16", doctor=ALWAYS)).record
    sample = dataclasses.replace(seen.chart.samples[-1], scale=0.5)
    assert "even with the loss multiplied by 0.5" in str(diagnose(Chart([sample]), THRESHOLDS))


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_well(precision: str) -> None:
    asked = job(compiled(lambda s: dense(s, (32, 16))), 1e-3, steps=40, precision=precision)
    result = well(asked)
    last = result.record.chart.samples[-1]
    assert (last.scale > 0) == last.half == (precision == "mixed_float16")
    assert all(layer.update > 0 for layer in last.layers)


def study_vgg(shape: tuple[int, ...]) -> keras.Model:
    """The study's VGG16, an eighth as wide: thirteen convolutions from Keras' default start."""
    blocks = [(filters // 8, repeats) for filters, repeats in vgg16.BLOCKS]
    layers: list[keras.Layer] = []
    for number, (filters, repeats) in enumerate(blocks):
        layers += [
            keras.layers.Conv2D(
                filters, 3, padding="same", activation="relu", name=f"conv{number + 1}_{i + 1}"
            )
            for i in range(repeats)
        ]
        layers.append(keras.layers.MaxPooling2D(2))
    dense_ = [keras.layers.Dense(512, activation="relu", name=f"dense{i}") for i in (1, 2)]
    ends = [keras.layers.Flatten(), *dense_, keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.layers.Input(shape), *layers, *ends])


def test_a_vgg16_set_up_as_in_the_study_explodes() -> None:
    """Adam, no bound on the gradient, Glorot's start; a rate at which it takes seconds."""
    asked = job(compiled(study_vgg), 0.1, steps=110, shape=(32, 32, 3), epochs=1)
    words = sickness(asked)
    assert "exploding: at step " in words
    assert "the gradient norm is largest in " in words  # it was too early for a look before
    assert "vanishing" not in words


def explodes_late(step: int, network: Callable[..., keras.Model] = dense) -> Build:
    def build(hparams: HParams, shape: tuple[int, ...]) -> keras.Model:
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay([step], [0.01, 1e4])
        return compile_classifier(network(shape), HParams(schedule, 1))

    return build


def test_a_training_that_turns_sick_goes_back_to_its_best_epoch_and_says_so(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "mnist_tfx.doctor")
    asked = job(explodes_late(90), epochs=4, state_dir=tmp_path)
    result = fit(asked)
    assert [epoch["epoch"] for epoch in result.record.history] == [0, 1]
    assert result.record.ailment.startswith("exploding: at step 9")
    assert "(epoch 3) the loss went from " in result.record.ailment
    assert result.diagnosis is not None
    assert result.diagnosis.state == "healthy"
    report = json.loads(json.dumps(diagnosis_of(result.record, result.diagnosis), allow_nan=False))
    assert (report["state"], report["sick"]) == ("healthy", False)
    assert f"; went back to epoch {result.record.best_epoch + 1}, which is" in report["words"]
    assert report["course"] in caplog.text
    assert report["samples"]["layers"] == ["first", "last"]
    assert len(report["samples"]["gradient"]) == len(report["samples"]["steps"])


def test_what_was_seen_survives_a_resume(tmp_path: pathlib.Path) -> None:
    network = compiled(lambda s: dense(s, (32, 16)))
    asked = job(network, steps=5, state_dir=tmp_path, epochs=1, doctor=ALWAYS)
    fit(asked)
    record = fit(dataclasses.replace(asked, epochs=2)).record
    assert record.chart.steps == 10
    assert [sample.step for sample in record.chart.samples] == [*range(1, 11)]
    assert {sample.epoch for sample in record.chart.samples} == {0, 1}


@pytest.mark.parametrize("network", [small_sequential, dense], ids=["convolutions", "dense"])
def test_the_doctor_changes_no_bit_of_the_weights(network: Callable[..., keras.Model]) -> None:
    def dropping(shape: tuple[int, ...]) -> keras.Model:
        layers = fresh(network(shape))
        ends = [*layers[:-1], keras.layers.Dropout(0.3), layers[-1]]
        return keras.Sequential([keras.layers.Input(shape), *ends])

    asked = job(compiled(dropping), 1e-3, steps=4, shape=TINY)
    plain = fit(dataclasses.replace(asked, doctor=None))
    watched = fit(dataclasses.replace(asked, doctor=ALWAYS))
    assert plain.diagnosis is None
    assert len(watched.record.chart.samples) == 8
    for one, other in zip(plain.model.get_weights(), watched.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(plain.eval_probabilities, watched.eval_probabilities)


def test_a_training_too_short_for_a_look_is_looked_at_once_at_its_end() -> None:
    result = well(job(compiled(lambda s: dense(s, (32, 16))), steps=10, doctor=THRESHOLDS))
    (sample,) = result.record.chart.samples
    assert sample.step == 10 * (result.record.best_epoch + 1)


def at_its_end(looked_at: Record, limits: Thresholds) -> str:
    """Returns what is said of a network that is well, at step 40, after those looks into it."""
    looked_at.history.append({"loss": 0.1, "val_loss": 0.1})
    looked_at.best_epoch = 0
    looked_at.chart.add_loss(40, 40, 0.1)
    digits, shape = bright_rows(20), (28, 28, 1)
    doctor = Doctor(looked_at, digits, lambda image: to_pixels(image, shape), 40, limits)
    model = compiled(dense)(HParams(0.01, 1), shape)
    model.optimizer.build(model.trainable_variables)
    doctor.set_model(model)
    return str(doctor.discharge(np.eye(10)))


def test_the_last_look_does_at_the_end_where_no_other_fits_and_nothing_seems_sick() -> None:
    first = Layer("first", 9, 0.5, 2.0, 1e-3, 0.2, 1.0)
    last = dataclasses.replace(first, name="last", dead=None)
    seen = Sample(30, 0, 0.2, 1, 0.1, 0.0, False, (first, last))
    dead = dataclasses.replace(seen, layers=(dataclasses.replace(first, dead=1.0), last))
    poor, rich = (dataclasses.replace(THRESHOLDS, promised_share=share) for share in (0.0, 1e9))

    def end(limits: Thresholds, *looks: Sample, **changes: Any) -> str:
        return at_its_end(Record(chart=Chart([*looks]), **changes), limits)

    assert "on the batch kept aside at step 30" in end(poor, seen)
    for fresh in end(rich, seen), end(poor), end(poor, dead), end(poor, seen, ailment="sick"):
        assert fresh.startswith("healthy: ")
        assert "on the batch kept aside at step 40" in fresh


def test_a_large_network_is_looked_at_with_fewer_images() -> None:
    looked: list[int] = []

    class Counted(Sampler):
        def __init__(self, model: keras.Model, pixels: tf.Tensor, labels: tf.Tensor) -> None:
            looked.append(len(labels))
            super().__init__(model, pixels, labels)

    with mock.patch.object(callback, "Sampler", Counted):
        for large in (10**7, 10):
            at_its_end(Record(), dataclasses.replace(THRESHOLDS, images=16, large=large))
    assert looked == [16, 8]


def test_layers_that_come_again_or_are_nested_are_looked_into() -> None:
    def network(shape: tuple[int, ...]) -> keras.Model:
        again = keras.layers.Dense(16, name="again")
        silent = keras.layers.ReLU()
        inner = [keras.layers.Dense(16, activation="relu", name="inner"), again, silent]
        ends = [again, silent, keras.layers.Dense(10, activation="softmax", name="last")]
        nested = keras.Sequential([keras.layers.Flatten(), keras.Sequential(inner)])
        return keras.Sequential([keras.layers.Input(shape), nested, *ends])

    sample = well(job(compiled(network), steps=20)).record.chart.samples[-1]
    assert [layer.name for layer in sample.layers] == ["inner", "again", "last"]
    assert [layer.dead is None for layer in sample.layers] == [False, False, True]
    assert all(layer.gradient > 0 < layer.update for layer in sample.layers)


def test_a_functional_model_is_looked_into() -> None:
    def network(shape: tuple[int, ...]) -> keras.Model:
        pixels = keras.layers.Input(shape)
        flat = keras.layers.Flatten()(pixels)
        both = [keras.layers.Dense(8, activation="relu", name=name)(flat) for name in ("a", "b")]
        return keras.Model(pixels, keras.layers.Dense(10, "softmax", name="c")(sum(both)))

    sample = well(job(compiled(network), steps=20)).record.chart.samples[-1]
    assert [layer.name for layer in sample.layers] == ["a", "b", "c"]


class Opaque(keras.Model):
    """A model with a graph of no kind, into which nobody can look."""

    def __init__(self, inner: keras.Model) -> None:
        super().__init__()
        self.inner = inner

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.inner(inputs, training=training)


def opaque(shape: tuple[int, ...]) -> keras.Model:
    model = Opaque(dense(shape))
    model.build((None, *shape))
    return model


def test_a_network_that_nobody_can_look_into_is_trained_and_judged_by_its_losses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "mnist_tfx.doctor")
    result = fit(job(compiled(opaque)))
    assert result.record.history[-1]["epoch"] == 1
    words = str(result.diagnosis)
    assert words.startswith("healthy: loss from 2.")
    assert "the doctor could not look inside (AttributeError: " in words
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "judges it by its losses alone" in caplog.text
    assert "make it a Sequential or a functional model" in caplog.text
    report = json.loads(json.dumps(diagnosis_of(result.record, result.diagnosis)))
    assert (report["state"], report["words"]) == ("healthy", words)
    assert report["samples"]["steps"] == []


def test_a_network_that_nobody_can_look_into_is_stopped_where_its_loss_explodes() -> None:
    words = sickness(job(explodes_late(20, opaque)))
    assert "exploding: at step 2" in words


@pytest.mark.parametrize(
    ("build", "rate", "words"),
    [
        (compiled(lambda s: dense(s, (32,), kernel_initializer="zeros")), 0.01, "dead ReLUs: "),
        (explodes_late(5), 0.01, "exploding: "),
    ],
    ids=["zeros", "explosion"],
)
def test_a_sick_trial_fails_with_the_words(build: Build, rate: float, words: str) -> None:
    search = BatchAndRate(job(build, epochs=3), (16,), (rate, 2 * rate))
    hp = keras_tuner.HyperParameters()
    with pytest.raises(keras_tuner.errors.FailedTrialError, match=words):
        search.fit(hp, search.build(hp))


def test_two_devices_are_looked_at_too() -> None:
    done = run_script(__name__)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["replicas"] == 2
    assert found["words"].startswith("healthy: loss from ")
    assert found["figures"] > 0


def train_on_two_devices() -> dict[str, Any]:
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    with mock.patch.object(devices, "prepare_gpus", return_value=("CPU:0", "CPU:1")):
        result = well(job(compiled(lambda s: dense(s, (32, 16))), steps=10, doctor=ALWAYS))
    sample = result.record.chart.samples[-1]
    return {
        "replicas": result.model.distribute_strategy.num_replicas_in_sync,
        "words": str(result.diagnosis),
        "figures": min(min(x.gradient, x.weight, x.update) for x in sample.layers),
    }


def test_every_number_has_a_reason() -> None:
    described = Thresholds.__doc__ or ""
    assert all(f"{field.name}: " in described for field in dataclasses.fields(Thresholds))


if __name__ == "__main__":
    print(json.dumps(train_on_two_devices()))
