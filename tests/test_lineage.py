"""The command `lineage`, on ML Metadata that is written here as TFX writes it."""

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline import lineage, store
from pipeline.cli import main
from pipeline.workdir import Workdir
from tests.metadata import CACHED, FAILED, Recorder

SHA256 = "b2d8f5bf" * 8
ROW = {
    "name": "sequential",
    "input_shape": [28, 28, 1],
    "epochs": 2,
    "train_images": 48_000,
    "batch_size": 64,
    "learning_rate": 0.002,
    "eval_accuracy": 0.99,
    "eval_images": 12_000,
    "test_accuracy": 0.992,
    "test_images": 10_000,
    "trials": [{"trial_id": "0", "status": "COMPLETED", "batch_size": 64, "val_accuracy": 0.9}],
}
OTHER = {"name": "vgg16", "status": "not blessed", "reason": "below the floor"}


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    """A workdir in which version 7 of `sequential` was pushed, and then found in the cache."""
    made = Workdir.at(tmp_path)
    (made.serving / "7").mkdir(parents=True)
    (made.serving / "7" / "saved_model.pb").write_text("")
    selected = tmp_path / "selected"
    selected.mkdir()
    comparison = {"winner": "sequential", "reason": "the best", "models": [ROW, OTHER]}
    (selected / "comparison.json").write_text(json.dumps(comparison))
    recorder = Recorder(made)
    counts = {"train_images": 48_000, "eval_images": 12_000, "test_images": 10_000}
    examples = recorder.artifact("Examples", tmp_path, input_fingerprint=SHA256, **counts)
    recorder.ran("MnistExampleGen", {}, {"examples": examples}, code="aaaa")
    models = {}
    for name in ("sequential", "vgg16"):
        models[name] = recorder.artifact("Model", tmp_path)
        settings = json.dumps({"code": f"code of {name}"})
        recorder.ran(
            f"Trainer.{name}",
            {"examples": examples},
            {"model": models[name]},
            custom_config=settings,
        )
    chosen = recorder.artifact("Comparison", selected)
    inputs = {f"model_{name}": number for name, number in models.items()}
    recorder.ran("ModelSelector", inputs, {"comparison": chosen}, code="cccc")
    pushed = recorder.artifact("PushedModel", tmp_path, pushed_version="7")
    nothing = recorder.artifact("PushedModel", tmp_path)
    recorder.ran("VersionPusher", {"model": chosen}, {"pushed_model": nothing}, FAILED)
    recorder.ran("VersionPusher", {"model": chosen}, {"pushed_model": pushed}, code="dddd")
    recorder.ran("VersionPusher", {"model": chosen}, {"pushed_model": pushed}, CACHED)
    return made


def call(workdir: Workdir, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["lineage", *arguments, "--workdir", str(workdir.root)])


def refusal(workdir: Workdir, *arguments: str) -> str:
    result = call(workdir, *arguments)
    assert result.exit_code == 2, result.output
    return result.output


@pytest.mark.parametrize("arguments", [(), ("7",)])
def test_the_lineage_of_a_version_as_json(workdir: Workdir, arguments: tuple[str, ...]) -> None:
    result = call(workdir, *arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["version"], found["model"], found["reason"]) == (7, "sequential", "the best")
    counts = {"train": 48_000, "eval": 12_000, "test": 10_000}
    assert found["data"] == {"sha256": SHA256, **counts}
    assert found["hyperparameters"] == {"batch_size": 64, "learning_rate": 0.002}
    assert found["trials"] == ROW["trials"]
    assert found["evaluation"]["test_accuracy"] == 0.992
    assert found["compared_with"] == [OTHER]
    assert found["missing"] == []
    assert found["code"] == {
        "MnistExampleGen": "aaaa",
        "Trainer.sequential": "code of sequential",
        "ModelSelector": "cccc",
        "VersionPusher": "dddd",
    }


def test_nodes_come_from_first_to_last_and_those_of_other_models_are_left_out(
    workdir: Workdir,
) -> None:
    nodes = json.loads(call(workdir, "--json").output)["nodes"]
    assert [node["node"] for node in nodes] == [
        *("MnistExampleGen", "Trainer.sequential", "ModelSelector", "VersionPusher")
    ]
    assert [node["execution"] for node in nodes] == [1, 2, 4, 6]
    assert [output["key"] for output in nodes[1]["outputs"]] == ["model"]


