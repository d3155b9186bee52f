"""The smoke profile, killed and run again, and through the compiled pipeline: the same."""

import dataclasses
import json
import math
import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import psutil
import pytest

from components import versions
from components.training.dataset import read_split
from tests.graph.runs import PROGRAM, SMOKE, comparison, program, smoke, states

pytestmark = pytest.mark.slow

DATA_NODES = ("CommittedSchema", "MnistExampleGen", "StatisticsGen", "StrictExampleValidator")
TEST_IMAGES = 200
SIGMAS = 4.0


@dataclasses.dataclass(frozen=True)
class Killed:
    """A local run that was killed while it trained, one beside it, and the next."""

    workdir: pathlib.Path
    process: int
    beside: subprocess.CompletedProcess[str]
    pushed: list[int]
    again: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    workdir = tmp_path_factory.mktemp("local")
    command = [*PROGRAM, *SMOKE, "--workdir", str(workdir), "--models", "sequential"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Tuner.sequential" in line:
                break
        beside = smoke(workdir)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
    pushed = versions.versions(workdir / "serving" / "mnist")
    return Killed(workdir, process.pid, beside, pushed, smoke(workdir))


@pytest.fixture(scope="module")
def local(killed: Killed) -> pathlib.Path:
    """The workdir of a local run."""
    assert killed.again.returncode == 0, killed.again.stdout + killed.again.stderr
    return killed.workdir


@pytest.fixture(scope="module")
def pipeline_file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The smoke profile of two models, compiled."""
    file = tmp_path_factory.mktemp("compiled") / "smoke.yaml"
    options = ("--profile", "smoke", "--models", "sequential,vgg16", "--gpus", "0")
    done = program("kubeflow", "compile", *options, "--output", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    return file


class Evicted:
    """Sends SIGTERM to the Trainer as soon as it trains, as an eviction of its pod does."""

    def __init__(self, run: "subprocess.Popen[str]", workdir: pathlib.Path) -> None:
        self._run, self._workdir = run, workdir

    def wait_and_evict(self) -> None:
        while self._run.poll() is None:
            for log in self._workdir.glob("logs/*/Trainer-sequential.log"):
                if "mnist_tfx.progress: sequential: epoch 1/" in log.read_text():
                    os.kill(self._trainer(), signal.SIGTERM)
                    return
            time.sleep(0.02)
        raise AssertionError("the run ended before its Trainer began")

    def _trainer(self) -> int:
        children = psutil.Process(self._run.pid).children()
        (child,) = (c for c in children if any("trainer.executor" in w for w in c.cmdline()))
        return child.pid


@pytest.fixture(scope="module")
def through_the_file(
    pipeline_file: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pathlib.Path, str]:
    """The workdir of a run of one of the two models whose Trainer was evicted, and its output."""
    workdir = tmp_path_factory.mktemp("kubeflow")
    options = ("--models", "sequential", "--workdir", str(workdir))
    command = [*PROGRAM, "kubeflow", "run-local", "--file", str(pipeline_file), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        try:
            Evicted(run, workdir).wait_and_evict()
            output, _ = run.communicate(timeout=600)
        finally:
            run.kill()
    assert run.returncode == 0, output
    return workdir, output


def test_a_killed_run_kept_others_out_and_the_next_reuses_what_was_done(killed: Killed) -> None:
    assert killed.beside.returncode == 2
    words = killed.beside.stdout.replace("\n", " ")
    assert f"in use by another run (process {killed.process})" in words
    assert not killed.pushed
    assert killed.again.returncode == 0, killed.again.stdout
    found = states(killed.again.stdout)
    reused = {node for node, state in found.items() if state == "cached"}
    assert reused >= {*DATA_NODES, "Transform.sequential", "Tuner.sequential"}
    models = (killed.workdir / "artifacts").glob("Trainer.*/model/*")
    assert [model for model in models if not any(model.iterdir())] == []


def test_the_same_splits(local: pathlib.Path, through_the_file: tuple[pathlib.Path, str]) -> None:
    workdir, _ = through_the_file

    (there,) = workdir.glob("bucket/**/MnistExampleGen/*/examples")
    (here,) = (local / "artifacts" / "MnistExampleGen" / "examples").iterdir()
    for split, count in {"train": 512, "eval": 128, "test": 200}.items():
        found, expected = (read_split(f"{at}/Split-{split}/*") for at in (there, here))
        assert len(found.labels) == count
        np.testing.assert_array_equal(found.images, expected.images)
        np.testing.assert_array_equal(found.labels, expected.labels)
    assert comparison(workdir)["data"] == comparison(local)["data"]


def test_the_same_search(local: pathlib.Path, through_the_file: tuple[pathlib.Path, str]) -> None:
    def searched(workdir: pathlib.Path) -> list[tuple[int, float]]:
        (model,) = comparison(workdir)["models"]
        return [(t["batch_size"], t["learning_rate"]) for t in model["trials"]]

    assert len(searched(local)) == 2
    assert searched(through_the_file[0]) == searched(local)


def test_models_as_good_as_each_other(
    local: pathlib.Path, through_the_file: tuple[pathlib.Path, str]
) -> None:
    (here,) = comparison(local)["models"]
    (there,) = comparison(through_the_file[0])["models"]
    same = ("name", "params", "input_shape", "epochs", "train_images", "eval_images", "status")
    assert {key: there[key] for key in same} == {key: here[key] for key in same}
    rate = (here["test_accuracy"] + there["test_accuracy"]) / 2
    chance = SIGMAS * math.sqrt(2 * rate * (1 - rate) / TEST_IMAGES)
    assert abs(here["test_accuracy"] - there["test_accuracy"]) <= chance
    assert rate > 0.5


def test_a_blessed_and_pushed_version_in_both(
    local: pathlib.Path, through_the_file: tuple[pathlib.Path, str]
) -> None:
    for workdir in (local, through_the_file[0]):
        found = comparison(workdir)
        assert (found["winner"], found["blessed"]) == ("sequential", True)
        assert versions.versions(workdir / "serving" / "mnist") == [found["pushed_version"]]


def test_the_same_report(local: pathlib.Path, through_the_file: tuple[pathlib.Path, str]) -> None:
    here, there = (
        json.loads((workdir / "report" / "report.json").read_text())
        for workdir in (local, through_the_file[0])
    )
    assert (here["missing"], there["missing"]) == ([], [])
    assert there["statistics"] == here["statistics"]
    assert {*here} - {*there} == {"lineage"}
    assert "Trainer-sequential" in there["node_seconds"]
    for name in ("index.html", "report.md", "MODEL_CARD.md"):
        assert (through_the_file[0] / "report" / name).is_file()


def test_an_evicted_trainer_goes_on_where_it_stopped(
    through_the_file: tuple[pathlib.Path, str],
) -> None:
    workdir, output = through_the_file
    assert "stopped by SIGTERM in epoch 1 after" in output.replace("\n", " ")
    assert "more attempts" in output.replace("\n", " ")
    (log,) = workdir.glob("logs/*/Trainer-sequential.log")
    assert log.read_text().count("Starting executor") == 2
    assert not (workdir / "state").exists()


def test_a_model_that_is_left_out_costs_no_time_and_is_in_no_comparison(
    through_the_file: tuple[pathlib.Path, str],
) -> None:
    workdir, output = through_the_file
    found = comparison(workdir)
    assert [m["name"] for m in found["models"]] == ["sequential"]
    left_out = {k: s for k, s in found["node_seconds"].items() if k.endswith("-vgg16")}
    assert len(left_out) == 4
    assert max(left_out.values()) < 3
    assert len(states(output)) == 18
