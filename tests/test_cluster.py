"""One training on two processes of this machine: what one device learns, and a worker that dies."""

import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import psutil
import pytest
import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from components.settings import ModelSettings, TrainSettings, to_config
from components.training import dataset
from components.training.cluster import parcel
from components.training.cluster.channel import Channel
from components.training.cluster.chief import TrainingBroken
from components.training.run import TRAINING_FILE, run_fn
from components.training.user_log import LOGGER
from tests.bright_rows import bright_rows
from tests.digit_files import write_digits

pytestmark = pytest.mark.slow

IMAGES, BATCH, EPOCHS = 64, 16, 8
RATE = 1e-4  # with 1e-3 an input that is larger by 1e-7 may change the fourth loss by 1e-2
LOSSES = ("loss", "accuracy", "val_loss", "val_accuracy")
DONE = "the training is done"  # in the words of a worker
WAIT = 60


def asked(transform_output: Any, folder: pathlib.Path, devices: str) -> FnArgs:
    """Returns what TFX's Trainer would tell; `devices` names the folder of the results."""
    model = ModelSettings(
        "sequential", "components.models.sequential", (32, 32, 3), "float32", "constant", seed=2
    )
    settings = TrainSettings(
        model=dataclasses.replace(model, devices=devices),
        images=0,
        eval_images=0,
        epochs=EPOCHS,
        patience=EPOCHS,
        hyperparameters={"batch_size": BATCH, "learning_rate": RATE},
        rung="1",
        state_dir=str(folder / devices / "state"),
        code="",
    )
    for split, count in (("train", IMAGES), ("eval", 20)):
        if not (folder / split).exists():
            write_digits(folder / split, bright_rows(count))
    return FnArgs(
        train_files=[f"{folder}/train/*"],
        eval_files=[f"{folder}/eval/*"],
        transform_output=os.path.dirname(transform_output.transform_savedmodel_dir),
        serving_model_dir=str(folder / devices / "model"),
        model_run_dir=str(folder / devices / "run"),
        hyperparameters=None,
        custom_config=json.loads(json.dumps(to_config(settings))),
    )


def losses(arguments: FnArgs) -> dict[str, list[float]]:
    report = json.loads((pathlib.Path(arguments.model_run_dir) / TRAINING_FILE).read_text())
    return {name: [epoch[name] for epoch in report["history"]] for name in LOSSES}


def free_addresses() -> list[str]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]


def config(addresses: list[str], index: int) -> str:
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


class Epochs(list[int]):
    """The epochs whose end was reported, each once; at the first, the processes `of` one die."""

    def __init__(self, of: psutil.Process | None = None) -> None:
        super().__init__()
        self._of = of

    def handle(self, record: Any) -> bool:
        progress = getattr(record, "progress", None)  # absent where it is said who is waited for
        if progress is None:
            return True
        if not self and self._of:
            for process in self._of.children():
                process.send_signal(signal.SIGKILL)
        if progress.epoch not in self:
            self.append(progress.epoch)
        return True


@contextlib.contextmanager
def reported(epochs: Epochs) -> Iterator[None]:
    level = LOGGER.level
    LOGGER.setLevel(logging.INFO)
    LOGGER.addFilter(epochs.handle)
    try:
        yield
    finally:
        LOGGER.removeFilter(epochs.handle)
        LOGGER.setLevel(level)


@pytest.fixture(scope="module")
def alone(transform_output: Any, tmp_path_factory: pytest.TempPathFactory) -> FnArgs:
    """A training on one device."""
    arguments = asked(transform_output, tmp_path_factory.mktemp("alone"), "one")
    run_fn(arguments)
    return arguments


@dataclasses.dataclass(frozen=True)
class Found:
    """What was found of a training on two processes whose worker died.

    Attributes:
      broken: what the first call of the Trainer said.
      exported: whether it had exported something.
      before, after: the epochs that the first and the second call reported.
      code, words: the worker's exit code and log.
    """

    arguments: FnArgs
    addresses: list[str]
    broken: str
    exported: bool
    before: list[int]
    after: list[int]
    code: int
    words: str


@pytest.fixture(scope="module")
def together(transform_output: Any, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A training on two processes whose worker dies after an epoch, and the next call."""
    folder, addresses = tmp_path_factory.mktemp("together"), free_addresses()
    arguments = asked(transform_output, folder, "multi-worker")
    worker = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "worker"],
        env={**os.environ, "TF_CONFIG": config(addresses, 1)},
        stderr=(folder / "worker.log").open("w"),
    )
    before, after = Epochs(of=psutil.Process(worker.pid)), Epochs()
    try:
        with mock.patch.dict(os.environ, TF_CONFIG=config(addresses, 0)):
            with reported(before), pytest.raises(TrainingBroken) as raised:
                run_fn(arguments)
            exported = os.path.exists(arguments.serving_model_dir)
            with reported(after):
                run_fn(arguments)
        until = time.monotonic() + WAIT
        while DONE not in (folder / "worker.log").read_text() and time.monotonic() < until:
            time.sleep(0.1)
        worker.terminate()
        code = worker.wait(WAIT)
    finally:
        worker.kill()
        worker.wait()
    words = (folder / "worker.log").read_text()
    return Found(arguments, addresses, str(raised.value), exported, before, after, code, words)


def test_two_processes_learn_what_one_device_learns(alone: FnArgs, together: Found) -> None:
    found, expected = losses(together.arguments), losses(alone)
    assert len(found["loss"]) == EPOCHS
    assert found["loss"][-1] < 0.9 * found["loss"][0]
    for name in LOSSES:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3)


def test_machines_of_other_code_learn_of_it_before_anything_is_sent() -> None:
    """Each is alone here, so that a worker hears nothing, which is no code of its own."""
    alone, module = tf.distribute.get_strategy(), "components.models.sequential"
    parcel.check_code(Channel(alone, is_chief=True), module)
    with pytest.raises(ValueError, match="expected the same code on all machines; a worker's is"):
        parcel.check_code(Channel(alone, is_chief=False), module)


def test_a_process_that_were_not_heard_would_be_seen_in_the_losses(
    alone: FnArgs, transform_output: Any, tmp_path: pathlib.Path
) -> None:
    whole = dataset.training_batches

    def half(*given: Any) -> tf.data.Dataset:
        return whole(*given[:-1], dataset.Share(0, 1, 2))

    arguments = asked(transform_output, tmp_path, "one")
    with mock.patch.object(dataset, "training_batches", half):
        run_fn(arguments)
    found, expected = losses(arguments)["loss"], losses(alone)["loss"]
    assert np.max(np.abs(np.divide(found, expected) - 1)) > 0.01


def test_a_worker_that_dies_is_named_in_one_sentence(together: Found) -> None:
    assert together.broken == (
        f"expected all 2 machines to train to the end; {together.addresses[1]} is gone or does "
        "not answer: see to it that `mnist-tfx worker` runs there, then the same command here "
        "goes on from the last checkpoint"
    )
    assert not together.exported


def test_the_next_call_goes_on_from_the_checkpoint_and_leaves_nothing_but_results(
    together: Found,
) -> None:
    assert together.before[0] == 1
    assert together.after[0] > 1
    assert together.after[-1] == EPOCHS
    assert (pathlib.Path(together.arguments.serving_model_dir) / "saved_model.pb").exists()
    state = together.arguments.custom_config["state_dir"]
    assert list(pathlib.Path(state).iterdir()) == []


def test_the_worker_goes_on_after_its_process_died_and_ends_when_it_is_told(
    together: Found,
) -> None:
    assert "ended by SIGKILL" in together.words
    assert DONE in together.words
    assert together.code == 0
