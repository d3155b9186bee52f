"""A training learns, stops and survives a kill; run as a script, this is the one killed."""

import dataclasses
import logging
import os
import pathlib
import re
import shutil
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from components.features import to_pixels
from components.models.compiling import HParams, compile_classifier
from components.settings import ModelSettings
from components.training import scoring
from components.training.fit import FitJob, FitResult, fit, steps_at_once
from components.training.keeper import TrainingDiverged
from components.training.progress import TrainingProgress
from components.training.user_log import LOGGER
from tests.bright_rows import MODULE, STEPS_PER_EXECUTION, bright_rows, network
from tests.script import run_script

pytestmark = pytest.mark.slow

BATCH = 16
STEPS = 8
EPOCHS = 5
KILLED_IN_EPOCH = 4


def transform(image: tf.Tensor) -> tf.Tensor:
    return to_pixels(image, (28, 28, 1))


def job(state_dir: pathlib.Path | None = None, **changes: Any) -> FitJob:
    """A training of five epochs of eight steps, on a rate that depends on the step."""
    model = ModelSettings("rows", MODULE, (28, 28, 1), "float32", "one_cycle", seed=5)
    whole = FitJob(
        what="rows",
        model=dataclasses.replace(
            model, **{k: changes.pop(k) for k in ("module", "schedule") if k in changes}
        ),
        precision="float32",
        batch_size=BATCH,
        learning_rate=0.02,
        epochs=EPOCHS,
        patience=EPOCHS,
        train=bright_rows(STEPS * BATCH + 3),
        eval_=bright_rows(50),
        transform=transform,
        state_dir=state_dir,
    )
    return dataclasses.replace(whole, **changes)


def figures(result: FitResult) -> list[list[float]]:
    """Returns the history without the times, which differ from run to run."""
    names = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    return [[epoch[name] for name in names] for epoch in result.record.history]


def assert_same(found: FitResult, expected: FitResult) -> None:
    np.testing.assert_allclose(figures(found), figures(expected), rtol=1e-4, atol=1e-5)
    assert found.record.best_epoch == expected.record.best_epoch
    np.testing.assert_allclose(found.eval_probabilities, expected.eval_probabilities, atol=1e-5)
    for one, other in zip(found.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def assert_predicts_what_it_says(result: FitResult) -> None:
    found = scoring.predict(result.model, bright_rows(50).images, transform)
    np.testing.assert_allclose(found, result.eval_probabilities, atol=1e-6)
    best = result.record.history[result.record.best_epoch]
    assert scoring.accuracy(found, bright_rows(50).labels) == best["val_accuracy"]


def kill_in_epoch(number: int) -> None:
    """Kills this process at the end of an epoch, before its checkpoint is written."""

    def emit(record: logging.LogRecord) -> bool:
        if record.progress.epoch == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    LOGGER.setLevel(logging.INFO)
    LOGGER.addFilter(emit)


@pytest.fixture(scope="module")
def whole() -> FitResult:
    """A training that was never killed."""
    return fit(job())


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The checkpoints of a training that was killed in its fourth epoch."""
    state_dir = tmp_path_factory.mktemp("killed")
    done = run_script(__name__, state_dir)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return state_dir


@pytest.fixture
def state_dir(killed: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of those checkpoints."""
    return shutil.copytree(killed, tmp_path / "state")


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture) -> list[TrainingProgress]:
    """What is logged of the progress from now on."""

    class Reports(list):
        def __iter__(self) -> Any:
            ours = [record for record in caplog.records if record.name == LOGGER.name]
            return iter([record.progress for record in ours])

    caplog.set_level(logging.INFO, LOGGER.name)
    return Reports()


def epochs_of(reports: list[TrainingProgress]) -> set[int]:
    return {report.epoch for report in reports}


