"""The parts and the folder that `bulk` writes, and the model that it chooses; no TensorFlow."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from components.bulk import parts
from components.bulk.parts import Outcome, Output
from components.bulk.pieces import PNG, TFRECORD, Bad, Piece
from pipeline import bulk_output
from pipeline.bulk_model import choose
from pipeline.wrong_call import WrongCall

PROBABILITIES = np.eye(10, dtype=np.float32)[[7, 3, 3]] * np.float32(0.9) + np.float32(0.01)
PIECE = Piece(1, TFRECORD, ("a/b",), 40, 5, 999)
OUTCOME = Outcome(PIECE, np.array([0, 2, 3]), PROBABILITIES, (Bad(1, "why"), Bad(4, "so")), 1.5)


@pytest.fixture(params=[parts.PARQUET, parts.JSON_LINES])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    return Output(tmp_path, request.param, 3, "17")


def test_a_part_has_a_row_for_each_digit(output: Output) -> None:
    parts.write(OUTCOME, output)
    file = output.part(1)
    assert file.name == f"part-00001-of-00003.{output.format}"
    if output.format == parts.PARQUET:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    else:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["source"], row["index"], row["digit"]) for row in rows] == [
        ("a/b", 40, 7),
        ("a/b", 42, 3),
        ("a/b", 43, 3),
    ]
    assert {row["model_version"] for row in rows} == {"17"}
    np.testing.assert_array_equal(np.float32([row["probabilities"] for row in rows]), PROBABILITIES)


def test_bad_records_lie_beside_it(output: Output) -> None:
    parts.write(OUTCOME, output)
    lines = output.bad(1).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"source": "a/b", "index": 41, "reason": "why"},
        {"source": "a/b", "index": 44, "reason": "so"},
    ]


def test_a_part_of_bad_records_alone_is_a_part(output: Output) -> None:
    none = np.empty(0, np.int64), np.empty((0, 10), np.float32)
    piece = Piece(0, PNG, ("x.png",), 0, 1, 0)
    parts.write(Outcome(piece, *none, (Bad(0, "why"),), 0.0), output)
    marker = parts.done(output, 0)
    assert marker is not None
    assert (marker["records"], marker["bad"], marker["digits"]) == (1, 1, [0] * 10)
    assert marker["first_bad"] == ["x.png", 0, "why"]


def test_a_part_is_done_when_all_of_it_is_there(output: Output) -> None:
    assert parts.done(output, 1) is None
    parts.write(OUTCOME, output)
    assert parts.done(output, 1) is not None
    assert parts.done(output, 0) is None
    content = output.part(1).read_bytes()
    output.part(1).write_bytes(content[:-1])
    assert parts.done(output, 1) is None
    output.part(1).write_bytes(content)
    output.bad(1).unlink()
    assert parts.done(output, 1) is None


@pytest.mark.parametrize("damaged", ["", "[]", "{}"])
def test_a_damaged_marker_counts_as_none(output: Output, damaged: str) -> None:
    parts.write(OUTCOME, output)
    output.marker(1).write_text(damaged)
    assert parts.done(output, 1) is None


def test_what_is_written_twice_is_there_once(output: Output) -> None:
    parts.write(OUTCOME, output)
    before = {f: f.read_bytes() for f in (output.part(1), output.bad(1))}
    parts.write(OUTCOME, output)
    assert {f: f.read_bytes() for f in before} == before
    assert len([f for f in output.folder.rglob("*") if f.is_file()]) == 3


def test_a_disk_that_refuses_leaves_nothing(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        parts.write(OUTCOME, output)
    assert [f for f in output.folder.rglob("*") if f.is_file()] == []


def test_leftovers_of_a_killed_run_are_swept(output: Output) -> None:
    parts.write(OUTCOME, output)
    (output.folder / "predictions" / ".incoming-1").write_text("half")
    parts.sweep(output.folder)
    assert [f.name for f in (output.folder / "predictions").iterdir()] == [output.part(1).name]


def test_a_folder_is_held_by_one_run(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with bulk_output.claimed(folder):
        with (
            pytest.raises(WrongCall, match=f"{folder} is in use by another run: wait until"),
            bulk_output.claimed(folder),
        ):
            pass
        assert folder.exists()


def test_a_folder_in_which_nothing_came_goes_again(tmp_path: Path) -> None:
    with bulk_output.claimed(tmp_path / "out"):
        (tmp_path / "out" / bulk_output.LOG).write_text("words")
    assert list(tmp_path.iterdir()) == []
    with bulk_output.claimed(tmp_path / "out"):
        bulk_output.begin(tmp_path / "out", {"input": "x"})
    assert (tmp_path / "out" / bulk_output.MANIFEST).exists()


def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    words = f"expected a new folder, .*; {tmp_path} holds thesis.tex and no manifest.json: name ano"
    with pytest.raises(WrongCall, match=words), bulk_output.claimed(tmp_path):
        pass
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.tex"]


WANTED = {
    "input": "/in",
    "input_sha256": "a1",
    "model": "/m/5",
    "model_version": "5",
    "model_sha256": "b1",
    "format": "parquet",
    "prepare": False,
}


def test_the_same_again_agrees(tmp_path: Path) -> None:
    assert not bulk_output.agree(tmp_path, WANTED)
    bulk_output.begin(tmp_path, WANTED)
    assert bulk_output.agree(tmp_path, WANTED)
    assert bulk_output.agree(tmp_path, {**WANTED, "input": "/moved", "model": "/moved/5"})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"input": "/other", "input_sha256": "a2"}, "of another input, /in"),
        ({"input_sha256": "a2"}, "of another input, /in as it was before"),
        ({"model_sha256": "b2"}, "by another model, version 5"),
        ({"format": "jsonl"}, "with format parquet"),
        ({"prepare": True}, "with prepare False"),
    ],
)
def test_another_prediction_does_not(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    bulk_output.begin(tmp_path, WANTED)
    with pytest.raises(WrongCall) as raised:
        bulk_output.agree(tmp_path, {**WANTED, **changed})
    assert str(raised.value) == (
        f"expected in {tmp_path} predictions for the same input, model and options; it has those "
        f"{words}: name another --output, or remove this one"
    )


def test_a_folder_goes_on_with_the_version_that_it_was_begun_with(tmp_path: Path) -> None:
    base, out = versions(tmp_path / "mnist", 3, 12), tmp_path / "out"
    out.mkdir()
    assert bulk_output.version_of(out, base) is None
    bulk_output.begin(out, {**WANTED, "model": str(base / "3")})
    assert bulk_output.version_of(out, base) == 3
    assert bulk_output.version_of(out, tmp_path / "another") is None
    (base / "3" / "saved_model.pb").unlink()
    (base / "3").rmdir()
    assert bulk_output.version_of(out, base) is None


def test_a_manifest_that_a_killed_run_did_not_finish_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".manifest.json.123").write_text("{")
    with bulk_output.claimed(tmp_path):
        bulk_output.begin(tmp_path, WANTED)
    assert bulk_output.agree(tmp_path, WANTED)


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / bulk_output.MANIFEST).write_text(content)
    words = f"expected a whole {tmp_path}/manifest.json; it is damaged: name another --output"
    with pytest.raises(WrongCall, match=words):
        bulk_output.agree(tmp_path, WANTED)


def versions(base: Path, *numbers: int) -> Path:
    for number in numbers:
        (base / str(number)).mkdir(parents=True)
        (base / str(number) / "saved_model.pb").write_bytes(b"")
    return base


def test_the_newest_version_is_chosen_unless_another_is_promoted(tmp_path: Path) -> None:
    from serving.server_state import Server
    from serving.version_commands import promote_version

    base = versions(tmp_path / "mnist", 3, 12, 5)
    assert choose(base, None).version == "12"
    assert choose(base, 5).folder == base / "5"
    assert promote_version(base, "3", server=Server("http://127.0.0.1:1")) == 0
    assert choose(base, None).version == "3"
    assert choose(base / "12", None).folder == base / "12"


@pytest.mark.parametrize(
    ("path", "version", "words"),
    [
        ("none", None, "expected a pushed version in .*/none; there is none: `mnist-tfx run` push"),
        ("mnist", 4, "expected --model-version of 3, 5 in .*/mnist; got 4"),
        ("mnist/3", 5, "expected no --model-version, since .*/mnist/3 is one model; got 5"),
    ],
)
def test_a_version_that_is_not_there_is_a_wrong_call(
    tmp_path: Path, path: str, version: int | None, words: str
) -> None:
    versions(tmp_path / "mnist", 3, 5)
    with pytest.raises(WrongCall, match=words):
        choose(tmp_path / path, version)


def test_a_configuration_that_is_damaged_is_a_wrong_call(tmp_path: Path) -> None:
    versions(tmp_path / "mnist", 3)
    (tmp_path / "models.config").write_text("not that")
    with pytest.raises(WrongCall, match=r"expected a ModelServerConfig in text form; .*: mend it"):
        choose(tmp_path / "mnist", None)
