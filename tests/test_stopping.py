"""A training stops at SIGTERM and goes on within an epoch; run as a script, it is the one stopped.

The script trains in a process of its own: `python -m tests.test_stopping SIGTERM|SIGKILL FOLDER` is
sent that signal in its second epoch, with `mirrored FOLDER` it compares trainings on two devices.
"""

import contextlib
import json
import logging
import math
import os
import pathlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator
from tfx.components.trainer.fn_args_utils import FnArgs

from components.features import to_pixels
from components.settings import ModelSettings, TrainSettings, to_config
from components.training import devices, progress, saver
from components.training.checkpoint import Checkpoints
from components.training.fit import FitJob, FitResult, fit
from components.training.progress import TrainingProgress
from components.training.record import Part
from components.training.run import TRAINING_FILE, run_fn
from components.training.stopping import Stop, TrainingStopped, stoppable
from components.training.user_log import LOGGER
from tests.bright_rows import MODULE, STEPS_PER_EXECUTION, bright_rows
from tests.digit_files import write_digits
from tests.script import run_script

pytestmark = pytest.mark.slow

BATCH = 16
STEPS = 8
EPOCHS = 3
AT = 12  # the step after which the script gets its signal: the middle of the second epoch


def job(state_dir: pathlib.Path | None = None, **changes: Any) -> FitJob:
    """A training of three epochs of eight steps, on a rate that depends on the step."""
    values = {
        "what": "rows",
        "model": ModelSettings(
            "rows", MODULE, (28, 28, 1), "float32", "one_cycle", 5, "affine", averaging=0.3
        ),
        "precision": "float32",
        "batch_size": BATCH,
        "learning_rate": 0.02,
        "epochs": EPOCHS,
        "patience": EPOCHS,
        "train": bright_rows(STEPS * BATCH),
        "eval_": bright_rows(50),
        "transform": lambda image: to_pixels(image, (28, 28, 1)),
        "state_dir": state_dir,
    }
    return FitJob(**values | changes)


