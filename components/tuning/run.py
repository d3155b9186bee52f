"""The Tuner's entry point: unpacks TFX's arguments and sets up a search that survives a kill."""

import hashlib
import json
import pathlib
import shutil

import keras_tuner
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from components.settings import TuneSettings, to_config
from components.training import dataset, precision
from components.training.export import transform_of
from components.training.fit import FitJob
from components.tuning.fixed import FixedTrials
from components.tuning.hypermodel import OBJECTIVE, BatchAndRate

RANDOM_TRIALS = 4  # drawn at random before the Gaussian process takes over


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Returns the search; TFX runs it and writes the best hyperparameters and all trials."""
    settings = TuneSettings.from_config(fn_args.custom_config)
    job = job_of(settings, fn_args)
    sizes = filled(settings, len(job.train.labels))
    hypermodel = BatchAndRate(
        job, sizes, settings.learning_rates, tuple(name for name, _, _ in settings.runs)
    )
    return TunerFnResult(tuner=searcher(settings, hypermodel, fn_args.train_files), fit_kwargs={})


def searcher(
    settings: TuneSettings, hypermodel: BatchAndRate, inputs: list[str]
) -> keras_tuner.Tuner:
    """Returns a search in a folder that is the same for the same settings and inputs.

    It is Bayesian, or goes through the runs that the settings name.

    TFX's own working folder is new on every run, so a killed search would begin again there.
    """
    key = json.dumps([to_config(settings), inputs], sort_keys=True)
    name = f"{settings.model.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    try:
        return _tuner(settings, hypermodel, name)
    except ValueError:  # KerasTuner writes in place: a kill may have left half a JSON file
        shutil.rmtree(pathlib.Path(settings.state_dir) / name)
        return _tuner(settings, hypermodel, name)


def _tuner(settings: TuneSettings, hypermodel: BatchAndRate, name: str) -> keras_tuner.Tuner:
    if settings.runs:
        oracle = FixedTrials(settings.runs[: settings.trials], OBJECTIVE)
        return keras_tuner.Tuner(
            oracle, hypermodel, directory=settings.state_dir, project_name=name
        )
    return keras_tuner.BayesianOptimization(
        hypermodel,
        objective=OBJECTIVE,
        max_trials=settings.trials,
        num_initial_points=min(RANDOM_TRIALS, settings.trials),
        seed=settings.model.seed,
        directory=settings.state_dir,
        project_name=name,
        max_consecutive_failed_trials=settings.trials + 1,  # the node says why all of them failed
    )


def filled(settings: TuneSettings, images: int) -> tuple[int, ...]:
    """Returns the batch sizes that the images of a trial can fill.

    Raises:
      ValueError: there is none.
    """
    sizes = tuple(size for size in settings.batch_sizes if size <= images)
    if not sizes:
        raise ValueError(
            f"expected at least {min(settings.batch_sizes)} images a trial; got {images}: "
            "use more images or a smaller batch size"
        )
    return sizes


def job_of(settings: TuneSettings, fn_args: FnArgs) -> FitJob:
    """Returns the training of a trial, without batch size and rate."""
    return FitJob(
        what=settings.model.name,
        model=settings.model,
        precision=precision.resolve(settings.model.precision),
        batch_size=0,
        learning_rate=0.0,
        epochs=settings.epochs,
        patience=settings.epochs,
        train=dataset.read_split(fn_args.train_files[0]).first(settings.images),
        eval_=dataset.read_split(fn_args.eval_files[0]).first(settings.eval_images),
        transform=transform_of(tft.TFTransformOutput(fn_args.transform_graph_path)),
    )
