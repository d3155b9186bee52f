"""The program as a user calls it, in a process of its own: exit codes, words, what is imported."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components.data import to_idx_bytes
from pipeline.workdir import Workdir, locked, write_json

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"tensorflow", "tfx", "apache_beam", "keras", "ml_metadata"}

ROW = {
    "name": "sequential",
    "params": 873_738,
    "input_shape": [28, 28, 1],
    "batch_size": 64,
    "learning_rate": 0.001,
    "train_images": 512,
    "epochs": 2,
    "train_seconds": 1.5,
    "eval_accuracy": 0.9,
    "test_accuracy": 0.9,
    "latency_ms": 1.2,
    "model_bytes": 3_500_000,
    "status": "winner",
}


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Calls the program; Python lists on standard error what it imports."""
    command = [sys.executable, "-X", "importtime", "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Returns the top-level packages that a call imported."""
    names = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "pipeline.cli" in names
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], "Commands: "),
        (["run", "--help"], "Exits with 0 when a model was blessed and pushed, 3 when"),
        (["--version"], "version 0."),
    ],
)
def test_help_answers_and_imports_nothing_heavy(arguments: list[str], words: str) -> None:
    done = call(*arguments)
    assert done.returncode == 0
    assert words in " ".join(done.stdout.split())
    assert not imported(done) & {*HEAVY, "numpy", "scipy", "rich"}


def test_an_unknown_profile_is_a_wrong_call() -> None:
    done = call("run", "--profile", "nope")
    assert done.returncode == 2
    assert "'nope' is not one of 'smoke', 'laptop', 'paper', 'gpu'" in done.stderr


@pytest.mark.parametrize("models", ["sequential,nope", ","])
def test_an_unknown_model_is_a_wrong_call_that_lists_those_there_are(
    models: str, tmp_path: Path
) -> None:
    workdir = tmp_path / "new"
    done = call("run", "--models", models, "--workdir", workdir)
    assert done.returncode == 2
    assert done.stdout == (
        "expected --models with names of sequential, alexnet, vgg16, alexnet-book; "
        f"got {models!r}\n"
    )
    assert not imported(done) & HEAVY
    assert not workdir.exists()


def test_data_that_do_not_exist_are_a_wrong_call(tmp_path: Path) -> None:
    workdir, missing = tmp_path / "new", tmp_path / "missing"
    done = call("run", "--data", missing, "--workdir", workdir)
    assert done.returncode == 2
    assert done.stdout == (f"expected a folder or an .npz file at --data; {missing} is not there\n")
    assert not imported(done) & HEAVY
    assert not workdir.exists()


def test_a_workdir_in_use_is_a_wrong_call_that_says_so(tmp_path: Path) -> None:
    workdir = Workdir.at(tmp_path)
    with locked(workdir):
        done = call("run", "--profile", "smoke", "--workdir", tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path} is in use by another run (process " in done.stdout
    assert not imported(done) & HEAVY


def test_a_report_without_a_run_is_a_wrong_call_that_says_what_to_do(tmp_path: Path) -> None:
    workdir = tmp_path / "in [red] brackets"
    done = call("report", "--workdir", workdir)
    assert done.returncode == 2
    assert done.stdout == (
        f"expected {workdir}/report/comparison.json; there is none: run `mnist-tfx run` first\n"
    )
    assert not imported(done) & HEAVY
    assert not workdir.exists()


def test_a_report_shows_the_models_and_the_reason_to_the_letter(tmp_path: Path) -> None:
    workdir = Workdir.at(tmp_path)
    workdir.open()
    reason = "most accurate [red]by far[/]"
    comparison = {"profile": "smoke", "models": [ROW], "winner": "sequential", "reason": reason}
    write_json(workdir.report / "comparison.json", comparison)
    done = call("report", "--workdir", tmp_path)
    assert done.returncode == 0
    assert "873,738" in done.stdout
    assert f"sequential: {reason}\n{workdir.report / 'comparison.json'}\n" in done.stdout
    assert done.stdout.endswith(f"{workdir.report / 'index.html'}\n")
    assert "missing" not in done.stdout
    assert not imported(done) & HEAVY


@pytest.mark.slow
def test_damaged_data_fail_the_run_by_the_files_name_and_leave_nothing(tmp_path: Path) -> None:
    folder, workdir = tmp_path / "data", Workdir.at(tmp_path / "workdir")
    folder.mkdir()
    images, labels = np.zeros((10, 28, 28), np.uint8), np.arange(10, dtype=np.uint8)
    for stem in ("train", "t10k"):
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(to_idx_bytes(images))
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(to_idx_bytes(labels))
    damaged = folder / "train-images-idx3-ubyte"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    done = call("run", "--profile", "smoke", "--data", folder, "--workdir", workdir.root)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{damaged}: expected ")
    assert "Traceback" not in done.stdout + done.stderr
    assert list(workdir.artifacts.iterdir()) == []
    assert not workdir.serving.exists()
