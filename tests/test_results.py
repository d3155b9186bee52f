"""What `--no-tune` takes from the searches of earlier runs, in ML Metadata that is written here."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.results import NeverTuned, found_hyperparameters
from pipeline.workdir import Workdir
from tests.metadata import CACHED, FAILED, Recorder


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    return Workdir.at(tmp_path)


def searched(workdir: Workdir, name: str, rate: float, *states: int) -> Path:
    """Writes what a search of a model found and the states of its executions; returns the file."""
    folder = workdir.artifacts / f"Tuner.{name}" / str(rate)
    folder.mkdir(parents=True)
    file = folder / "best_hyperparameters.txt"
    file.write_text(json.dumps({"values": {"batch_size": 64, "learning_rate": rate}}))
    recorder = Recorder(workdir)
    best = recorder.artifact("HyperParameters", folder)
    for state in states:
        recorder.ran(f"Tuner.{name}", {}, {"best_hyperparameters": best}, state)
    return file


def test_the_values_of_the_newest_search_that_ended_are_taken(workdir: Workdir) -> None:
    searched(workdir, "sequential", 0.001, CACHED)
    searched(workdir, "sequential", 0.002, CACHED)
    searched(workdir, "sequential", 0.003, FAILED)
    searched(workdir, "vgg16", 0.004, CACHED)
    assert found_hyperparameters(workdir, ("sequential",)) == {
        "sequential": {"batch_size": 64, "learning_rate": 0.002}
    }


def test_a_model_that_was_never_tuned_is_named(workdir: Workdir) -> None:
    searched(workdir, "sequential", 0.001, CACHED)
    searched(workdir, "vgg16", 0.001, FAILED)
    with pytest.raises(NeverTuned) as refused:
        found_hyperparameters(workdir, ("sequential", "vgg16", "alexnet"))
    assert str(refused.value) == (
        f"expected an earlier search for vgg16, alexnet in {workdir.root}; there is none: run once "
        "without --no-tune"
    )


@pytest.mark.parametrize("whole_folder", [True, False])
def test_a_search_whose_files_were_removed_counts_as_none(
    workdir: Workdir, whole_folder: bool
) -> None:
    file = searched(workdir, "sequential", 0.001, CACHED)
    if whole_folder:
        shutil.rmtree(file.parent)
    else:
        file.unlink()
    with pytest.raises(NeverTuned, match="sequential"):
        found_hyperparameters(workdir, ("sequential",))