def cut(file: pathlib.Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: pathlib.Path) -> None:
    """Changes a byte in the middle, as a failing disk does."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def damage(folder: pathlib.Path, how: Callable[[pathlib.Path], None], part: str) -> None:
    """Damages a file of every checkpoint whose path matches."""
    files = list(folder.glob(part))
    assert files
    for file in files:
        how(file)


def exploding(monkeypatch: pytest.MonkeyPatch, step: int) -> str:
    """Registers a module whose training explodes at a step (from 0); returns its name."""

    def build(hparams: HParams, input_shape: tuple[int, ...]) -> keras.Model:
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay([step - 1], [0.01, 1e30])
        return compile_classifier(network(input_shape), HParams(schedule, 2))

    module = types.ModuleType("exploding")
    module.build, module.STEPS_PER_EXECUTION = build, 2
    monkeypatch.setitem(sys.modules, "exploding", module)
    return "exploding"


def test_a_training_learns(whole: FitResult) -> None:
    history = whole.record.history
    assert [epoch["epoch"] for epoch in history] == list(range(EPOCHS))
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[whole.record.best_epoch]["val_accuracy"] > 0.9
    assert_predicts_what_it_says(whole)
    assert not whole.record.diverged


def test_the_history_says_what_each_epoch_was(whole: FitResult) -> None:
    expected = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert all(set(epoch) == expected for epoch in whole.record.history)
    seconds = sum(epoch["seconds"] for epoch in whole.record.history)
    assert whole.record.train_seconds == pytest.approx(seconds)
    assert whole.record.eval_seconds > 0
    images = EPOCHS * STEPS * BATCH
    assert whole.images_per_second == pytest.approx(images / whole.record.train_seconds)


def test_early_stopping_keeps_the_weights_of_the_best_epoch() -> None:
    stopped = fit(job(epochs=40, patience=2, schedule="constant"))
    record = stopped.record
    accuracies = [epoch["val_accuracy"] for epoch in record.history]
    assert record.best_epoch == int(np.argmax(accuracies))
    assert len(accuracies) == record.best_epoch + 3 < 40
    assert_predicts_what_it_says(stopped)
    just_the_best = fit(job(epochs=record.best_epoch + 1, schedule="constant"))
    for one, other in zip(
        stopped.model.get_weights(), just_the_best.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_loss_that_is_not_finite_in_the_first_epoch_is_an_error(epochs: int) -> None:
    with pytest.raises(TrainingDiverged) as caught:
        fit(job(learning_rate=1e30, epochs=epochs, schedule="constant"))
    assert str(caught.value).startswith(
        "expected a finite loss; it became infinite or not a number in the first epoch: "
        "take a smaller learning rate or float32; exploding: "
    )


def test_weights_that_the_last_step_of_the_first_epoch_ruined_are_an_error() -> None:
    one_step = bright_rows(BATCH)
    with pytest.raises(TrainingDiverged, match="in the first epoch"):
        fit(job(learning_rate=1e30, epochs=1, schedule="constant", train=one_step))


@pytest.mark.parametrize(
    "step", [2 * STEPS + 2, 3 * STEPS - 1], ids=["within an epoch", "in its last step"]
)
def test_a_training_that_explodes_goes_back_to_its_best_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, step: int
) -> None:
    result = fit(job(tmp_path, module=exploding(monkeypatch, step)))
    assert result.record.diverged
    assert [epoch["epoch"] for epoch in result.record.history] == [0, 1]
    assert np.isfinite(figures(result)).all()
    assert all(np.isfinite(weight).all() for weight in result.model.get_weights())
    assert_predicts_what_it_says(result)


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been_killed(
    state_dir: pathlib.Path, whole: FitResult, reports: list[TrainingProgress]
) -> None:
    assert_same(fit(job(state_dir)), whole)
    assert epochs_of(reports) == {KILLED_IN_EPOCH, EPOCHS}
    trained = len(list(reports))
    assert_same(fit(job(state_dir)), whole)
    assert len(list(reports)) == trained  # what is finished is not trained again


@pytest.mark.parametrize(
    ("how", "suffix"),
    [(cut, "data"), (cut, "index"), (flip, "data")],
)
def test_a_damaged_checkpoint_is_found_and_the_one_before_is_used(
    state_dir: pathlib.Path,
    whole: FitResult,
    reports: list[TrainingProgress],
    how: Callable[[pathlib.Path], None],
    suffix: str,
) -> None:
    damage(state_dir / "newest", how, f"*-{KILLED_IN_EPOCH - 1}.{suffix}*")
    assert_same(fit(job(state_dir)), whole)
    assert epochs_of(reports) == {KILLED_IN_EPOCH - 1, KILLED_IN_EPOCH, EPOCHS}


def test_with_every_checkpoint_damaged_a_training_starts_anew(
    state_dir: pathlib.Path, whole: FitResult, reports: list[TrainingProgress]
) -> None:
    damage(state_dir / "newest", cut, "*.data*")
    assert_same(fit(job(state_dir)), whole)
    assert epochs_of(reports) == set(range(1, EPOCHS + 1))


def test_with_the_best_weights_damaged_a_training_starts_anew(
    state_dir: pathlib.Path, whole: FitResult, reports: list[TrainingProgress]
) -> None:
    damage(state_dir / "best", cut, "*.data*")
    assert_same(fit(job(state_dir)), whole)
    assert epochs_of(reports) == set(range(1, EPOCHS + 1))


@pytest.mark.parametrize(
    ("steps", "most", "expected"),
    [
        (750, 32, 30),  # a divisor
        (64, 32, 32),
        (31, 32, 31),  # all of an epoch
        (97, 32, 32),  # a prime: the last step of an epoch is left out
        (37, 32, 1),  # too short to leave five steps out
        (10, 4, 2),
        (100, 1, 1),
        (1, 32, 1),
    ],
)
def test_steps_at_once_divide_an_epoch_where_they_can(steps: int, most: int, expected: int) -> None:
    assert steps_at_once(steps, most) == expected


def test_every_step_of_every_epoch_is_taken(whole: FitResult) -> None:
    assert int(whole.model.optimizer.iterations) == EPOCHS * STEPS
    assert whole.model.steps_per_execution == STEPS_PER_EXECUTION


def test_progress_says_images_a_second_and_the_time_left(
    reports: list[TrainingProgress], caplog: pytest.LogCaptureFixture
) -> None:
    fit(job(epochs=3))
    found = list(reports)
    assert LOGGER.name == "mnist_tfx.progress"
    ends = {report.epoch: report.images for report in found}
    assert ends == {1: 128, 2: 256, 3: 384}
    assert [report.images for report in found] == sorted({report.images for report in found})
    assert {(report.what, report.epochs, report.total_images) for report in found} == {
        ("rows", 3, 384)
    }
    assert all(
        report.seconds_left == pytest.approx((384 - report.images) / report.images_per_second)
        for report in found
    )
    pattern = r"rows: epoch 3/3, accuracy [01]\.\d{4}, [\d,]+ images/s, 0 s left"
    assert re.fullmatch(pattern, str(found[-1]))
    assert str(found[-1]) in caplog.messages


def test_training_and_validation_reach_tensorboard(tmp_path: pathlib.Path) -> None:
    result = fit(job(epochs=2, log_dir=tmp_path))
    found = event_accumulator.EventAccumulator(str(tmp_path / "validation")).Reload()
    values = [
        tf.make_ndarray(event.tensor_proto).item() for event in found.Tensors("epoch_accuracy")
    ]
    accuracies = [epoch["val_accuracy"] for epoch in result.record.history]
    np.testing.assert_allclose(values, accuracies, rtol=1e-6)


if __name__ == "__main__":
    kill_in_epoch(KILLED_IN_EPOCH)
    fit(job(pathlib.Path(sys.argv[1])))