def test_the_lineage_as_text(workdir: Workdir) -> None:
    lines = call(workdir).output.splitlines()
    assert lines[0].startswith("version 7, pushed 20")
    assert lines[1:7] == [
        "model: sequential, input 28x28x1, 48000 images x 2 epochs",
        "chosen: the best",
        f"data: {SHA256} (48,000 train, 12,000 eval, 10,000 test)",
        "hyperparameters: batch_size 64, learning_rate 0.002",
        "evaluation: 99.00% (98.81% to 99.16%) on eval, 99.20% (99.01% to 99.36%) on test",
        "trials:",
    ]
    assert "  0: batch_size 64, completed, 90.00% on eval" in lines
    assert "  vgg16 (not blessed): below the floor" in lines
    assert any(line.startswith("  Trainer.sequential: execution 2, 20") for line in lines)


def test_what_somebody_removed_is_named_and_the_rest_is_shown(workdir: Workdir) -> None:
    (workdir.root / "selected" / "comparison.json").unlink()
    result = call(workdir)
    assert result.exit_code == 0
    assert "missing: what ModelSelector found cannot be read: " in result.output
    assert f"data: {SHA256}" in result.output
    assert "model: not on record" in result.output
    assert "Trainer.vgg16" in result.output  # which model won is not known


def test_a_version_that_is_not_on_record_is_refused(workdir: Workdir) -> None:
    assert refusal(workdir, "8") == (
        "expected version 8 in ML Metadata; its pushes are of: 7. A version that was copied here, "
        "or pushed by another workdir, has its lineage there\n"
    )


@pytest.mark.parametrize("version", ["0", "-1", "latest"])
def test_what_is_no_version_is_refused(workdir: Workdir, version: str) -> None:
    assert "Invalid value" in refusal(workdir, "--", version)


def test_without_a_version_that_serves_one_has_to_be_named(tmp_path: Path) -> None:
    words = refusal(Workdir.at(tmp_path / "none"))
    assert words.startswith(f"expected a version that serves in {tmp_path}/none/serving/mnist; ")
    assert not (tmp_path / "none").exists()


def test_without_ml_metadata_that_is_said(workdir: Workdir) -> None:
    workdir.metadata.unlink()
    assert f"expected ML Metadata in {workdir.metadata}; there is none" in refusal(workdir)
    assert not workdir.metadata.exists()


def test_a_file_that_is_no_database_is_named(workdir: Workdir) -> None:
    workdir.metadata.write_text("no database " * 100)
    assert f"expected ML Metadata of this version in {workdir.metadata}" in refusal(workdir)


def test_ml_metadata_of_another_version_is_named_and_left_as_it_is(workdir: Workdir) -> None:
    with sqlite3.connect(workdir.metadata) as connection:
        connection.execute("UPDATE MLMDEnv SET schema_version = 3")
    connection.close()
    before = workdir.metadata.read_bytes()
    assert f"expected ML Metadata of this version in {workdir.metadata}" in refusal(workdir)
    assert workdir.metadata.read_bytes() == before


def test_ml_metadata_without_a_run_knows_no_push(tmp_path: Path) -> None:
    made = Workdir.at(tmp_path)
    store.connect(made.metadata)
    assert "its pushes are of: none" in refusal(made, "7")


def test_a_run_that_did_not_end_says_which_nodes_are_done(workdir: Workdir) -> None:
    result = CliRunner().invoke(main, ["report", "--workdir", str(workdir.root)])
    assert result.exit_code == 2
    assert result.output == (
        f"expected {workdir.report}/comparison.json; there is none: a run was begun but did not "
        "end, 5 nodes are done (MnistExampleGen, Trainer.sequential, Trainer.vgg16, "
        "ModelSelector, VersionPusher): the next `mnist-tfx run` goes on from there\n"
    )


def test_the_nodes_behind_an_artifact_that_nothing_made_are_none(workdir: Workdir) -> None:
    recorder = Recorder(workdir)
    alone = recorder.artifact("Model", workdir.root)
    assert lineage.nodes_behind(store.connect_to_read(workdir.metadata), alone) == []
