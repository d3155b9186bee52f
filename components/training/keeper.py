"""The end of each epoch: validation, the best weights, early stopping, checkpoints, divergence."""

import dataclasses
import math
import time
from typing import Any

import keras
import numpy as np

from components.training import scoring
from components.training.checkpoint import Checkpoints
from components.training.dataset import Digits, Transform


class TrainingDiverged(RuntimeError):
    """The loss became infinite or not a number before any epoch was good."""


@dataclasses.dataclass
class Record:
    """What is known of a training after some epochs; it survives a kill through a checkpoint.

    Attributes:
      history: one dict an epoch: epoch, loss, accuracy, val_loss, val_accuracy, seconds.
      best_epoch: number (from 0) of the epoch with the best accuracy on `eval`, -1 before any.
      diverged: whether the loss stopped being finite.
      train_seconds: time in training steps, `eval_seconds` in predictions of `eval`.
    """

    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = -1
    diverged: bool = False
    train_seconds: float = 0.0
    eval_seconds: float = 0.0

    @property
    def next_epoch(self) -> int:
        """The number of the epoch to go on with."""
        return len(self.history)

    def is_stale(self, patience: int) -> bool:
        """Whether the last `patience` epochs brought nothing better."""
        return self.next_epoch - 1 - self.best_epoch >= patience


class Keeper(keras.callbacks.Callback):
    """Predicts `eval` after each epoch and keeps what must be kept. Put it before other callbacks.

    It adds `val_loss` and `val_accuracy` to the epoch's logs.
    """

    def __init__(
        self,
        record: Record,
        digits: Digits,
        transform: Transform,
        patience: int,
        checkpoints: Checkpoints | None,
    ) -> None:
        """Takes the record to go on with and, unless nothing is kept on disk, checkpoints."""
        super().__init__()
        self.record, self.best_probabilities = record, np.empty((0, 0), np.float32)
        self._digits, self._transform, self._patience = digits, transform, patience
        self._checkpoints, self._best_weights = checkpoints, None
        self._begun = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops at once where the loss is no longer finite."""
        self._stop_unless_finite((logs or {}).get("loss", 0.0))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validates, remembers the best, writes the checkpoint, stops what no longer improves."""
        if self.record.diverged:
            return
        trained = time.perf_counter()
        self.record.train_seconds += trained - self._begun
        logs = logs if logs is not None else {}
        probabilities = self._validate(logs)
        self.record.eval_seconds += time.perf_counter() - trained
        self._stop_unless_finite(logs["val_loss"])  # the last step may have ruined the weights
        if self.record.diverged:
            return
        kept = {k: float(v) for k, v in logs.items()}
        self.record.history.append({"epoch": epoch, **kept, "seconds": trained - self._begun})
        if self._is_best(epoch):
            self._keep_best(epoch, probabilities)
        if self._checkpoints:
            self._checkpoints.save_epoch(epoch, dataclasses.asdict(self.record))
        if self.record.is_stale(self._patience):
            self.model.stop_training = True

    def restore_best(self) -> None:
        """Puts the best weights into the model and predicts `eval` again where that is needed.

        Raises:
          TrainingDiverged: no epoch ended with a finite loss.
        """
        best = self.record.best_epoch
        if best < 0:
            raise TrainingDiverged(
                "expected a finite loss; it became infinite or not a number in the first epoch: "
                "take a smaller learning rate or float32"
            )
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
        elif not (self._checkpoints and self._checkpoints.restore_best(best)):
            raise TrainingDiverged(f"the weights of the best epoch {best + 1} cannot be read")
        if not len(self.best_probabilities):
            self.best_probabilities = scoring.predict(
                self.model, self._digits.images, self._transform
            )

    def _stop_unless_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            self.record.diverged = True
            self.model.stop_training = True

    def _validate(self, logs: dict[str, Any]) -> np.ndarray:
        probabilities = scoring.predict(self.model, self._digits.images, self._transform)
        logs["val_loss"] = scoring.cross_entropy(probabilities, self._digits.labels)
        logs["val_accuracy"] = scoring.accuracy(probabilities, self._digits.labels)
        return probabilities

    def _is_best(self, epoch: int) -> bool:
        history, best = self.record.history, self.record.best_epoch
        return best < 0 or history[epoch]["val_accuracy"] > history[best]["val_accuracy"]

    def _keep_best(self, epoch: int, probabilities: np.ndarray) -> None:
        self.record.best_epoch, self.best_probabilities = epoch, probabilities
        if self._checkpoints:
            self._checkpoints.save_best(epoch)
        self._best_weights = self.model.get_weights()
