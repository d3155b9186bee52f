"""One model through the graph: other data, a kill in the middle, a node that fails."""

import gzip
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from components import data, versions
from tests.graph.runs import PROGRAM, SMOKE, comparison, smoke, states

pytestmark = pytest.mark.slow

DATA_NODES = ("CommittedSchema", "MnistExampleGen", "StatisticsGen", "StrictExampleValidator")


def idx_folder(folder: pathlib.Path, raw: data.RawData) -> pathlib.Path:
    """Writes a data set as the four IDX files, one of them as gzip."""
    folder.mkdir()
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    arrays = (raw.train_images, raw.train_labels, raw.test_images, raw.test_labels)
    for name, array in zip(names, arrays, strict=True):
        (folder / f"{name}-ubyte").write_bytes(data.to_idx_bytes(array))
    packed = folder / "t10k-labels-idx1-ubyte"
    packed.with_name(packed.name + ".gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    return folder


def cut(raw: data.RawData, train: int, test: int) -> data.RawData:
    return data.RawData(
        raw.train_images[:train].copy(),
        raw.train_labels[:train].copy(),
        raw.test_images[:test].copy(),
        raw.test_labels[:test].copy(),
    )


@pytest.fixture
def workdir(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "workdir"


def test_data_decides_what_runs_again_and_a_bad_model_is_not_pushed(
    workdir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    raw = cut(data.load(""), 800, 200)
    folder = idx_folder(tmp_path / "idx", raw)
    first = smoke(workdir, "--data", str(folder))
    assert first.returncode == 0, first.stdout
    pushed = comparison(workdir)["pushed_version"]

    for file in folder.iterdir():
        os.utime(file, (1, 1))
    touched = smoke(workdir, "--data", str(folder))
    assert set(states(touched.stdout).values()) == {"cached"}

    shuffled = np.random.default_rng(1).permutation(raw.train_labels)
    mixed_up = data.RawData(raw.train_images, shuffled, raw.test_images, raw.test_labels)
    shutil.rmtree(folder)
    idx_folder(folder, mixed_up)
    changed = smoke(workdir, "--data", str(folder))
    assert changed.returncode == 3, changed.stdout
    assert states(changed.stdout)["CommittedSchema"] == "cached"
    assert states(changed.stdout)["MnistExampleGen"] == "done"
    assert comparison(workdir)["pushed_version"] is None
    assert "below the floor" in comparison(workdir)["reason"]
    assert versions.versions(workdir / "serving" / "mnist") == [pushed]


def test_a_run_killed_while_it_trains_goes_on_and_reuses_what_was_done(
    workdir: pathlib.Path,
) -> None:
    command = [*PROGRAM, *SMOKE, "--workdir", str(workdir), "--models", "sequential"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Tuner.sequential" in line:
                break
        busy = subprocess.run(command, capture_output=True, text=True, timeout=120)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
    assert busy.returncode == 2
    assert f"in use by another run (process {process.pid})" in busy.stdout.replace("\n", " ")
    assert not versions.versions(workdir / "serving" / "mnist")

    again = smoke(workdir)
    assert again.returncode == 0, again.stdout
    found = states(again.stdout)
    reused = {node for node, state in found.items() if state == "cached"}
    assert reused >= {*DATA_NODES, "Transform.sequential", "Tuner.sequential"}
    assert comparison(workdir)["pushed_version"]
    half_written = [
        p for p in (workdir / "artifacts").glob("Trainer.*/model/*") if not any(p.iterdir())
    ]
    assert half_written == []


def test_a_failed_node_is_named_and_the_next_run_goes_on_from_it(workdir: pathlib.Path) -> None:
    serving = workdir / "serving" / "mnist"
    serving.parent.mkdir(parents=True)
    serving.write_text("in the way")
    failed = smoke(workdir)
    assert failed.returncode == 1, failed.stdout
    assert states(failed.stdout)["VersionPusher"] == "failed"
    assert "VersionPusher failed: " in failed.stdout
    (log,) = (workdir / "logs").iterdir()
    assert str(log) in failed.stdout
    assert "FileExistsError" in log.read_text()
    assert not (workdir / "report" / "comparison.json").exists()

    serving.unlink()
    mended = smoke(workdir)
    assert mended.returncode == 0, mended.stdout
    done = {n for n, s in states(mended.stdout).items() if s == "done"}
    assert done == {"VersionPusher", "Report"}
    first = comparison(workdir)["pushed_version"]

    shutil.rmtree(serving / str(first))
    again = smoke(workdir)
    assert again.returncode == 0, again.stdout
    assert states(again.stdout)["Trainer.sequential"] == "cached"
    assert comparison(workdir)["pushed_version"] >= first
    assert versions.versions(serving) == [comparison(workdir)["pushed_version"]]
