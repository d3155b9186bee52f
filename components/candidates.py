"""What is known of one candidate, from all that the nodes of its model wrote, and its status."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from tfx import types
from tfx.components.util import model_utils
from tfx.utils import path_utils

from components import saved_model
from components.channels import Artifacts, artifact_of, key_of, uri_of
from components.evaluation_result import Evaluation, read_evaluation
from components.serving_validator.report import Validation
from components.training.run import PREDICTIONS_FILE, TRAINING_FILE
from components.tuning.results import read_trials

BLESSED, NOT_BLESSED, NOT_SERVABLE = "blessed", "not blessed", "not servable"
SICK = "sick"


def row_of(name: str, input_dict: Artifacts, validation: Validation) -> dict[str, Any]:
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
        "test_images": evaluation.images,
        "test_accuracy_by_digit": evaluation.accuracy_by_digit,
        "test_images_by_digit": evaluation.images_by_digit,
        "latency_ms": validation.latency_ms,
        "model_bytes": saved_model.size(model),
        "trials": _trials(name, input_dict),
        "correct": correct,
        **_status(
            artifact_of("blessing", name, input_dict),
            evaluation,
            validation,
            training.get("diagnosis") or {},
        ),
    }


def _trials(name: str, input_dict: Artifacts) -> list[dict[str, Any]]:
    """Returns the trials of a model's search; none where hyperparameters were given."""
    has_trials = key_of("trials", name) in input_dict
    return read_trials(pathlib.Path(uri_of("trials", name, input_dict))) if has_trials else []


def _status(
    blessing: types.Artifact,
    evaluation: Evaluation,
    validation: Validation,
    diagnosis: Mapping[str, Any],
) -> dict[str, str]:
    """Returns whether a model may win, and all that speaks against it."""
    blessed, sick = model_utils.is_model_blessed(blessing), diagnosis.get("sick", False)
    reasons = [f"{SICK}: {diagnosis['words']}"] if sick else []
    reasons += [] if blessed else [*evaluation.failures]
    if validation.fault:
        reasons.append(f"{NOT_SERVABLE}: {validation.fault}")
    status = NOT_BLESSED if not blessed else NOT_SERVABLE if validation.fault else BLESSED
    return {"status": SICK if sick else status, "reason": "; ".join(reasons)}
