"""The search over batch size and learning rate; run as a script, this is the search killed."""

import gc
import json
import logging
import os
import pathlib
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import pytest
from tfx.types import standard_artifacts

from components.features import to_pixels
from components.models.compiling import HParams, compile_classifier
from components.settings import ModelSettings, TuneSettings
from components.training.fit import FitJob
from components.training.user_log import LOGGER
from components.tuning.component import SearchFailed, trials_of
from components.tuning.hypermodel import BatchAndRate
from components.tuning.results import read_trials
from components.tuning.run import searcher, tuner_fn
from tests.bright_rows import bright_rows
from tests.script import run_script
from tests.tuner_node import run_node, told, write_examples

pytestmark = pytest.mark.slow

STEPS_PER_EXECUTION = 1
SIZES = (8, 16)
RATES = (1e-3, 1e-1)
INPUTS = ["train-files"]
KILLED_IN_TRIAL = 2


def build(hparams: HParams, input_shape: tuple[int, ...]) -> keras.Model:
    """The network of these tests: with a hidden layer a high rate makes its loss infinite."""
    network = keras.Sequential(
        [
            keras.layers.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )
    return compile_classifier(network, hparams)


def settings(state_dir: pathlib.Path, **changes: Any) -> TuneSettings:
    """A search of three trials, each one epoch of 48 images."""
    values = {
        "model": ModelSettings("rows", __name__, (28, 28, 1), "float32", "constant", seed=5),
        "images": 48,
        "eval_images": 20,
        "epochs": 1,
        "batch_sizes": SIZES,
        "learning_rates": RATES,
        "trials": 3,
        "state_dir": str(state_dir),
        "code": "",
    }
    return TuneSettings(**values | changes)


def search(state_dir: pathlib.Path, **changes: Any) -> list[dict[str, Any]]:
    """Searches as the entry point does, without a Transform graph; returns all trials."""
    asked = settings(state_dir, **changes)
    job = FitJob(
        what=asked.model.name,
        model=asked.model,
        precision="float32",
        batch_size=0,
        learning_rate=0.0,
        epochs=asked.epochs,
        patience=asked.epochs,
        train=bright_rows(asked.images),
        eval_=bright_rows(asked.eval_images),
        transform=lambda image: to_pixels(image, (28, 28, 1)),
    )
    # The module is `__main__` where this is a script; the search must be the same.
    same = settings(state_dir, **changes, model=ModelSettings("rows", "", (), "", "", seed=5))
    names = tuple(name for name, _, _ in asked.runs)
    space = asked.batch_sizes, asked.learning_rates
    tuner = searcher(same, BatchAndRate(job, *space, names), INPUTS)
    tuner.search()
    return trials_of(tuner)


def without_times(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in trial.items() if k != "seconds"} for trial in trials]


def signal_in_trial(number: int, name: str) -> None:
    """Sends this process a signal while a trial trains."""

    def kill(record: logging.LogRecord) -> bool:
        if f"trial {number} " in record.progress.what:
            os.kill(os.getpid(), signal.Signals[name])
        return True

    LOGGER.setLevel(logging.INFO)
    LOGGER.addFilter(kill)


