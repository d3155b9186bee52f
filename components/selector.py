"""`ModelSelector`: reads what the nodes of each model wrote and hands the winner on."""

import json
import pathlib
import shutil
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
from components.channels import (
    Artifacts,
    artifact_of,
    channel_inputs,
    key_of,
    keyed,
    taking_part,
    uri_of,
)
from components.evaluation_result import Evaluation, read_evaluation
from components.serving_validator.report import (
    WARMUP_FILE,
    ServingValidation,
    Validation,
    read_validations,
)
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
BLESSED, NOT_BLESSED, NOT_SERVABLE = "blessed", "not blessed", "not servable"


class ModelComparison(types.Artifact):
    """Holds `comparison.json`: what is known of each model, the winner and the reasons."""

    TYPE_NAME = "mnist.ModelComparison"  # Kubeflow wants a name of two parts


class Executor(base_executor.BaseExecutor):
    """Compares and chooses."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `comparison`, and `model` and `blessing` for the winner."""
        names = taking_part(json.loads(exec_properties["names"]), "model", input_dict)
        validation = pathlib.Path(artifact_utils.get_single_uri(input_dict["validation"]))
        found = read_validations(validation)
        rows = {name: _row(name, input_dict, found[name]) for name in names}
        winner, reason = _select(rows)
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        _bless(blessing, bool(winner))
        if winner:
            target = artifact_utils.get_single_uri(output_dict["model"])
            _hand_on(uri_of("model", winner, input_dict), target, validation / WARMUP_FILE)
        comparison = {
            "models": [{k: v for k, v in row.items() if k != "correct"} for row in rows.values()],
            "winner": winner,
            "blessed": bool(winner),
            "reason": reason,
        }
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["comparison"]))
        (folder / COMPARISON_FILE).write_text(json.dumps(comparison, indent=1))


def _hand_on(model: str, target: str, warmup: pathlib.Path) -> None:
    """Copies the winner, and the warm-up file into its SavedModel."""
    folder = path_utils.serving_model_dir(target)
    io_utils.copy_dir(path_utils.serving_model_path(model), folder)
    file = pathlib.Path(folder) / WARMUP_FILE
    file.parent.mkdir(exist_ok=True)
    shutil.copyfile(warmup, file)


def _select(rows: dict[str, dict[str, Any]]) -> tuple[str | None, str]:
    """Sets status and reason of each row; returns the winner's name, if any, and the reason."""
    candidates = [
        selection.Candidate(name, row["correct"], row["latency_ms"], row["model_bytes"])
        for name, row in rows.items()
        if row["status"] == BLESSED
    ]
    if not candidates:
        reasons = "; ".join(f"{name}: {row['reason']}" for name, row in rows.items())
        return None, f"no model was blessed and servable ({reasons})"
    choice = selection.choose(candidates)
    for name, reason in choice.reasons.items():
        rows[name]["reason"] = reason
        rows[name]["status"] = "winner" if name == choice.winner else BLESSED
    return choice.winner, choice.reasons[choice.winner]


def _row(name: str, input_dict: Artifacts, validation: Validation) -> dict[str, Any]:
    """Returns what is known of one model; `correct` is not for the report."""
    run = pathlib.Path(uri_of("run", name, input_dict))
    training = json.loads((run / TRAINING_FILE).read_text())
    predictions = np.load(run / PREDICTIONS_FILE)
    correct = predictions["probabilities"].argmax(-1) == predictions["labels"]
    best = training["history"][training["best_epoch"] - 1]
    model = pathlib.Path(path_utils.serving_model_path(uri_of("model", name, input_dict)))
    evaluation = read_evaluation(uri_of("evaluation", name, input_dict))
    return {
        **training,
        "train_accuracy": best["accuracy"],
        "train_loss": best["loss"],
        "eval_accuracy": best["val_accuracy"],
        "eval_loss": best["val_loss"],
        "test_accuracy": evaluation.accuracy,
        "test_loss": evaluation.loss,
        "test_accuracy_by_digit": evaluation.accuracy_by_digit,
        "latency_ms": validation.latency_ms,
        "model_bytes": saved_model.size(model),
        "trials": _trials(name, input_dict),
        "correct": correct,
        **_status(artifact_of("blessing", name, input_dict), evaluation, validation),
    }


def _trials(name: str, input_dict: Artifacts) -> list[dict[str, Any]]:
    """Returns the trials of a model's search; none where hyperparameters were given."""
    has_trials = key_of("trials", name) in input_dict
    return read_trials(pathlib.Path(uri_of("trials", name, input_dict))) if has_trials else []


def _status(
    blessing: types.Artifact, evaluation: Evaluation, validation: Validation
) -> dict[str, str]:
    """Returns whether a model may win, and all that speaks against it."""
    blessed = model_utils.is_model_blessed(blessing)
    reasons = [] if blessed else [*evaluation.failures]
    if validation.fault:
        reasons.append(f"{NOT_SERVABLE}: {validation.fault}")
    status = NOT_BLESSED if not blessed else NOT_SERVABLE if validation.fault else BLESSED
    return {"status": status, "reason": "; ".join(reasons)}


def _bless(blessing: types.Artifact, blessed: bool) -> None:
    """Marks a blessing artifact as TFX's Evaluator does, so that a Pusher understands it."""
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    value = constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)


class ModelSelector(base_component.BaseComponent):
    """Outputs `model` (the winner, or empty), `blessing` and `comparison`."""

    SPEC_CLASS = types.ComponentSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        inputs: Mapping[str, Mapping[str, types.BaseChannel]],
        validation: types.BaseChannel,
        names: list[str],
        code: str,
    ) -> None:
        """Takes the channels by kind (a key of KINDS) and model; `trials` may lack models.

        `validation` is what ServingValidator found of all models.
        """
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
                    "validation": ChannelParameter(type=ServingValidation),
                    **{
                        key: parameter
                        for kind, channels in inputs.items()
                        for key, parameter in channel_inputs(kind, KINDS[kind], channels).items()
                    },
                },
                "OUTPUTS": {key: ChannelParameter(type=t) for key, t in outputs.items()},
            },
        )
        channels = {k: c for kind, named in inputs.items() for k, c in keyed(kind, named).items()}
        made = {key: types.Channel(type=artifact_type) for key, artifact_type in outputs.items()}
        super().__init__(
            spec_class(
                names=json.dumps(names), code=code, validation=validation, **channels, **made
            )
        )
