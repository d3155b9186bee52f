"""`RecordingTuner`: TFX's Tuner, but every trial is in the results, the failed ones too."""

import json
import pathlib
import shutil
from typing import Any

import keras_tuner
from tfx.components.tuner import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils

from components.channels import Artifacts

COMPLETED = "COMPLETED"


class SearchFailed(RuntimeError):
    """No trial was completed."""


class Executor(executor.Executor):
    """Searches, then writes the best hyperparameters and all trials."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `best_hyperparameters` and `tuner_results`.

        Raises:
          SearchFailed: no trial was completed; the message has the last one's reason.
        """
        tuner = executor.search(input_dict, exec_properties, self._get_tmp_dir())
        trials = trials_of(tuner)
        if not any(trial["status"] == COMPLETED for trial in trials):
            raise SearchFailed(
                f"expected at least one completed trial of {len(trials)}; all failed: "
                f"{trials[-1]['message'] if trials else 'none was started'}"
            )
        executor.write_best_hyperparameters(tuner, output_dict)
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["tuner_results"]))
        (folder / executor._DEFAULT_TUNER_RESULTS_FILE_NAME).write_text(json.dumps(trials))
        shutil.rmtree(tuner.project_dir, ignore_errors=True)  # as large as the models, on a volume


class RecordingTuner(component.Tuner):
    """Outputs `best_hyperparameters` and `tuner_results`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def trials_of(tuner: keras_tuner.Tuner) -> list[dict[str, Any]]:
    """Returns one dict a trial, in the order in which they were started."""
    trials = tuner.oracle.trials
    return [_as_dict(trials[name]) for name in sorted(trials)]


def _as_dict(trial: Any) -> dict[str, Any]:
    metrics = {
        name: trial.metrics.get_best_value(name)
        for name in ("val_accuracy", "val_loss", "seconds")
        if trial.metrics.exists(name)
    }
    return {
        "trial_id": trial.trial_id,
        "status": trial.status,
        "message": (trial.message or "").strip().rpartition("\n")[-1],
        **trial.hyperparameters.values,
        **metrics,
    }
