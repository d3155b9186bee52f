"""The smoke profile with its Beam jobs on a Flink cluster of several processes; `make test-flink`.

The file's name keeps it out of `make test`: it needs Java and what `python -m pipeline.flink fetch`
brings. FLINK_FOLDER names the folder with that, runs/flink by default.
"""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pyarrow.dataset
import pytest

from components import data, versions
from components.training.dataset import read_split
from pipeline.flink import cluster as clusters
from pipeline.flink import state
from pipeline.flink.fetch import fetched
from pipeline.flink.listening import overview
from pipeline.flink.settings import ClusterSettings
from tests.ended import ended

pytestmark = pytest.mark.slow

FOLDER = pathlib.Path(os.environ.get("FLINK_FOLDER", "runs/flink"))
PROGRAM = (sys.executable, "-m", "pipeline")
SMOKE = ("--profile", "smoke", "--models", "sequential")
RUN_SECONDS = 1_800  # 5 minutes where nothing else runs
JOBS = 3  # of MnistExampleGen, StatisticsGen and the Evaluator
SPLITS = {"train": 512, "eval": 128, "test": 200}


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run that ended."""

    workdir: pathlib.Path
    output: str
    code: int

    @property
    def comparison(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.workdir / "report/comparison.json").read_text())
        return found

    def artifact(self, node: str, output: str) -> pathlib.Path:
        """Returns the newest output of a node."""
        found = (self.workdir / "artifacts" / node / output).iterdir()
        return max(found, key=lambda at: int(at.name))


def run(workdir: pathlib.Path, *words: str) -> Finished:
    command = [*PROGRAM, "run", *SMOKE, "--workdir", str(workdir), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS)
    return Finished(workdir, done.stdout + done.stderr, done.returncode)


def start_run(cluster: state.Cluster, workdir: pathlib.Path) -> "subprocess.Popen[str]":
    """Starts a run with every Beam job on a cluster."""
    command = [*PROGRAM, "run", *SMOKE, "--workdir", str(workdir), "--", *cluster.beam_args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[state.Cluster]:
    """Two task managers with two slots each."""
    folder = tmp_path_factory.mktemp("flink")
    yield clusters.start(folder, fetched(FOLDER), ClusterSettings())
    clusters.stop(folder)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run in memory."""
    finished = run(tmp_path_factory.mktemp("here"))
    assert finished.code == 0, finished.output
    return finished


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, cluster: state.Cluster) -> Finished:
    """The same run with every Beam job on the cluster."""
    before = overview(cluster.rest)["jobs-finished"]
    finished = run(tmp_path_factory.mktemp("there"), "--", *cluster.beam_args)
    assert finished.code == 0, finished.output
    assert overview(cluster.rest)["jobs-finished"] == before + JOBS
    return finished


def worker_starts(cluster: state.Cluster) -> dict[str, int]:
    """Returns how many Python workers each task manager has had so far."""
    logs = (cluster.folder / "log").glob("taskmanager-*.log")
    return {log.stem: log.read_text().count("Python sdk harness starting") for log in logs}


