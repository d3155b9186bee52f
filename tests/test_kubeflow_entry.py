"""A task's entry point: URIs, what was submitted, models left out; without TFX."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow import executor_input, parameters
from pipeline.kubeflow.parameters import Submitted, fold_in, take_submitted

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = {"artifactType": {"instanceSchema": "title: tfx.Examples\ntype: object\n"}}


def given(scheme: str = "minio", **values: Any) -> dict[str, Any]:
    """An ExecutorInput as Kubeflow's backend builds it: an input's schema is empty."""
    return {
        "inputs": {
            "parameterValues": values,
            "artifacts": {
                "examples": {
                    "artifacts": [
                        {
                            "name": "7",
                            "uri": f"{scheme}://bucket/root/examples",
                            "type": {"instanceSchema": ""},
                            "metadata": {"span": 0},
                        }
                    ]
                }
            },
        },
        "outputs": {
            "artifacts": {
                "model": {"artifacts": [{"uri": f"{scheme}://bucket/root/model", "type": {}}]}
            },
            "outputFile": "/nowhere/output_metadata.json",
        },
    }


@pytest.mark.parametrize(
    ("uri", "folder"),
    [("minio://b/k", "minio/b/k"), ("s3://b/k", "s3/b/k"), ("gs://b/k", "gcs/b/k")],
)
def test_uris_become_the_local_paths_of_the_launcher(uri: str, folder: str) -> None:
    assert executor_input.local_path(uri, "/") == f"/{folder}"
    assert executor_input.local_path(uri, "/pod") == f"/pod/{folder}"


def test_an_unknown_scheme_is_refused_in_words() -> None:
    with pytest.raises(executor_input.UnknownScheme, match=r"minio://, s3://, gs://; got hdfs://x"):
        executor_input.local_path("hdfs://x", "/")


def test_inputs_get_the_type_that_the_backend_omits(tmp_path: Path) -> None:
    made = given()
    executor_input.localize(made, {"artifacts": {"examples": SCHEMA}}, str(tmp_path))
    (artifact,) = made["inputs"]["artifacts"]["examples"]["artifacts"]
    assert artifact["type"] == SCHEMA["artifactType"]
    assert artifact["metadata"] == {"span": 0}


def test_an_input_that_was_never_uploaded_and_an_output_are_empty_folders(tmp_path: Path) -> None:
    made = given()
    uris = executor_input.localize(made, {"artifacts": {"examples": SCHEMA}}, str(tmp_path))
    assert (tmp_path / "minio/bucket/root/examples").is_dir()
    assert uris == {str(tmp_path / "minio/bucket/root/model"): "minio://bucket/root/model"}


def test_files_of_an_input_stay(tmp_path: Path) -> None:
    file = tmp_path / "s3/bucket/root/examples/data"
    file.parent.mkdir(parents=True)
    file.write_text("x")
    executor_input.localize(given("s3"), {"artifacts": {"examples": SCHEMA}}, str(tmp_path))
    assert file.read_text() == "x"


def test_what_was_written_gets_the_uris_of_the_bucket_back_and_no_null() -> None:
    made = {
        "artifacts": {
            "model": {"artifacts": [{"uri": "/pod/m", "metadata": {"a": 1.0, "b": None, "c": ""}}]}
        }
    }
    executor_input.restore(made, {"/pod/m": "minio://bucket/m"})
    (artifact,) = made["artifacts"]["model"]["artifacts"]
    assert artifact == {"uri": "minio://bucket/m", "metadata": {"a": 1.0, "c": ""}}


def test_what_was_submitted_leaves_the_properties_of_the_node_alone() -> None:
    values = {"custom_config": "{}", "submitted_epochs": 3.0, "submitted_train": False}
    assert take_submitted(values) == Submitted(train=False, epochs=3)
    assert values == {"custom_config": "{}"}


@pytest.mark.parametrize(
    ("config", "submitted", "expected"),
    [
        ({"images": 0, "epochs": 9}, Submitted(), {"images": 0, "epochs": 9}),
        ({"images": 0, "epochs": 9}, Submitted(images=5, epochs=2), {"images": 5, "epochs": 2}),
        ({"images": 50, "epochs": 9}, Submitted(images=70), {"images": 70, "epochs": 9}),
        ({"images": 50, "trials": 4}, Submitted(images=70, trials=1), {"images": 50, "trials": 1}),
        ({"images": 50, "trials": 4}, Submitted(images=20), {"images": 20, "trials": 4}),
        ({"images": 0, "trials": 4}, Submitted(images=20), {"images": 20, "trials": 4}),
    ],
)
def test_what_was_submitted_is_folded_into_the_settings(
    config: dict[str, int], submitted: Submitted, expected: dict[str, int]
) -> None:
    assert json.loads(fold_in(submitted, json.dumps(config))) == expected


def test_a_folder_for_the_state_keeps_its_part_for_the_node() -> None:
    config = json.dumps({"images": 0, "state_dir": "/mnt/x/state/search"})
    folded = json.loads(fold_in(Submitted(state_dir="/elsewhere"), config))
    assert folded == {"images": 0, "state_dir": "/elsewhere/search"}


def test_a_training_keeps_its_state_until_its_model_is_uploaded() -> None:
    config = json.dumps({"images": 0, "state_dir": "/mnt/x/state/training", "keep_state": False})
    assert json.loads(fold_in(Submitted(state_dir="/elsewhere"), config))["keep_state"]


def test_parameters_reach_the_tasks_that_need_them() -> None:
    def names(task: str) -> dict[str, str]:
        return {key: p.name for key, p in parameters.task_inputs(task).items()}

    assert names("MnistExampleGen") == {"data": "data", "sha256": "data_sha256"}
    assert names("StatisticsGen") == {}
    assert names("VersionPusher") == {"serving_dir": "push_destination"}
    assert names("Evaluator-alexnet-book") == {"submitted_train": "train_alexnet_book"}
    assert names("Tuner-vgg16") == {
        "submitted_images": "images",
        "submitted_trials": "trials",
        "submitted_state_dir": "state_dir",
        "submitted_train": "train_vgg16",
    }


def run_executor(executor: str, made: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    spec = json.dumps({"artifacts": {"examples": SCHEMA}})
    words = ["--executor_class_path", executor, "--json_serialized_invocation_args"]
    command = [sys.executable, "-X", "importtime", "kubeflow/run_executor.py", *words]
    command += [json.dumps(made), "--json_serialized_inputs_spec_args", spec]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_model_that_is_left_out_takes_no_time(tmp_path: Path) -> None:
    made = given(submitted_train=False)
    made["outputs"]["outputFile"] = str(tmp_path / "task/output_metadata.json")
    done = run_executor("no.such.Executor", made)
    assert done.returncode == 0, done.stderr
    assert not {"tfx", "tensorflow", "kfp"} & {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines()
    }
    assert json.loads((tmp_path / "task/output_metadata.json").read_text()) == {
        "artifacts": {
            "model": {
                "artifacts": [{"uri": "minio://bucket/root/model", "metadata": {"left_out": 1}}]
            }
        }
    }


def test_an_error_ends_the_task_with_words(tmp_path: Path) -> None:
    done = run_executor("no.such.Executor", given("hdfs"))
    assert done.returncode == 1
    words = "no.such.Executor failed: expected an artifact below minio://, s3://, gs://; got hdfs:"
    assert words in done.stderr
