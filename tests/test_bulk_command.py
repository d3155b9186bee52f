"""Wrong calls of `bulk` as a user makes them: words, exit codes, and that nothing heavy is done."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components.data import to_idx_bytes
from pipeline.beam_arguments import IN_MEMORY, beam_arguments

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"tensorflow", "tfx", "apache_beam", "keras", "ml_metadata"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with inputs and a version that is complete by its files' names."""
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "images").write_bytes(to_idx_bytes(np.zeros((3, 28, 28), np.uint8)))
    (tmp_path / "torn").write_bytes((tmp_path / "idx" / "images").read_bytes()[:-1])
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "images").write_bytes((tmp_path / "idx" / "images").read_bytes())
    (tmp_path / "mixed" / "one.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "models" / "7").mkdir(parents=True)
    (tmp_path / "models" / "7" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("words")
    return tmp_path


def call(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Calls the program in a folder; Python lists on standard error what it imports."""
    command = [sys.executable, "-X", "importtime", "-m", "pipeline", "bulk", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, env=environment
    )


def words_of(done: "subprocess.CompletedProcess[str]") -> str:
    return "".join(
        line for line in done.stderr.splitlines(True) if not line.startswith("import time:")
    )


MODELS = ("--model-dir", "models")
NO_ENGINE = "--job_endpoint=127.0.0.1:1"  # a port that nothing listens on


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["no", "--output", "out", *MODELS],
            2,
            r"expected a file, or a folder, .*/no is not there",
        ),
        (["empty", "--output", "out", *MODELS], 2, "there are none: name another input"),
        (["mixed", "--output", "out", *MODELS], 2, "found 1 of IDX and 1 of PNG: put them into"),
        (
            ["idx", "--output", "out"],
            2,
            r"expected a pushed version in .*/runs/mnist/serving/mnist",
        ),
        (
            ["idx", "--output", "out", *MODELS, "--model-version", "9"],
            2,
            r"expected --model-version of 7 in .*/models; got 9",
        ),
        (
            ["idx", "--output", "mine", *MODELS],
            2,
            "mine holds thesis.tex and no manifest.json: nam",
        ),
        (["idx", "--output", "idx/out", *MODELS], 2, "expected --output beside the input"),
        (["idx", "--output", ".", *MODELS], 2, "expected --output beside the input"),
        (["idx", "--output", "out", *MODELS, "--prepare"], 2, "expected PNGs to --prepare in"),
        (["idx", "--output", "out", *MODELS, "--max-bad", "2"], 2, "2.0 is not in the range"),
        (["idx", *MODELS], 2, "Missing option '--output'"),
        (
            ["idx", "--output", "out", *MODELS, "--", "--runner=FlinkRunner", "--job_endpoint=x:y"],
            2,
            "expected --job_endpoint=HOST:PORT, of a Beam job server; got 'x:y'",
        ),
        (
            [*("idx", "--output", "out", *MODELS, "--", "--runner=FlinkRunner"), NO_ENGINE],
            2,
            "expected a Beam job server at --job_endpoint=127.0.0.1:1; nothing answers there",
        ),
        (
            ["idx", "--output", "out", *MODELS, "--", "--direct_num_workers=2"],
            2,
            "expected --direct_running_mode=multi_processing with --direct_num_workers=2; in_mem",
        ),
        (["torn", "--output", "out", *MODELS], 1, r"torn: expected a whole IDX file .*: fetch it"),
        (
            ["idx", "--output", "mine/thesis.tex/out", *MODELS],
            1,
            r"expected to read idx and to write .*/out; .* Not a directory: .*: see to it",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_heavy_and_leaves_nothing(
    folder: Path, arguments: list[str], code: int, words: str
) -> None:
    before = sorted(folder.rglob("*"))
    done = call(folder, *arguments)
    assert re.search(words, words_of(done)), words_of(done)
    assert done.returncode == code
    names = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "pipeline.bulk_command" in names
    assert not {name.split(".")[0] for name in names} & HEAVY
    assert sorted(folder.rglob("*")) == before


def test_the_runner_of_this_process_is_beams_own_unless_another_is_named() -> None:
    """`DirectRunner` would download a program, Prism, where it can."""
    assert beam_arguments(()) == IN_MEMORY
    two = "--direct_num_workers=2"
    assert beam_arguments(("--runner=DirectRunner", two)) == (*IN_MEMORY, two)
    flink = ("--runner=FlinkRunner", "--flink_master=localhost:8081")
    assert beam_arguments(flink) == flink