@pytest.fixture(scope="module", autouse=True)
def little_garbage() -> Iterator[None]:
    """Keeps what was imported out of the collections with which KerasTuner begins a trial."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The trials of a search that was never killed."""
    return search(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """The folder of a search that was killed in its second trial, and a copy of what was in it."""
    state_dir = tmp_path_factory.mktemp("killed") / "state"
    done = run_script(__name__, "SIGKILL", state_dir)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return state_dir, shutil.copytree(state_dir, state_dir.with_name("copy"))


@pytest.fixture
def state_dir(killed: tuple[pathlib.Path, pathlib.Path]) -> pathlib.Path:
    """That folder as the kill left it; a search goes on only where it began."""
    folder, copy = killed
    shutil.rmtree(folder)
    return shutil.copytree(copy, folder)


@pytest.fixture
def started(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Returns a function that tells how many trials have trained since the test began."""
    caplog.set_level(logging.INFO, LOGGER.name)

    def count() -> int:
        ours = [record for record in caplog.records if record.name == LOGGER.name]
        return len({record.progress.what for record in ours})

    return count


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.Examples:
    """Examples with the splits `train` (48 digits) and `eval` (20)."""
    return write_examples(tmp_path_factory.mktemp("examples"))


def node_settings(state_dir: pathlib.Path, **changes: Any) -> TuneSettings:
    """Settings for the shape of the shared Transform graph."""
    model = ModelSettings("rows", __name__, (32, 32, 3), "float32", "one_cycle", seed=5)
    return settings(state_dir, model=model, **changes)


RUNS = (("A", 8, 0.01), ("B", 16, 0.01), ("C", 16, 0.1))


def test_named_runs_are_the_trials_in_their_order(tmp_path: pathlib.Path) -> None:
    found = search(tmp_path, runs=RUNS)
    assert [(t["run"], t["batch_size"], t["learning_rate"]) for t in found] == list(RUNS)
    assert {trial["status"] for trial in found} == {"COMPLETED"}
    assert all(0 <= trial["val_accuracy"] <= 1 for trial in found)


def test_named_runs_that_are_done_are_not_run_again(
    tmp_path: pathlib.Path, started: Callable[[], int]
) -> None:
    found = search(tmp_path, runs=RUNS)
    assert started() == 3
    assert search(tmp_path, runs=RUNS) == found
    assert started() == 3


def test_fewer_trials_than_named_runs_are_the_first_of_them(tmp_path: pathlib.Path) -> None:
    assert [trial["run"] for trial in search(tmp_path, runs=RUNS, trials=2)] == ["A", "B"]


def test_every_trial_has_hyperparameters_and_a_score_on_eval(whole: list[dict[str, Any]]) -> None:
    assert [trial["status"] for trial in whole] == ["COMPLETED"] * 3
    assert all(trial["batch_size"] in SIZES for trial in whole)
    assert all(RATES[0] <= trial["learning_rate"] <= RATES[1] for trial in whole)
    assert len({trial["learning_rate"] for trial in whole}) == 3
    assert all(0 <= trial["val_accuracy"] <= 1 for trial in whole)
    assert max(trial["val_accuracy"] for trial in whole) > 0.25


def test_a_killed_search_keeps_the_completed_trials_and_repeats_none(
    state_dir: pathlib.Path, whole: list[dict[str, Any]], started: Callable[[], int]
) -> None:
    (first,) = state_dir.glob("*/trial_0/trial.json")
    before = json.loads(first.read_text())
    assert before["status"] == "COMPLETED"
    assert without_times(search(state_dir)) == without_times(whole)
    assert started() == 2
    assert json.loads(first.read_text()) == before
    assert without_times(search(state_dir)) == without_times(whole)
    assert started() == 2


def test_a_search_stops_at_sigterm_and_repeats_only_the_trial_that_it_cut_off(
    tmp_path: pathlib.Path, whole: list[dict[str, Any]], started: Callable[[], int]
) -> None:
    done = run_script(__name__, "SIGTERM", tmp_path)
    assert done.returncode == 1
    assert re.search(
        rf"Error: rows trial {KILLED_IN_TRIAL} \(.*\) was stopped by SIGTERM in epoch 1 after "
        r"\d steps: nothing of this training is saved; "
        r"completed trials are kept: the same command goes on\n",
        done.stderr,
    ), done.stderr
    assert without_times(search(tmp_path)) == without_times(whole)
    assert started() == 2


def test_a_search_whose_state_is_damaged_starts_anew(
    state_dir: pathlib.Path, whole: list[dict[str, Any]], started: Callable[[], int]
) -> None:
    (file,) = state_dir.glob("*/oracle.json")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert without_times(search(state_dir)) == without_times(whole)
    assert started() == 3


def test_other_settings_and_other_inputs_are_another_search(tmp_path: pathlib.Path) -> None:
    def folder(inputs: list[str], **changes: Any) -> str:
        asked = settings(tmp_path, **changes)
        hypermodel = BatchAndRate(FitJob("", asked.model, *[None] * 8), SIZES, RATES)
        return searcher(asked, hypermodel, inputs).project_dir

    folders = [
        folder(INPUTS),
        folder(["others"]),
        folder(INPUTS, code="1"),
        folder(INPUTS, images=9),
    ]
    assert len(set(folders)) == 4
    assert folder(INPUTS) == folders[0]


def test_a_trial_that_diverges_fails_alone(tmp_path: pathlib.Path) -> None:
    found = search(tmp_path, learning_rates=(1e-11, 1e29))  # the second is about 0.01
    assert len(found) == 3
    by_status = {
        status: [t for t in found if t["status"] == status] for status in ("COMPLETED", "FAILED")
    }
    assert by_status["COMPLETED"]
    assert by_status["FAILED"]
    assert found.index(by_status["FAILED"][0]) < found.index(by_status["COMPLETED"][-1])
    for trial in by_status["FAILED"]:
        assert "exploding: at step " in trial["message"]
        assert "val_accuracy" not in trial
    assert "expected a finite loss" in by_status["FAILED"][0]["message"]


def test_the_node_writes_the_best_hyperparameters_and_all_trials(
    examples: standard_artifacts.Examples, transform_output: Any, tmp_path: pathlib.Path
) -> None:
    asked = node_settings(tmp_path / "state", trials=2)
    best_folder, results = run_node(examples, told(examples, transform_output, asked), tmp_path)
    (file,) = best_folder.iterdir()
    best, trials = json.loads(file.read_text())["values"], read_trials(results)
    assert len(trials) == 2
    winner = max(trials, key=lambda trial: trial["val_accuracy"])
    assert set(best) == {"batch_size", "learning_rate"}
    assert best == {name: winner[name] for name in best}
    assert (tmp_path / "state").is_dir()


def test_a_search_in_which_every_trial_diverges_is_an_error(
    examples: standard_artifacts.Examples, transform_output: Any, tmp_path: pathlib.Path
) -> None:
    asked = node_settings(tmp_path / "state", learning_rates=(1e30, 1e35), trials=2)
    for attempt in ("first", "second"):
        with pytest.raises(SearchFailed) as caught:
            run_node(examples, told(examples, transform_output, asked), tmp_path / attempt)
        assert not list((tmp_path / "state").iterdir()), "the next run would repeat none"
        message = str(caught.value)
        assert message.startswith("expected at least one completed trial of 2; all failed: ")
        assert "expected a finite loss" in message


def test_batch_sizes_that_the_images_cannot_fill_are_left_out(
    examples: standard_artifacts.Examples, transform_output: Any, tmp_path: pathlib.Path
) -> None:
    asked = node_settings(tmp_path, images=20, batch_sizes=(8, 20, 21, 64))
    tuner = tuner_fn(told(examples, transform_output, asked)).tuner
    sizes, rates = tuner.oracle.get_space().space
    assert (sizes.name, sizes.values) == ("batch_size", [8, 20])
    assert (rates.name, rates.min_value, rates.max_value) == ("learning_rate", *RATES)


def test_a_search_that_no_batch_size_fits_is_refused(
    examples: standard_artifacts.Examples, transform_output: Any, tmp_path: pathlib.Path
) -> None:
    asked = node_settings(tmp_path, batch_sizes=(64, 128))
    expected = (
        "expected at least 64 images a trial; got 48: use more images or a smaller batch size"
    )
    with pytest.raises(ValueError, match=expected):
        tuner_fn(told(examples, transform_output, asked))


if __name__ == "__main__":
    signal_in_trial(KILLED_IN_TRIAL, sys.argv[1])
    search(pathlib.Path(sys.argv[2]))