def statistics(finished: Finished, split: str) -> dict[str, Any]:
    """Returns the statistics of a split, flat: exact counts, and what sketches estimate."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    file = finished.artifact("StatisticsGen", "statistics") / f"Split-{split}/FeatureStats.pb"
    (found,) = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets
    flat: dict[str, Any] = {"examples": found.num_examples}
    for feature in found.features:
        name = ".".join(feature.path.step)
        kind = feature.WhichOneof("stats")
        stats = getattr(feature, kind)
        flat[f"{name}: present"] = stats.common_stats.num_non_missing
        for number in ("mean", "std_dev", "min", "max", "num_zeros", "avg_num_bytes", "unique"):
            if hasattr(stats, number):
                flat[f"{name}: {number}"] = getattr(stats, number)
    return flat


def metrics(finished: Finished) -> dict[str, float]:
    """Returns what the Evaluator measured, by slice and name."""
    import tensorflow_model_analysis as tfma

    at = finished.artifact("Evaluator.sequential", "evaluation")
    found: dict[str, float] = {}
    for result in tfma.load_metrics(str(at)):
        part = "".join(f"{k.column}={k.int64_value}" for k in result.slice_key.single_slice_keys)
        for metric in result.metric_keys_and_values:
            if metric.value.WhichOneof("type") == "double_value":
                key = f"{part}/{metric.key.model_name}/{metric.key.name}"
                found[key] = metric.value.double_value.value
    return found


def check_splits(found: Finished, expected: Finished) -> None:
    for split, count in SPLITS.items():
        one, other = (
            read_split(f"{f.artifact('MnistExampleGen', 'examples')}/Split-{split}/*")
            for f in (found, expected)
        )
        assert len(one.labels) == count
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert found.comparison["data"] == expected.comparison["data"]


def test_the_same_splits(here: Finished, there: Finished) -> None:
    check_splits(there, here)


def test_the_same_statistics(here: Finished, there: Finished) -> None:
    for split, count in SPLITS.items():
        found, expected = statistics(there, split), statistics(here, split)
        assert found == pytest.approx(expected, rel=1e-6)
        assert found["examples"] == count


def test_the_same_winner(here: Finished, there: Finished) -> None:
    for finished in (here, there):
        found = finished.comparison
        assert (found["winner"], found["blessed"]) == ("sequential", True)
        assert versions.versions(finished.workdir / "serving" / "mnist") == [
            found["pushed_version"]
        ]


def test_workers_were_processes_of_both_task_managers(
    cluster: state.Cluster, there: Finished
) -> None:
    assert min(worker_starts(cluster).values()) > 0
    assert len(worker_starts(cluster)) == 2


def test_one_node_alone_on_the_cluster_measures_the_same(
    here: Finished, cluster: state.Cluster, tmp_path: pathlib.Path
) -> None:
    """The same model, evaluated again on Flink; the training is not repeated."""
    before, jobs = metrics(here), overview(cluster.rest)["jobs-finished"]
    assert before
    arguments = " ".join(cluster.beam_args)
    again = run(here.workdir, "--node-beam-args", f"Evaluator.sequential={arguments}")
    assert again.code == 0, again.output
    states = {w[1]: w[0] for line in again.output.splitlines() if len(w := line.split()) > 2}
    assert (states["Trainer.sequential"], states["Evaluator.sequential"]) == ("cached", "done")
    assert overview(cluster.rest)["jobs-finished"] == jobs + 1
    after = metrics(again)
    assert after.keys() == before.keys()
    assert after == pytest.approx(before, rel=1e-6, nan_ok=True)
    assert again.comparison["winner"] == "sequential"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """All digits of `test` as an IDX file."""
    file = tmp_path_factory.mktemp("digits") / "images"
    file.write_bytes(data.to_idx_bytes(data.load("").test_images))
    return file


def bulk_command(digits: pathlib.Path, here: Finished, output: pathlib.Path) -> list[str]:
    options = ("--output", str(output), "--workdir", str(here.workdir), "--shard-size", "100")
    return [*PROGRAM, "bulk", str(digits), *options]


@pytest.fixture(scope="module")
def rows_in_memory(
    digits: pathlib.Path, here: Finished, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    output = tmp_path_factory.mktemp("bulk") / "out"
    subprocess.run(bulk_command(digits, here, output), check=True, timeout=RUN_SECONDS)
    return rows_of(output)


def rows_of(output: pathlib.Path) -> list[dict[str, Any]]:
    return pyarrow.dataset.dataset(output / "predictions").to_table().to_pylist()


def check_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [(row["source"], row["index"]) for row in found] == [("images", n) for n in range(10000)]
    for name in ("digit", "model_version"):
        assert [row[name] for row in found] == [row[name] for row in expected]
    probabilities = ([row["probabilities"] for row in rows] for rows in (found, expected))
    np.testing.assert_allclose(*probabilities, atol=1e-6)


def test_a_bulk_prediction_has_the_same_rows(
    command: list[str],
    output: pathlib.Path,
    cluster: state.Cluster,
    rows_in_memory: list[dict[str, Any]],
) -> None:
    before = worker_starts(cluster)
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    check_rows(rows_of(output), rows_in_memory)
    assert worker_starts(cluster) != before


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "out"


@pytest.fixture
def command(
    digits: pathlib.Path, here: Finished, cluster: state.Cluster, output: pathlib.Path
) -> list[str]:
    """A bulk prediction on the cluster."""
    return [*bulk_command(digits, here, output), "--", *cluster.beam_args]


def wait_for_a_part(output: pathlib.Path, run: "subprocess.Popen[bytes]") -> dict[str, int]:
    """Returns the times of the first parts that are done, by name."""
    while run.poll() is None:
        if markers := list((output / ".parts").glob("part-*")):
            return {marker.name: marker.stat().st_mtime_ns for marker in markers}
        time.sleep(0.05)
    raise AssertionError("the run ended before a part was done")


def test_a_bulk_prediction_that_was_killed_goes_on_and_has_each_row_once(
    command: list[str], output: pathlib.Path, rows_in_memory: list[dict[str, Any]]
) -> None:
    """What runs on the cluster meanwhile does not know that nobody waits for it any more."""
    with subprocess.Popen(command) as killed:
        before = wait_for_a_part(output, killed)
        killed.kill()
    subprocess.run(command, check=True, timeout=RUN_SECONDS)
    check_rows(rows_of(output), rows_in_memory)
    assert json.loads((output / "summary.json").read_text())["parts_before"] >= len(before)
    after = {name: (output / ".parts" / name).stat().st_mtime_ns for name in before}
    assert after == before


def test_a_bulk_prediction_whose_workers_were_killed_has_each_row_once_when_it_is_done(
    command: list[str],
    output: pathlib.Path,
    cluster: state.Cluster,
    rows_in_memory: list[dict[str, Any]],
) -> None:
    with subprocess.Popen(command) as run_:
        wait_for_a_part(output, run_)
        managers = [p.find() for n, p in cluster.processes.items() if n.startswith("taskmanager")]
        workers = [child for m in managers if m for child in m.children(recursive=True)]
        for worker in workers:
            worker.kill()
        code = run_.wait(RUN_SECONDS)
    assert workers
    if code:  # Beam's runner keeps a worker that is gone while Flink starts the job again
        subprocess.run(command, check=True, timeout=RUN_SECONDS)
    check_rows(rows_of(output), rows_in_memory)
    assert not list((output / "predictions").glob(".incoming-*"))


@pytest.fixture
def heeded() -> Iterator[None]:
    """Python's own answer to SIGINT, which a shell's job in the background begins without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_a_bulk_prediction_that_is_stopped_leaves_no_job_behind(
    command: list[str], output: pathlib.Path, cluster: state.Cluster
) -> None:
    with subprocess.Popen(command) as stopped:
        wait_for_a_part(output, stopped)
        stopped.send_signal(signal.SIGINT)
        assert stopped.wait(RUN_SECONDS) == 130
    end = time.monotonic() + 60
    while jobs_that_run(cluster) and time.monotonic() < end:
        time.sleep(0.5)
    assert not jobs_that_run(cluster)


