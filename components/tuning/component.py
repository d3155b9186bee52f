"""`RecordingTuner`: TFX's Tuner, but every trial is in the results, the failed ones too."""

import json
import pathlib
import shutil
from typing import Any

import keras_tuner
from tfx.components.trainer.fn_args_utils import get_common_fn_args
from tfx.components.tuner import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import tuner_pb2
from tfx.types import artifact_utils

from components.channels import Artifacts
from components.training import devices
from components.tuning import parallel, probe

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
        tuner = _search(input_dict, exec_properties, self._get_tmp_dir())
        trials = trials_of(tuner)
        if not any(trial["status"] == COMPLETED for trial in trials):
            shutil.rmtree(tuner.project_dir, ignore_errors=True)  # KerasTuner repeats none of them
            raise SearchFailed(
                f"expected at least one completed trial of {len(trials)}; all failed: "
                f"{trials[-1]['message'] if trials else 'none was started'}; the next run searches "
                "anew"
            )
        executor.write_best_hyperparameters(tuner, output_dict)
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["tuner_results"]))
        (folder / executor._DEFAULT_TUNER_RESULTS_FILE_NAME).write_text(json.dumps(trials))
        shutil.rmtree(tuner.project_dir, ignore_errors=True)  # as large as the models, on a volume


class RecordingTuner(component.Tuner):
    """Outputs `best_hyperparameters` and `tuner_results`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def tune_args(parallel_trials: int) -> tuner_pb2.TuneArgs | None:
    """Returns what asks the node for several trials at a time; None for one, as without it."""
    if parallel_trials < 2:
        return None
    return tuner_pb2.TuneArgs(num_parallel_trials=parallel_trials)


def _search(
    input_dict: Artifacts, exec_properties: dict[str, Any], working_dir: str
) -> keras_tuner.Tuner:
    """Searches as TFX does, or with the workers that `tune_args` asks for; returns the tuner."""
    asked = executor.get_tune_args(exec_properties)
    at_once = asked.num_parallel_trials if asked else 1
    fn_args = get_common_fn_args(input_dict, exec_properties, working_dir)
    if devices.count_gpus():  # a machine's own memory is not so short
        sizes = probe.sizes_that_fit(parallel.told(fn_args), one_gpu=at_once > 1)
        fn_args.custom_config = {**fn_args.custom_config, "batch_sizes": sizes}
    made = executor._get_tuner_fn(exec_properties)(fn_args)
    if at_once > 1:
        parallel.search(made.tuner, fn_args, at_once)
    else:
        made.tuner.search(**made.fit_kwargs)
    return made.tuner


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
