"""The Trainer's entry point: unpacks TFX's arguments, trains, exports, writes what was measured."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components.settings import MULTI_WORKER, TrainSettings
from components.training import dataset, precision, state
from components.training.cluster import parcel
from components.training.cluster.channel import Channel
from components.training.cluster.chief import lead
from components.training.doctor.report import diagnosis_of
from components.training.export import export, float32_copy, transform_of
from components.training.fit import FitJob, FitResult, fit
from components.training.stopping import stoppable

TRAINING_FILE = "training.json"
PREDICTIONS_FILE = "eval_predictions.npz"


def run_fn(fn_args: FnArgs) -> None:
    """Trains one model and writes its SavedModel and its run folder.

    Raises:
      BadCluster, TrainingBroken: several machines are to train, and cannot; see `cluster.chief`.
      TrainingStopped: SIGTERM came; the same call goes on from there.
    """
    if TrainSettings.from_config(fn_args.custom_config).model.devices == MULTI_WORKER:
        lead(fn_args)
    else:
        train(fn_args)


def train(fn_args: FnArgs, channel: Channel | None = None) -> None:
    """Does what `run_fn` does, in this process.

    Args:
      channel: to the workers that follow, where this is the chief of several machines.

    Raises:
      TrainingStopped: SIGTERM came; the same call goes on from there.
    """
    settings = TrainSettings.from_config(fn_args.custom_config)
    output = tft.TFTransformOutput(fn_args.transform_output)
    policy = precision.resolve(settings.model.precision)
    settings = dataclasses.replace(
        settings, model=dataclasses.replace(settings.model, precision=policy)
    )
    state_dir = state.state_folder(settings, fn_args.hyperparameters, fn_args.train_files)
    state.remove_finished(state_dir)
    job = _job(settings, fn_args, output, state_dir)
    if channel:
        parcel.check_code(channel, settings.model.module)
        channel.send(parcel.pack(job, pathlib.Path(fn_args.transform_output)))
    with stoppable() as stop:
        result = fit(job, stop, channel)
    export(float32_copy(result.model, settings.model), output, fn_args.serving_model_dir)
    write_results(pathlib.Path(fn_args.model_run_dir), settings, job, result)
    state.release(state_dir, settings.keep_state)


def chosen_hyperparameters(settings: TrainSettings, tuned: dict[str, Any] | None) -> dict[str, Any]:
    """Returns batch size and learning rate: what the Tuner found, else what the settings say.

    Raises:
      ValueError: neither has them.
    """
    values = dict(tuned["values"]) if tuned else settings.hyperparameters
    if not {"batch_size", "learning_rate"} <= set(values):
        raise ValueError(
            f"expected batch_size and learning_rate for {settings.model.name}; got {values}: "
            "put a Tuner before the Trainer or name them in the settings"
        )
    return values


def _job(
    settings: TrainSettings,
    fn_args: FnArgs,
    output: tft.TFTransformOutput,
    state_dir: pathlib.Path,
) -> FitJob:
    values = chosen_hyperparameters(settings, fn_args.hyperparameters)
    return FitJob(
        what=settings.model.name,
        model=settings.model,
        precision=precision.resolve(settings.model.precision),
        batch_size=int(values["batch_size"]),
        learning_rate=float(values["learning_rate"]),
        epochs=settings.epochs,
        patience=settings.patience,
        train=dataset.read_split(fn_args.train_files[0]).first(settings.images),
        eval_=dataset.read_split(fn_args.eval_files[0]).first(settings.eval_images),
        transform=transform_of(output),
        state_dir=state_dir,
        log_dir=pathlib.Path(fn_args.model_run_dir) / "tensorboard",
    )


def write_results(
    folder: pathlib.Path, settings: TrainSettings, job: FitJob, result: FitResult
) -> None:
    """Writes `training.json` and the predictions of the best epoch on `eval`."""
    folder.mkdir(parents=True, exist_ok=True)
    record = result.record
    report = {
        "name": settings.model.name,
        "params": result.model.count_params(),
        "input_shape": settings.model.input_shape,
        "batch_size": job.batch_size,
        "learning_rate": job.learning_rate,
        "precision": job.precision,
        "rung": settings.rung,
        "epochs": len(record.history),
        "best_epoch": record.best_epoch + 1,
        "diverged": record.diverged,
        "train_images": len(job.train.labels),
        "eval_images": len(job.eval_.labels),
        "train_seconds": record.train_seconds,
        "eval_seconds": record.eval_seconds,
        "images_per_second": result.images_per_second,
        "history": record.history,
        "diagnosis": diagnosis_of(record, result.diagnosis),
    }
    (folder / TRAINING_FILE).write_text(json.dumps(report, indent=1))
    np.savez_compressed(
        folder / PREDICTIONS_FILE,
        probabilities=result.eval_probabilities,
        labels=job.eval_.labels,
    )
