"""`ModelSelector`: reads what the nodes of each model wrote and hands the winner on."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import io_utils, path_utils

from components import saved_model, selection
from components.channels import Artifacts, channel_inputs, key_of, keyed
from components.evaluation_result import Evaluation, read_evaluation
from components.training.run import PREDICTIONS_FILE, TRAINING_FILE
from components.tuning.results import read_trials

COMPARISON_FILE = "comparison.json"
KINDS = {
    "model": standard_artifacts.Model,
    "run": standard_artifacts.ModelRun,
    "evaluation": standard_artifacts.ModelEvaluation,
    "blessing": standard_artifacts.ModelBlessing,
    "trials": standard_artifacts.TunerResults,
}
NOT_BLESSED = "not blessed"


class ModelComparison(types.Artifact):
    """Holds `comparison.json`: what is known of each model, the winner and the reasons."""

    TYPE_NAME = "ModelComparison"


class Executor(base_executor.BaseExecutor):
    """Compares and chooses."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `comparison`, and `model` and `blessing` for the winner."""
        names = json.loads(exec_properties["names"])
        rows = {name: _row(name, input_dict) for name in names}
        winner, reason = _select(rows)
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        _bless(blessing, bool(winner))
        if winner:
            source = path_utils.serving_model_path(_uri("model", winner, input_dict))
            target = artifact_utils.get_single_uri(output_dict["model"])
            io_utils.copy_dir(source, path_utils.serving_model_dir(target))
        comparison = {
            "models": [{k: v for k, v in row.items() if k != "correct"} for row in rows.values()],
            "winner": winner,
            "blessed": bool(winner),
            "reason": reason,
        }
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["comparison"]))
        (folder / COMPARISON_FILE).write_text(json.dumps(comparison, indent=1))


def _select(rows: dict[str, dict[str, Any]]) -> tuple[str | None, str]:
    """Sets status and reason of each row; returns the winner's name, if any, and the reason."""
    candidates = [
        selection.Candidate(name, row["correct"], row["latency_ms"], row["model_bytes"])
        for name, row in rows.items()
        if row["status"] != NOT_BLESSED
    ]
    if not candidates:
        reasons = "; ".join(f"{name}: {row['reason']}" for name, row in rows.items())
        return None, f"no model was blessed ({reasons})"
    choice = selection.choose(candidates)
    for name, reason in choice.reasons.items():
        rows[name]["reason"] = reason
        rows[name]["status"] = "winner" if name == choice.winner else "blessed"
    return choice.winner, choice.reasons[choice.winner]


def _row(name: str, input_dict: Artifacts) -> dict[str, Any]:
    """Returns what is known of one model; `correct` is not for the report."""
    run = pathlib.Path(_uri("run", name, input_dict))
    training = json.loads((run / TRAINING_FILE).read_text())
    predictions = np.load(run / PREDICTIONS_FILE)
    correct = predictions["probabilities"].argmax(-1) == predictions["labels"]
    best = training["history"][training["best_epoch"] - 1]
    model = pathlib.Path(path_utils.serving_model_path(_uri("model", name, input_dict)))
    evaluation = read_evaluation(_uri("evaluation", name, input_dict))
    return {
        **training,
        "train_accuracy": best["accuracy"],
        "train_loss": best["loss"],
        "eval_accuracy": best["val_accuracy"],
        "eval_loss": best["val_loss"],
        "test_accuracy": evaluation.accuracy,
        "test_loss": evaluation.loss,
        "test_accuracy_by_digit": evaluation.accuracy_by_digit,
        "latency_ms": saved_model.latency_ms(model),
        "model_bytes": saved_model.size(model),
        "trials": _trials(name, input_dict),
        "correct": correct,
        **_status(_artifact("blessing", name, input_dict), evaluation),
    }


def _trials(name: str, input_dict: Artifacts) -> list[dict[str, Any]]:
    """Returns the trials of a model's search; none where hyperparameters were given."""
    has_trials = key_of("trials", name) in input_dict
    return read_trials(pathlib.Path(_uri("trials", name, input_dict))) if has_trials else []


def _status(blessing: types.Artifact, evaluation: Evaluation) -> dict[str, str]:
    if model_utils.is_model_blessed(blessing):
        return {"status": "blessed", "reason": ""}
    return {"status": NOT_BLESSED, "reason": "; ".join(evaluation.failures)}


def _bless(blessing: types.Artifact, blessed: bool) -> None:
    """Marks a blessing artifact as TFX's Evaluator does, so that a Pusher understands it."""
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    value = constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)


def _artifact(kind: str, name: str, input_dict: Artifacts) -> types.Artifact:
    return artifact_utils.get_single_instance(input_dict[key_of(kind, name)])


def _uri(kind: str, name: str, input_dict: Artifacts) -> str:
    return str(_artifact(kind, name, input_dict).uri)


class ModelSelector(base_component.BaseComponent):
    """Outputs `model` (the winner, or empty), `blessing` and `comparison`."""

    SPEC_CLASS = types.ComponentSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, inputs: Mapping[str, Mapping[str, types.BaseChannel]], names: list[str], code: str
    ) -> None:
        """Takes the channels by kind (a key of KINDS) and model; `trials` may lack models."""
        outputs = {
            "model": standard_artifacts.Model,
            "blessing": standard_artifacts.ModelBlessing,
            "comparison": ModelComparison,
        }
        spec_class = type(
            "ModelSelectorSpec",
            (types.ComponentSpec,),
            {
                "PARAMETERS": {
                    "names": ExecutionParameter(type=str),
                    "code": ExecutionParameter(type=str),
                },
                "INPUTS": {
                    key: parameter
                    for kind, channels in inputs.items()
                    for key, parameter in channel_inputs(kind, KINDS[kind], channels).items()
                },
                "OUTPUTS": {key: ChannelParameter(type=t) for key, t in outputs.items()},
            },
        )
        channels = {k: c for kind, named in inputs.items() for k, c in keyed(kind, named).items()}
        made = {key: types.Channel(type=artifact_type) for key, artifact_type in outputs.items()}
        super().__init__(spec_class(names=json.dumps(names), code=code, **channels, **made))