def assert_same(found: FitResult, expected: FitResult) -> None:
    names = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    figures = [
        [[epoch[name] for name in names] for epoch in result.record.history]
        for result in (found, expected)
    ]
    np.testing.assert_allclose(*figures, rtol=1e-4, atol=1e-5)
    assert found.record.best_epoch == expected.record.best_epoch
    assert found.record.part == Part()
    np.testing.assert_allclose(found.eval_probabilities, expected.eval_probabilities, atol=1e-5)
    for one, other in zip(found.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert int(found.model.optimizer.iterations) == EPOCHS * STEPS


@contextlib.contextmanager
def at_steps(*steps: int, call: Callable[[], object]) -> Iterator[None]:
    """Calls a function when a training reports these numbers of steps, counted over all epochs."""

    def emit(record: logging.LogRecord) -> bool:
        if record.progress.images // BATCH in steps:
            call()
        return True

    LOGGER.addFilter(emit)
    try:
        yield
    finally:
        LOGGER.removeFilter(emit)


def stop_at(step: int, asked: FitJob) -> str:
    """Trains, asks for a stop when a step is reported, and returns the words of the exception."""
    stop = Stop()
    with at_steps(step, call=stop.ask), pytest.raises(TrainingStopped) as caught:
        fit(asked, stop)
    return str(caught.value)


class Steps(list):
    """The numbers of steps that were reported, counted over all epochs."""

    def handle(self, record: logging.LogRecord) -> bool:
        self.append(record.progress.images // BATCH)
        return True


@pytest.fixture(autouse=True)
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    """What is reported of the trainings from now on, without any pause between two reports."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_REPORTS", 0.0)
    before, steps = LOGGER.level, Steps()
    LOGGER.setLevel(logging.INFO)
    LOGGER.addFilter(steps.handle)
    yield steps
    LOGGER.removeFilter(steps.handle)
    LOGGER.setLevel(before)


@pytest.fixture
def unheard() -> Iterator[list[int]]:
    """The signals that reached the handler before, which keeps a SIGTERM from ending the tests."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    yield heard
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def whole() -> FitResult:
    """A training that was never stopped."""
    return fit(job())


@pytest.fixture(scope="module")
def terminated(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, str]:
    """The checkpoints of a training that got SIGTERM, and what it wrote to standard error."""
    folder = tmp_path_factory.mktemp("terminated")
    done = run_script(__name__, "SIGTERM", folder)
    assert done.returncode == 1, done.stderr
    return folder, done.stderr


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The checkpoints of a training that saved after every execution and was then killed."""
    folder = tmp_path_factory.mktemp("killed")
    done = run_script(__name__, "SIGKILL", folder)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return folder


def damage_the_newest(folder: pathlib.Path) -> None:
    """Cuts off the newest checkpoint in the middle."""
    newest = pathlib.Path(tf.train.latest_checkpoint(str(folder / "newest")))
    (file,) = newest.parent.glob(f"{newest.name}.data*")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_sigterm_within_an_epoch_saves_it_and_says_so(
    terminated: tuple[pathlib.Path, str],
) -> None:
    folder, words = terminated
    # The signal came after step 4 of the epoch, in the report on it, and two steps run at once.
    assert (
        "TrainingStopped: stopped by SIGTERM in epoch 2 after 6 steps: "
        f"saved in {folder}; the same command goes on from there\n"
    ) in words


def test_after_sigterm_a_training_goes_on_as_if_nothing_had_happened(
    terminated: tuple[pathlib.Path, str], tmp_path: pathlib.Path, whole: FitResult, reports: Steps
) -> None:
    state_dir = shutil.copytree(terminated[0], tmp_path / "state")
    assert_same(fit(job(state_dir)), whole)
    assert reports == list(range(AT + 4, EPOCHS * STEPS + 1, STEPS_PER_EXECUTION))


def test_with_that_checkpoint_damaged_a_training_goes_on_from_the_epoch_before(
    terminated: tuple[pathlib.Path, str], tmp_path: pathlib.Path, whole: FitResult, reports: Steps
) -> None:
    state_dir = shutil.copytree(terminated[0], tmp_path / "state")
    damage_the_newest(state_dir)
    assert_same(fit(job(state_dir)), whole)
    assert reports[0] == STEPS + 2


def test_after_sigkill_a_training_goes_on_from_the_last_timed_checkpoint(
    killed: pathlib.Path, tmp_path: pathlib.Path, whole: FitResult, reports: Steps
) -> None:
    state_dir = shutil.copytree(killed, tmp_path / "state")
    assert_same(fit(job(state_dir)), whole)
    assert reports == list(range(AT + 2, EPOCHS * STEPS + 1, STEPS_PER_EXECUTION))


def test_with_the_last_timed_checkpoint_damaged_the_one_before_is_used(
    killed: pathlib.Path, tmp_path: pathlib.Path, whole: FitResult, reports: Steps
) -> None:
    state_dir = shutil.copytree(killed, tmp_path / "state")
    damage_the_newest(state_dir)
    assert_same(fit(job(state_dir)), whole)
    assert reports[0] == AT


@pytest.mark.parametrize(
    ("asked_at", "where", "next_report"),
    [
        (2, "in epoch 1 after 4 steps", 6),
        (STEPS - 2, "in epoch 1 after 8 steps", STEPS + 2),  # seen at the end of its last batch
        (STEPS, "in epoch 1 after 8 steps", STEPS + 2),  # seen in the validation
        (2 * STEPS + 2, "in epoch 3 after 4 steps", 2 * STEPS + 6),
    ],
    ids=["in the first epoch", "in the last step", "in validation", "in the last epoch"],
)
def test_wherever_a_training_is_stopped_it_goes_on(
    tmp_path: pathlib.Path,
    whole: FitResult,
    reports: Steps,
    asked_at: int,
    where: str,
    next_report: int,
) -> None:
    assert f"stopped by SIGTERM {where}: saved in {tmp_path};" in stop_at(asked_at, job(tmp_path))
    reports.clear()
    assert_same(fit(job(tmp_path)), whole)
    assert reports == list(range(next_report, EPOCHS * STEPS + 1, STEPS_PER_EXECUTION))


def test_an_epoch_may_be_stopped_again_and_again(tmp_path: pathlib.Path, whole: FitResult) -> None:
    stop_at(STEPS + 2, job(tmp_path))
    assert "in epoch 2 after 8 steps" in stop_at(STEPS + 6, job(tmp_path))  # all but validation
    stop_at(2 * STEPS + 2, job(tmp_path))
    assert_same(fit(job(tmp_path)), whole)


def test_a_stop_in_the_last_validation_leaves_only_that_to_do(
    tmp_path: pathlib.Path, whole: FitResult, reports: Steps
) -> None:
    assert "in epoch 3 after 8 steps" in stop_at(EPOCHS * STEPS, job(tmp_path))
    reports.clear()
    assert_same(fit(job(tmp_path)), whole)
    assert reports == []


def test_a_stop_after_the_last_epoch_leaves_nothing_to_do(
    tmp_path: pathlib.Path, whole: FitResult, reports: Steps
) -> None:
    fit(job(tmp_path))
    stop = Stop()
    stop.ask()
    with pytest.raises(TrainingStopped, match="stopped by SIGTERM after epoch 3: saved in"):
        fit(job(tmp_path), stop)
    reports.clear()
    assert_same(fit(job(tmp_path)), whole)
    assert reports == []


def test_a_training_without_a_folder_stops_too() -> None:
    assert stop_at(STEPS + 2, job()) == (
        "stopped by SIGTERM in epoch 2 after 4 steps: nothing of this training is saved"
    )


def test_an_epoch_in_two_parts_has_the_seconds_of_both(tmp_path: pathlib.Path) -> None:
    stop = Stop()
    with (
        at_steps(2, 10, call=lambda: time.sleep(0.5)),
        at_steps(10, call=stop.ask),
        pytest.raises(TrainingStopped),
    ):
        fit(job(tmp_path), stop)
    with at_steps(14, call=lambda: time.sleep(0.5)):
        record = fit(job(tmp_path)).record
    assert record.history[1]["seconds"] > 1.0
    assert record.train_seconds == pytest.approx(sum(e["seconds"] for e in record.history))


def test_writing_within_an_epoch_is_not_counted_as_training(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = slow_saving(monkeypatch, 0.5)
    monkeypatch.setattr(saver, "MOST_SHARE", math.inf)
    begun = time.perf_counter()
    record = fit(job(tmp_path, epochs=1, checkpoint_seconds=0)).record
    assert len(saved) == STEPS // STEPS_PER_EXECUTION + 1
    assert record.train_seconds < time.perf_counter() - begun - 0.5 * len(saved)


def slow_saving(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    """Makes every checkpoint take that much longer; returns the list of steps that were saved."""
    save, saved = Checkpoints.save, []

    def slow(self: Checkpoints, state: dict[str, Any]) -> None:
        time.sleep(seconds)
        saved.append(len(state["history"]) * STEPS + state["part"]["steps"])
        save(self, state)

    monkeypatch.setattr(Checkpoints, "save", slow)
    return saved


def test_slow_checkpoints_are_rare(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = slow_saving(monkeypatch, 1.0)
    fit(job(tmp_path, epochs=1, checkpoint_seconds=0))
    assert saved == [2, STEPS]  # the next would have come after 20 seconds


def test_there_is_no_checkpoint_within_an_epoch_before_its_time(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = slow_saving(monkeypatch, 0.0)
    fit(job(tmp_path))
    assert saved == [STEPS, 2 * STEPS, 3 * STEPS]
    assert saver.CHECKPOINT_SECONDS == FitJob.checkpoint_seconds == 120


def test_more_signals_while_it_saves_change_nothing(
    tmp_path: pathlib.Path, whole: FitResult, monkeypatch: pytest.MonkeyPatch, unheard: list[int]
) -> None:
    save, ended, sent = Checkpoints.save, threading.Event(), []

    def storm() -> None:
        while not ended.wait(0.001):
            os.kill(os.getpid(), signal.SIGTERM)
            sent.append(1)

    def save_in_the_storm(self: Checkpoints, state: dict[str, Any]) -> None:
        signals = threading.Thread(target=storm)
        signals.start()
        try:
            save(self, state)
        finally:
            ended.set()
            signals.join()

    with (
        mock.patch.object(Checkpoints, "save", save_in_the_storm),
        at_steps(2, call=lambda: os.kill(os.getpid(), signal.SIGTERM)),
        pytest.raises(TrainingStopped, match="in epoch 1 after 4 steps"),
        stoppable() as stop,
    ):
        fit(job(tmp_path), stop)
    assert sent
    assert unheard == []
    assert_same(fit(job(tmp_path)), whole)


def test_the_handler_is_the_one_before_again(unheard: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable() as stop:
        assert signal.getsignal(signal.SIGTERM) != before
    assert not stop.asked
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(KeyError), stoppable():
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) is before
    assert unheard == []


def test_a_signal_that_nothing_obeyed_is_sent_again(unheard: list[int]) -> None:
    with stoppable() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked
        assert unheard == []
    assert unheard == [signal.SIGTERM]


def test_a_signal_that_another_error_overtook_is_sent_again(unheard: list[int]) -> None:
    def overtake() -> None:
        signal.raise_signal(signal.SIGTERM)
        raise KeyError

    with pytest.raises(KeyError), stoppable():
        overtake()
    assert unheard == [signal.SIGTERM]


def test_a_signal_that_stopped_a_training_is_not_sent_again(unheard: list[int]) -> None:
    def obey() -> None:
        signal.raise_signal(signal.SIGTERM)
        raise TrainingStopped

    with pytest.raises(TrainingStopped), stoppable():
        obey()
    assert unheard == []


def test_another_thread_leaves_the_handler_alone(unheard: list[int]) -> None:
    before, found = signal.getsignal(signal.SIGTERM), []

    def enter() -> None:
        with stoppable() as stop:
            found.append((signal.getsignal(signal.SIGTERM), stop.asked))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(before, False)]


@pytest.fixture
def heeded() -> Iterator[None]:
    """Python's own answer to SIGINT, which a shell's job in the background begins without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_control_c_is_what_it_was(tmp_path: pathlib.Path, unheard: list[int]) -> None:
    with (
        at_steps(2, call=lambda: signal.raise_signal(signal.SIGINT)),
        pytest.raises(KeyboardInterrupt),
        stoppable() as stop,
    ):
        fit(job(tmp_path), stop)
    assert not stop.asked
    assert not list(tmp_path.glob("newest/*"))


def test_progress_goes_on_where_it_was(tmp_path: pathlib.Path) -> None:
    def of(found: logging.LogRecord) -> bool:
        seen.append(found.progress)
        return True

    stop_at(STEPS + 2, job(tmp_path))
    seen: list[TrainingProgress] = []
    LOGGER.addFilter(of)
    try:
        fit(job(tmp_path))
    finally:
        LOGGER.removeFilter(of)
    assert [(report.epoch, report.images // BATCH) for report in seen[:4]] == [
        (2, STEPS + 6),
        (2, 2 * STEPS),
        (3, 2 * STEPS + 2),
        (3, 2 * STEPS + 4),
    ]


@pytest.mark.parametrize("asked_at", [STEPS + 2, STEPS + 6], ids=["some steps", "validation"])
def test_tensorboard_gets_the_figures_of_the_whole_epoch(
    tmp_path: pathlib.Path, whole: FitResult, asked_at: int
) -> None:
    """What is left of the second epoch, beside its validation, depends on when it was stopped."""
    stop_at(asked_at, job(tmp_path / "state"))
    fit(job(tmp_path / "state", log_dir=tmp_path / "logs"))
    for split, prefix in (("train", ""), ("validation", "val_")):
        found = event_accumulator.EventAccumulator(str(tmp_path / "logs" / split)).Reload()
        events = found.Tensors("epoch_loss")
        losses = {event.step: tf.make_ndarray(event.tensor_proto).item() for event in events}
        expected = {e["epoch"]: e[f"{prefix}loss"] for e in whole.record.history[1:]}
        assert losses == pytest.approx(expected, rel=1e-4)


def test_two_parts_are_averaged_by_their_steps() -> None:
    first = Part(6, 2.0, {"loss": 1.0, "accuracy": 0.5})
    both = first.followed_by(2, 1.0, {"loss": 3.0, "accuracy": 0.9})
    assert (both.steps, both.seconds) == (8, 3.0)
    assert both.means == pytest.approx({"loss": 1.5, "accuracy": 0.6})
    assert first.followed_by(0, 1.0, {}) == Part(6, 3.0, first.means)
    assert Part().followed_by(2, 1.0, {"loss": 0.1}) == Part(2, 1.0, {"loss": 0.1})


def test_a_loss_that_is_not_finite_is_not_averaged_away() -> None:
    for loss in (math.nan, math.inf):
        both = Part(6, 2.0, {"loss": 1.0}).followed_by(2, 1.0, {"loss": loss})
        assert not math.isfinite(both.means["loss"])


def test_the_trainer_stops_at_sigterm_and_its_next_call_goes_on(
    transform_output: Any, tmp_path: pathlib.Path, reports: Steps, unheard: list[int]
) -> None:
    settings = TrainSettings(
        model=ModelSettings("rows", MODULE, (32, 32, 3), "float32", "one_cycle", seed=5),
        images=0,
        eval_images=0,
        epochs=2,
        patience=2,
        hyperparameters={"batch_size": BATCH, "learning_rate": 0.02},
        rung="1",
        state_dir=str(tmp_path / "state"),
        code="",
    )
    asked = FnArgs(
        train_files=[write_digits(tmp_path / "train", bright_rows(STEPS * BATCH))],
        eval_files=[write_digits(tmp_path / "eval", bright_rows(20))],
        transform_output=os.path.dirname(transform_output.transform_savedmodel_dir),
        serving_model_dir=str(tmp_path / "model"),
        model_run_dir=str(tmp_path / "run"),
        hyperparameters=None,
        custom_config=json.loads(json.dumps(to_config(settings))),
    )
    before = signal.getsignal(signal.SIGTERM)
    with (
        at_steps(STEPS + 2, call=lambda: signal.raise_signal(signal.SIGTERM)),
        pytest.raises(TrainingStopped, match="in epoch 2 after 4 steps: saved in .*/state/rows-"),
    ):
        run_fn(asked)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "model").exists()
    reports.clear()
    run_fn(asked)
    assert reports == [STEPS + 6, STEPS + 8]
    report = json.loads((tmp_path / "run" / TRAINING_FILE).read_text())
    assert report["epochs"] == 2
    assert (tmp_path / "model" / "saved_model.pb").exists()
    assert list((tmp_path / "state").iterdir()) == []
    assert unheard == []


def test_two_devices_go_on_within_an_epoch(tmp_path: pathlib.Path) -> None:
    done = run_script(__name__, "mirrored", tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["replicas"] == 2
    saved = AT + STEPS_PER_EXECUTION  # the stop is seen after the next execution
    after = range(saved + STEPS_PER_EXECUTION, EPOCHS * STEPS + 1, STEPS_PER_EXECUTION)
    assert found["steps"] == list(after)
    np.testing.assert_allclose(found["resumed"], found["whole"], rtol=1e-4)


def train_on_two_devices(folder: pathlib.Path) -> dict[str, Any]:
    """Trains on two devices, once through and once with a stop in the second epoch."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    stop, steps = Stop(), Steps()
    with mock.patch.object(devices, "prepare_gpus", return_value=("CPU:0", "CPU:1")):
        whole = fit(job())
        with at_steps(AT, call=stop.ask), contextlib.suppress(TrainingStopped):
            fit(job(folder), stop)
        LOGGER.addFilter(steps.handle)
        resumed = fit(job(folder))
    found = {"whole": numbers(whole), "resumed": numbers(resumed), "steps": steps}
    return found | {"replicas": resumed.model.distribute_strategy.num_replicas_in_sync}


def numbers(result: FitResult) -> list[float]:
    """Returns the losses, the accuracies and the sums of the weights."""
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = [epoch[name] for epoch in result.record.history for name in names]
    return history + [float(np.abs(weight).sum()) for weight in result.model.get_weights()]


def train_to_be_signalled(name: str, folder: pathlib.Path) -> None:
    """Trains and sends itself the signal; for SIGKILL it saves after every execution before."""
    saver.MOST_SHARE = math.inf
    seconds = 0.0 if name == "SIGKILL" else saver.CHECKPOINT_SECONDS
    with (
        at_steps(AT, call=lambda: os.kill(os.getpid(), signal.Signals[name])),
        stoppable() as stop,
    ):
        fit(job(folder, checkpoint_seconds=seconds), stop)


if __name__ == "__main__":
    progress.SECONDS_BETWEEN_REPORTS = 0.0
    LOGGER.setLevel(logging.INFO)
    if sys.argv[1] == "mirrored":
        print(json.dumps(train_on_two_devices(pathlib.Path(sys.argv[2]))))
    else:
        train_to_be_signalled(sys.argv[1], pathlib.Path(sys.argv[2]))
