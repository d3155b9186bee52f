"""Three models compared by the `smoke` profile, what the run left, and runs after it."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from components import data, versions
from serving import model_config
from serving.server_state import Server
from serving.version_commands import promote_version
from tests.graph.runs import comparison, program, smoke, states

pytestmark = pytest.mark.slow

FIELDS = {
    "name",
    "params",
    "input_shape",
    "batch_size",
    "learning_rate",
    "precision",
    "epochs",
    "train_images",
    "train_seconds",
    "images_per_second",
    "train_accuracy",
    "train_loss",
    "eval_accuracy",
    "eval_loss",
    "test_accuracy",
    "test_loss",
    "latency_ms",
    "model_bytes",
    "status",
    "reason",
}


@pytest.fixture(scope="module")
def three_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, str]:
    """A workdir in which the default models were compared once, and what the run printed."""
    workdir = tmp_path_factory.mktemp("three")
    done = smoke(workdir, "--models", "sequential,alexnet,vgg16")
    assert done.returncode == 0, done.stdout + done.stderr
    return workdir, done.stdout


def test_a_run_compares_three_models_and_pushes_the_winner(
    three_models: tuple[pathlib.Path, str],
) -> None:
    workdir, output = three_models
    found = comparison(workdir)
    assert [m["name"] for m in found["models"]] == ["sequential", "alexnet", "vgg16"]
    assert all(set(m) >= FIELDS for m in found["models"])
    assert found["winner"] == "sequential"
    assert found["blessed"] is True
    assert found["data"] | {"sha256": ""} == {"sha256": "", "train": 512, "eval": 128, "test": 200}
    assert len(found["node_seconds"]) == 22
    assert all(m["latency_ms"] > 0 for m in found["models"])
    assert all(m["trials"] for m in found["models"])
    assert versions.versions(workdir / "serving" / "mnist") == [found["pushed_version"]]
    assert str(found["pushed_version"]) in output
    assert set(states(output).values()) == {"done"}


def test_no_beam_job_asks_for_a_runner_that_must_be_downloaded(
    three_models: tuple[pathlib.Path, str],
) -> None:
    logs = "".join(file.read_text() for file in (three_models[0] / "logs").iterdir())
    assert "FnApiRunner" in logs or "fn_runner" in logs
    assert "prism" not in logs.lower()


def test_what_is_pushed_answers_through_its_three_signatures(
    three_models: tuple[pathlib.Path, str],
) -> None:
    import tensorflow as tf

    workdir, _ = three_models
    served = workdir / "serving" / "mnist" / str(comparison(workdir)["pushed_version"])
    signatures = tf.saved_model.load(str(served)).signatures
    assert set(signatures) == {"serving_default", "png", "examples"}
    raw = data.load("")
    answer = signatures["serving_default"](image=tf.constant(raw.test_images[:20]))
    assert answer["probabilities"].shape == (20, 10)
    assert np.mean(answer["digit"].numpy() == raw.test_labels[:20]) > 0.5


def test_what_is_pushed_was_served_and_has_a_warm_up_file(
    three_models: tuple[pathlib.Path, str],
) -> None:
    workdir, _ = three_models
    (validation,) = (workdir / "artifacts" / "ServingValidator" / "validation").iterdir()
    found = json.loads((validation / "validation.json").read_text())
    assert set(found) == {"sequential", "alexnet", "vgg16"}
    assert {value["fault"] for value in found.values()} == {""}
    assert not (validation / "server.log").exists()
    warmup = pathlib.Path("assets.extra") / "tf_serving_warmup_requests"
    served = workdir / "serving" / "mnist" / str(comparison(workdir)["pushed_version"])
    assert (served / warmup).read_bytes() == (validation / warmup).read_bytes()


def test_the_report_is_made_by_the_graph_and_shown_with_what_the_runner_knows(
    three_models: tuple[pathlib.Path, str],
) -> None:
    workdir, output = three_models
    (node,) = (workdir / "artifacts" / "Report" / "report").iterdir()
    inside = json.loads((node / "report.json").read_text())
    shown = json.loads((workdir / "report" / "report.json").read_text())
    assert {file.name for file in node.iterdir()} == {"index.html", "report.md", "report.json"}
    assert (inside["missing"], shown["missing"]) == ([], [])
    assert inside["decision"] == shown["decision"]
    assert shown["decision"]["pushed_version"] == comparison(workdir)["pushed_version"]
    assert "node_seconds" not in inside
    assert len(shown["node_seconds"]) == 22
    assert {node["node"] for node in shown["lineage"]["nodes"]} >= {
        "Trainer.vgg16",
        "ModelSelector",
    }
    for model in shown["models"]:
        assert sum(map(sum, model["confusion"])) == model["eval_images"]
        assert sum(model["test_images_by_digit"].values()) == model["test_images"] == 200
        assert all(mistake["picture"].startswith("data:image/png") for mistake in model["mistakes"])
    assert shown["statistics"]["train"]["images"] == 512
    assert sum(shown["statistics"]["test"]["labels"].values()) == 200
    assert f"report:  {workdir}/report/index.html\n" in output
    page = (workdir / "report" / "index.html").read_text()
    assert "sequential won" in page
    assert "What is missing" not in page


def test_the_model_card_goes_with_the_version_and_lies_beside_the_report(
    three_models: tuple[pathlib.Path, str],
) -> None:
    workdir, _ = three_models
    found = comparison(workdir)
    served = workdir / "serving" / "mnist" / str(found["pushed_version"])
    card = (served / "assets.extra" / "MODEL_CARD.md").read_text()
    assert card == (workdir / "report" / "MODEL_CARD.md").read_text()
    assert card.startswith("# Model card: sequential for MNIST")
    assert found["data"]["sha256"] in card


def test_the_lineage_of_what_serves_is_in_ml_metadata(
    three_models: tuple[pathlib.Path, str],
) -> None:
    workdir, _ = three_models
    command = ("lineage", "--workdir", str(workdir))
    told = program(*command, "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    found, compared = json.loads(told.stdout), comparison(workdir)
    assert found["version"] == compared["pushed_version"]
    assert found["data"] == compared["data"]
    assert (found["model"], found["missing"]) == ("sequential", [])
    assert len(found["trials"]) == 2
    assert [other["name"] for other in found["compared_with"]] == ["alexnet", "vgg16"]
    assert set(found["code"]) >= {"MnistExampleGen", "Trainer.sequential", "VersionPusher"}
    assert not any("vgg16" in node["node"] for node in found["nodes"])
    assert program(*command).stdout.startswith(f"version {found['version']}, pushed ")


def test_no_resized_images_are_written_to_disk(three_models: tuple[pathlib.Path, str]) -> None:
    workdir, _ = three_models
    records = [f for f in workdir.rglob("*tfrecord*") if f.is_file()]
    one_resized_image = 227 * 227 * 4
    assert any("MnistExampleGen" in f.parts for f in records)
    for record in records:
        if "MnistExampleGen" not in record.parts:
            assert record.stat().st_size < one_resized_image
    graphs = [f for f in (workdir / "artifacts").glob("Transform.*/**/*") if f.is_file()]
    assert graphs
    assert sum(f.stat().st_size for f in graphs) < len(graphs) * one_resized_image


def test_a_second_run_with_nothing_changed_is_all_cache(
    three_models: tuple[pathlib.Path, str],
) -> None:
    workdir, _ = three_models
    before = comparison(workdir)
    again = smoke(workdir, "--models", "sequential,alexnet,vgg16")
    assert again.returncode == 0, again.stdout
    assert set(states(again.stdout).values()) == {"cached"}
    assert len(states(again.stdout)) == 22
    assert comparison(workdir)["pushed_version"] == before["pushed_version"]
    assert len(versions.versions(workdir / "serving" / "mnist")) == 1


@dataclasses.dataclass(frozen=True)
class Reused:
    """A run without a search, its folder pinned to an older version 1 meanwhile."""

    workdir: pathlib.Path
    done: subprocess.CompletedProcess[str]
    before: dict[str, Any]
    after: dict[str, Any]
    served: int | None


@pytest.fixture(scope="module")
def reused(
    three_models: tuple[pathlib.Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Reused:
    workdir, _ = three_models
    kept = tmp_path_factory.mktemp("kept")
    for name in ("report", "serving"):
        shutil.copytree(workdir / name, kept / name)
    serving = workdir / "serving" / "mnist"
    shutil.copytree(serving / str(versions.latest(serving)), serving / "1")
    assert promote_version(serving, "1", server=Server("http://127.0.0.1:9")) == 0
    before = comparison(workdir)
    done = smoke(workdir, "--no-tune")
    found = Reused(workdir, done, before, comparison(workdir), model_config.served_version(serving))
    for name in ("report", "serving"):  # other tests find what the comparison left
        shutil.rmtree(workdir / name)
        shutil.move(kept / name, workdir / name)
    return found


def test_the_hyperparameters_found_before_can_be_reused(reused: Reused) -> None:
    assert reused.done.returncode == 0, reused.done.stdout
    assert "Tuner.sequential" not in states(reused.done.stdout)
    before = {m["name"]: m for m in reused.before["models"]}["sequential"]
    (after,) = reused.after["models"]
    assert after["learning_rate"] == before["learning_rate"]
    assert after["batch_size"] == before["batch_size"]


def test_a_run_after_a_rollback_compares_with_the_pinned_version_which_serves_on(
    reused: Reused,
) -> None:
    workdir, output = reused.workdir, reused.done.stdout
    assert states(output)["BaselineFinder"] == "done"
    pushed = reused.after["pushed_version"]
    assert f"served:  {workdir}/serving/mnist/1\n" in output
    assert f"`mnist-tfx promote {pushed} --workdir {workdir}` serves it" in output
    assert reused.served == 1
