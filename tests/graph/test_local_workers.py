"""Beam's jobs in several processes on this machine: every data node, and a worker's end."""

import os
import pathlib
import signal

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from components import data
from components.training.dataset import read_split
from pipeline import engines
from pipeline.beam_arguments import beam_arguments
from pipeline.profiles import PROFILES
from tests.graph.runs import comparison, smoke, states

pytestmark = pytest.mark.slow

TWO = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
BEAM_NODES = ("MnistExampleGen", "StatisticsGen", "Evaluator.sequential")


def test_beam_dag_runner_runs_the_graph_and_every_data_node_in_two_processes(
    tmp_path: pathlib.Path,
) -> None:
    done = smoke(tmp_path, "--dag-runner", "beam", "--", *TWO)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(states(done.stdout).values()) == {"done"}
    (log,) = (tmp_path / "logs").iterdir()
    assert log.read_text().count("Logging handler created") == 2 * len(BEAM_NODES)
    (examples,) = (tmp_path / "artifacts" / "MnistExampleGen" / "examples").iterdir()
    expected = data.split(data.load(""), *PROFILES["smoke"].images.values())
    for name, (images, labels) in expected.items():
        found = read_split(f"{examples}/Split-{name}/*")
        np.testing.assert_array_equal(found.images, images)
        np.testing.assert_array_equal(found.labels, labels)
    compared = comparison(tmp_path)
    assert (compared["winner"], compared["blessed"]) == ("sequential", True)
    assert compared["pushed_version"]


def kill_all_workers() -> None:
    options = PipelineOptions(engines.complete(beam_arguments(TWO)))
    with beam.Pipeline(options=options) as root:
        numbers = root | beam.Create(range(8)) | beam.Reshuffle()
        _ = numbers | beam.Map(lambda number: os.kill(os.getpid(), signal.SIGKILL))


# Threads of Beam's read from the worker that is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_is_killed_fails_the_job_with_words() -> None:
    with pytest.raises(RuntimeError, match="expected a worker of Beam to go on; .* return code"):
        kill_all_workers()