def test_a_run_that_is_stopped_leaves_no_job_behind_and_nothing_half_written(
    cluster: state.Cluster, tmp_path: pathlib.Path
) -> None:
    with start_run(cluster, tmp_path) as stopped:
        while stopped.poll() is None and not jobs_that_run(cluster):
            time.sleep(0.1)
        stopped.send_signal(signal.SIGTERM)
        output, _ = stopped.communicate(timeout=RUN_SECONDS)
    assert stopped.returncode == 130, output
    assert "Stopped. The next run goes on from what is done." in output
    end = time.monotonic() + 60
    while jobs_that_run(cluster) and time.monotonic() < end:
        time.sleep(0.5)
    assert not jobs_that_run(cluster)
    assert not (tmp_path / "report" / "comparison.json").exists()


def jobs_that_run(cluster: state.Cluster) -> int:
    found = overview(cluster.rest)["jobs-running"]
    assert isinstance(found, int)
    return found


def test_the_words_of_a_worker_that_cannot_go_on_are_shown(
    command: list[str], output: pathlib.Path
) -> None:
    blocked = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while blocked.poll() is None and not (output / "manifest.json").exists():
        time.sleep(0.01)
    (output / "predictions").write_text("no folder")
    assert blocked.wait(RUN_SECONDS) == 1
    assert blocked.stderr
    words = blocked.stderr.read()
    assert f"expected to write {output}/predictions/part-" in words
    assert "make room or see to the folder, then run the same command again" in words


def kill_a_task_manager_at_work(cluster: state.Cluster, run: subprocess.Popen[str]) -> str:
    """Kills the first task manager that has a worker; returns its name."""
    while run.poll() is None:
        for name in (n for n in cluster.processes if n.startswith("taskmanager")):
            process = cluster.processes[name].find()
            if process and process.children(recursive=True):
                process.kill()
                return name
        time.sleep(0.1)
    raise AssertionError("the run ended before a worker started")


