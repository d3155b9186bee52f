"""What KerasTuner searches: batch size and learning rate; a trial is a short training."""

import dataclasses
from typing import Any

import keras
import keras_tuner

from components.training.fit import FitJob, OutOfMemory, fit
from components.training.keeper import TrainingDiverged
from components.training.stopping import TrainingStopped, stoppable

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


class BatchAndRate(keras_tuner.HyperModel):
    """Scores hyperparameters by the accuracy on `eval` after a short training."""

    def __init__(
        self,
        job: FitJob,
        batch_sizes: tuple[int, ...],
        learning_rates: tuple[float, float],
        runs: tuple[str, ...] = (),
    ) -> None:
        """Takes a job whose batch size and learning rate each trial replaces.

        Args:
          runs: names of the trials, where they are named beforehand.
        """
        super().__init__(name=job.what)
        self._job, self._started = job, 0
        self._batch_sizes, self._learning_rates = batch_sizes, learning_rates
        self._runs = runs

    def declare(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Declares the search space in `hp` and returns the values chosen there."""
        low, high = self._learning_rates
        return {
            "batch_size": hp.Choice("batch_size", list(self._batch_sizes)),
            "learning_rate": hp.Float("learning_rate", low, high, sampling="log"),
        }

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Declares the search space; the model itself is built in `fit`, in the right precision."""
        self.declare(hp)
        if self._runs:
            hp.Choice("run", list(self._runs))
        model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
        model.compile()
        return model

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, **kwargs: Any
    ) -> dict[str, float]:
        """Trains one trial; returns the best epoch's validation metrics and the seconds it took.

        Raises:
          FailedTrialError: the training is sick, or its batch does not fit into memory; the search
            goes on with the next trial.
          FatalRuntimeError: SIGTERM came; KerasTuner lets no other error end a search.
        """
        self._started += 1
        values = self.declare(hp)
        what = f"{self._job.what} trial {self._started} (batch {values['batch_size']}, "
        job = dataclasses.replace(
            self._job, what=f"{what}rate {values['learning_rate']:.2g})", **values
        )
        try:
            with stoppable() as stop:
                result = fit(job, stop)
        except (TrainingDiverged, OutOfMemory) as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        except TrainingStopped as error:
            raise keras_tuner.errors.FatalRuntimeError(
                f"{job.what} was {error}; completed trials are kept: the same command goes on"
            ) from error
        record = result.record
        if record.ailment or (result.diagnosis and result.diagnosis.sick):
            raise keras_tuner.errors.FailedTrialError(record.ailment or str(result.diagnosis))
        best = record.history[record.best_epoch]
        return {
            "val_accuracy": best["val_accuracy"],
            "val_loss": best["val_loss"],
            "seconds": record.train_seconds + record.eval_seconds,
        }
