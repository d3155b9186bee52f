"""The node Report: what it gathers, what it does without, and which models it skips."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx import types
from tfx.types import standard_artifacts

from components import pusher
from components.behaviour.judge import Behaviour, write_behaviour
from components.example_gen import to_examples
from components.left_out import LEFT_OUT
from components.report import component
from components.report.gather import Sources, gather
from components.selector import ModelComparison

pytestmark = pytest.mark.slow

EVAL = 30
WRONG = 7  # its image is taken for another digit


def artifact(kind: type[types.Artifact], folder: Path) -> Any:
    made = kind()
    folder.mkdir(parents=True, exist_ok=True)
    made.uri = str(folder)
    return made


def write_run(folder: Path) -> None:
    labels = np.arange(EVAL) % 10
    answers = labels.copy()
    answers[WRONG] = 1
    np.savez(folder / "eval_predictions.npz", probabilities=np.eye(10)[answers], labels=labels)
    history = [{"epoch": 0, "loss": 0.2, "accuracy": 0.9, "val_loss": 0.3, "val_accuracy": 0.97}]
    training = {"name": "sequential", "history": history, "best_epoch": 1, "diverged": False}
    (folder / "training.json").write_text(json.dumps(training))


def write_data(examples: Path, statistics: Path, anomalies: Path) -> None:
    folder = examples / "Split-eval"
    folder.mkdir()
    images = np.zeros((EVAL, 28, 28), np.uint8)
    with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as writer:
        for example in to_examples(images, np.arange(EVAL) % 10):
            writer.write(example)
    found = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = found.datasets.add(num_examples=EVAL)
    image, label = dataset.features.add(name="image"), dataset.features.add(name="label")
    image.num_stats.mean = 33.3
    image.num_stats.num_zeros = EVAL * 392
    image.num_stats.common_stats.tot_num_values = EVAL * 784
    for digit in (3, 1):
        label.string_stats.rank_histogram.buckets.add(label=str(digit), sample_count=15)
    (statistics / "Split-eval").mkdir()
    (statistics / "Split-eval" / "FeatureStats.pb").write_bytes(found.SerializeToString())
    (anomalies / "Split-eval").mkdir()
    empty = anomalies_pb2.Anomalies().SerializeToString()
    (anomalies / "Split-eval" / "SchemaDiff.pb").write_bytes(empty)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, list[Any]]:
    """What the node is given after a run of `sequential` from which `vgg16` was left out."""
    made = {key: artifact(kind, tmp_path / key) for key, kind in component.INPUTS.items()}
    made["examples"].set_string_custom_property("input_fingerprint", "b2d8")
    made["examples"].set_int_custom_property("eval_images", EVAL)
    made["pushed_model"].set_string_custom_property(pusher.VERSION, "7")
    rows = [{"name": "sequential", "status": "winner", "test_accuracy": 0.9}]
    comparison = {"winner": "sequential", "blessed": True, "reason": "the best", "models": rows}
    (tmp_path / "comparison" / "comparison.json").write_text(json.dumps(comparison))
    for name in ("sequential", "vgg16"):
        made[f"run_{name}"] = artifact(standard_artifacts.ModelRun, tmp_path / f"run_{name}")
    made["run_vgg16"].set_int_custom_property(LEFT_OUT, 1)
    write_run(tmp_path / "run_sequential")
    write_data(tmp_path / "examples", tmp_path / "statistics", tmp_path / "anomalies")
    unchanged = Behaviour("unchanged", "the digit", 5, 1.0, 1.0, 0.9, True)
    blank = Behaviour("blank", "unsure", 1, None, None, 0.2, True)
    write_behaviour(tmp_path / "behaviour", [unchanged, blank])
    return {key: [value] for key, value in made.items()}


def report_of(inputs: dict[str, list[Any]], folder: Path) -> dict[str, Any]:
    """Runs the node's executor and returns report.json."""
    made = artifact(component.RunReport, folder / "report")
    executor = component.Executor(
        component.Executor.Context(tmp_dir=str(folder / "tmp"), unique_id="1")
    )
    told = {"names": '["sequential", "vgg16"]', "code_of_nodes": '{"Trainer": "aaaa"}', "code": ""}
    executor.Do(inputs, {"report": [made]}, told)
    assert {file.name for file in (folder / "report").iterdir()} == {
        *("index.html", "report.md", "report.json")
    }
    found: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text())
    return found


