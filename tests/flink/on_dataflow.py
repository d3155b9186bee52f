"""The jobs that Dataflow would be sent, built without a cloud while the graph runs in memory."""

import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

JOBS = 3  # of MnistExampleGen, StatisticsGen and Evaluator; nothing is analysed in Transform
IMAGE = "registry.example.com/mnist-tfx:0.1.0"


def arguments(text: str) -> list[str]:
    """Returns the lines of docs/dataflow.args."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def run(workdir: pathlib.Path, *beam_args: str) -> subprocess.CompletedProcess[str]:
    options = ("--profile", "smoke", "--models", "sequential", "--workdir", str(workdir))
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "run", *options, "--", *beam_args],
        capture_output=True,
        text=True,
        timeout=600,
    )


def as_rehearsal(found: list[str]) -> list[str]:
    return [a.replace("=DataflowRunner", "=pipeline.dataflow.RehearsalRunner") for a in found]


@pytest.fixture(scope="module")
def given() -> list[str]:
    file = pathlib.Path(__file__).parents[2] / "docs" / "dataflow.args"
    return as_rehearsal(arguments(file.read_text()))


@pytest.fixture(scope="module")
def jobs(given: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """The jobs of a run with the arguments that the documentation gives."""
    folder = tmp_path_factory.mktemp("dataflow")
    done = run(folder / "w", *given, f"--rehearsal_folder={folder / 'jobs'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((folder / "w/report/comparison.json").read_text())["blessed"]
    return [json.loads(file.read_text()) for file in sorted((folder / "jobs").glob("*.json"))]


def test_every_beam_node_of_the_graph_becomes_a_job(jobs: list[dict]) -> None:
    assert len(jobs) == JOBS
    assert {job["type"] for job in jobs} == {"JOB_TYPE_BATCH"}
    assert len({job["name"] for job in jobs}) == JOBS


def test_workers_are_our_image(jobs: list[dict]) -> None:
    for job in jobs:
        (pool,) = job["environment"]["workerPools"]
        (harness,) = pool["sdkHarnessContainerImages"]
        assert harness["containerImage"] == IMAGE


def test_jobs_say_which_project_bucket_and_node(jobs: list[dict]) -> None:
    options = [job["environment"]["sdkPipelineOptions"]["options"] for job in jobs]
    assert {o["project"] for o in options} == {"example-project"}
    assert {o["region"] for o in options} == {"europe-west4"}
    assert all(o["temp_location"].startswith("gs://example-bucket/") for o in options)
    executors = [label for o in options for label in o["labels"] if "tfx_executor" in label]
    assert len(executors) == JOBS
    assert all("tfx" in o["beam_plugins"] for o in options)


def test_options_that_dataflow_refuses_are_named_and_nothing_is_written(
    given: list[str], tmp_path: pathlib.Path
) -> None:
    without = [a for a in given if not a.startswith(("--project", "--temp_location"))]
    done = run(tmp_path / "w", *without, f"--rehearsal_folder={tmp_path / 'jobs'}")
    assert done.returncode == 1
    words = " ".join(done.stdout.split())
    assert "MnistExampleGen failed: expected options that Dataflow takes; Missing GCS path" in words
    assert "option: temp_location; " in words
    assert "Missing required option: project" in words
    assert not (tmp_path / "jobs").exists()