def test_a_job_goes_on_after_a_task_manager_was_killed(
    tmp_path_factory: pytest.TempPathFactory, here: Finished
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    cluster = clusters.start(folder, fetched(FOLDER), ClusterSettings())
    try:
        workdir = folder / "workdir"
        with start_run(cluster, workdir) as run_:
            killed = kill_a_task_manager_at_work(cluster, run_)
            output, _ = run_.communicate(timeout=RUN_SECONDS)
        assert run_.returncode == 0, output
        assert not cluster.running()[killed]
        log = (cluster.folder / "log" / "jobmanager.log").read_text()
        assert "switched from state RUNNING to RESTARTING" in log
        check_splits(Finished(workdir, output, 0), here)
    finally:
        clusters.stop(folder)


def test_a_node_fails_with_words_where_no_task_manager_is_left_and_the_next_run_goes_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("lost")
    settings = ClusterSettings(task_managers=1, slot_seconds=5, restarts=1)
    cluster = clusters.start(folder, fetched(FOLDER), settings)
    workdir = folder / "workdir"
    try:
        with start_run(cluster, workdir) as run_:
            kill_a_task_manager_at_work(cluster, run_)
            output, _ = run_.communicate(timeout=RUN_SECONDS)
        assert run_.returncode == 1, output
        (words,) = [line for line in output.splitlines() if "MnistExampleGen failed: " in line]
        assert re.search(r"failed: \w+Exception\b.*", words), words
        assert "\tat " not in output
        assert not list((workdir / "artifacts" / "MnistExampleGen" / "examples").glob("*"))
    finally:
        clusters.stop(folder)
    clusters.start(folder, fetched(FOLDER), ClusterSettings())
    try:
        after = run(workdir, "--", *cluster.beam_args)
        assert after.code == 0, after.output
    finally:
        clusters.stop(folder)


def test_two_runs_share_a_cluster(cluster: state.Cluster, tmp_path: pathlib.Path) -> None:
    ended = two_runs(cluster, tmp_path)
    assert [code for code, _ in ended] == [0, 0], ended


def two_runs(cluster: state.Cluster, folder: pathlib.Path) -> list[tuple[int, str]]:
    """Returns the exit codes and outputs of two runs at once, the better code first."""
    runs = [start_run(cluster, folder / name) for name in ("a", "b")]
    outputs = [run_.communicate(timeout=2 * RUN_SECONDS)[0] for run_ in runs]
    return sorted(zip([run_.returncode for run_ in runs], outputs, strict=True))


def test_of_two_runs_on_one_slot_one_fails_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Each waits for less time than the other's jobs take."""
    folder = tmp_path_factory.mktemp("full")
    settings = ClusterSettings(task_managers=1, slots=1, slot_seconds=3)
    cluster = clusters.start(folder, fetched(FOLDER), settings)
    try:
        ended = two_runs(cluster, folder)
    finally:
        clusters.stop(folder)
    assert [code for code, _ in ended] == [0, 1], ended
    (words,) = [line for line in ended[1][1].splitlines() if " failed: " in line]
    assert words.endswith(
        "no task slot was free in time; wait for the other jobs, or start more task managers"
    )
    assert "\tat " not in ended[1][1]


def test_what_a_worker_cannot_write_is_said_in_a_sentence(
    cluster: state.Cluster, tmp_path: pathlib.Path
) -> None:
    """A file stands where a split's folder would be: to a worker like a disk that is full."""
    with start_run(cluster, tmp_path) as run_:
        outputs = tmp_path / "artifacts" / "MnistExampleGen" / "examples"
        while run_.poll() is None and not (found := [*outputs.glob("*")]):
            time.sleep(0.01)
        (found[0] / "Split-train").write_text("in the way")
        output, _ = run_.communicate(timeout=RUN_SECONDS)
    assert run_.returncode == 1, output
    (words,) = [line for line in output.splitlines() if "MnistExampleGen failed: " in line]
    assert "Split-train" in words
    assert words.endswith("(in a worker of Beam)")


def test_nothing_of_a_stopped_cluster_is_left(tmp_path: pathlib.Path) -> None:
    cluster = clusters.start(tmp_path, fetched(FOLDER), ClusterSettings(task_managers=1))
    processes = [psutil.Process(p.pid) for p in cluster.processes.values()]
    clusters.stop(tmp_path)
    assert not [p for p in processes if not ended(p)]
    shutil.rmtree(cluster.folder)