def test_all_comes_from_the_inputs_and_a_model_that_was_left_out_is_skipped(
    inputs: dict[str, list[Any]], tmp_path: Path
) -> None:
    found = report_of(inputs, tmp_path)
    assert found["missing"] == []
    assert found["decision"] == {
        **{"winner": "sequential", "blessed": True, "reason": "the best", "pushed_version": 7}
    }
    assert found["data"] == {"sha256": "b2d8", "train": 0, "eval": EVAL, "test": 0}
    assert found["code"] == {"Trainer": "aaaa"}
    assert found["packages"]["tensorflow"] == tf.__version__
    (model,) = found["models"]
    assert (model["eval_images"], sum(map(sum, model["confusion"]))) == (EVAL, EVAL)
    assert model["confusion"][7][1] == 1
    (mistake,) = model["mistakes"]
    assert (mistake["place"], mistake["label"], mistake["answer"]) == (WRONG, 7, 1)
    assert mistake["picture"].startswith("data:image/png;base64,")
    assert found["statistics"]["eval"] == {
        "images": EVAL,
        "labels": {"1": 15, "3": 15},
        "pixel_mean": 33.3,
        "pixel_deviation": 0.0,
        "pixel_zeros": 0.5,
    }
    assert found["anomalies"] == {"eval": []}
    assert [row["name"] for row in found["behaviour"]] == ["unchanged", "blank"]


def test_a_model_that_is_not_pushed_has_no_version(
    inputs: dict[str, list[Any]], tmp_path: Path
) -> None:
    inputs["pushed_model"] = [artifact(standard_artifacts.PushedModel, tmp_path / "nothing")]
    assert report_of(inputs, tmp_path)["decision"]["pushed_version"] is None


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("run_sequential/training.json", "the training of sequential cannot be read: "),
        ("run_sequential/eval_predictions.npz", "the training of sequential cannot be read: "),
        ("examples/Split-eval/data.gz", "the images of the mistakes cannot be read: "),
        ("statistics/Split-eval/FeatureStats.pb", "the statistics cannot be read: "),
        ("anomalies/Split-eval/SchemaDiff.pb", "the anomalies cannot be read: "),
        ("comparison/comparison.json", "the comparison cannot be read: "),
    ],
)
def test_what_is_gone_is_named_and_the_rest_is_shown(
    inputs: dict[str, list[Any]], tmp_path: Path, file: str, words: str
) -> None:
    (tmp_path / file).unlink()
    found = report_of(inputs, tmp_path)
    assert len(found["missing"]) == 1
    assert found["missing"][0].startswith(words)
    assert words in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("run_sequential/training.json", "the training of sequential"),
        ("run_sequential/eval_predictions.npz", "the training of sequential"),
        ("statistics/Split-eval/FeatureStats.pb", "the statistics"),
        ("anomalies/Split-eval/SchemaDiff.pb", "the anomalies"),
        ("comparison/comparison.json", "the comparison"),
        ("examples/Split-eval/data.gz", "the images of the mistakes"),
    ],
)
def test_what_is_damaged_is_named_and_the_rest_is_shown(
    inputs: dict[str, list[Any]], tmp_path: Path, file: str, words: str
) -> None:
    (tmp_path / file).write_bytes(b"\xff\x00 no such thing")
    (found,) = report_of(inputs, tmp_path)["missing"]
    assert found.startswith(f"{words} cannot be read: ")


def test_a_run_of_a_model_that_nobody_knows_is_named(tmp_path: Path) -> None:
    comparison = tmp_path / "comparison.json"
    comparison.write_text(json.dumps({"models": [{"name": "unknown"}, {}]}))
    nowhere = tmp_path / "nowhere"
    sources = Sources(
        comparison, {}, nowhere, nowhere, nowhere, nowhere, data={}, pushed_version=None, code={}
    )
    found = gather(sources)
    assert [words.partition(" cannot")[0] for words in found["missing"]] == [
        *("the training of unknown", "the training of None", "the images of the mistakes"),
        *("the statistics", "the anomalies"),
    ]


def test_the_type_of_the_artifact_is_a_name_that_kubeflow_takes() -> None:
    assert component.RunReport.TYPE_NAME == "mnist.Report"
    assert ModelComparison.TYPE_NAME.count(".") == 1
