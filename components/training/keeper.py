"""The end of each batch and epoch: validation, the best weights, early stopping, divergence."""

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from components.training import scoring
from components.training.dataset import Digits, Transform
from components.training.doctor.chart import Chart
from components.training.record import Part, Record
from components.training.saver import Saver


class TrainingDiverged(RuntimeError):
    """No epoch ended in good health: the loss was not finite, or the doctor stopped it.

    Attributes:
      chart: what the doctor saw until then.
    """

    def __init__(self, message: str, chart: Chart) -> None:
        """Takes what went wrong, in words, and what the doctor saw."""
        super().__init__(message)
        self.chart = chart


class Keeper(keras.callbacks.Callback):
    """Predicts `eval` after each epoch and keeps what must be kept. Put it before other callbacks.

    It adds `val_loss` and `val_accuracy` to the epoch's logs, and makes `loss` and `accuracy` in
    the logs those of the whole epoch where a kill cut it in two.
    """

    def __init__(
        self,
        record: Record,
        digits: Digits,
        transform: Transform,
        patience: int,
        saver: Saver,
    ) -> None:
        """Takes the record to go on with, and the digits of `eval`."""
        super().__init__()
        self.record, self.best_probabilities = record, np.empty((0, 0), np.float32)
        self._digits, self._transform, self._patience = digits, transform, patience
        self._saver, self._best_weights = saver, None
        self._earlier, self._steps, self._begun = record.part, 0, 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._earlier, self._steps, self._begun = self.record.part, 0, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops at once where the loss is no longer finite; else saves where that is due."""
        self._steps = batch + 1
        logs = logs if logs is not None else {}
        here = dict(logs)
        logs.update(self._part(here).means)
        self._stop_unless_finite(logs.get("loss", 0.0))
        if not self.record.is_sick and self._saver.is_due():
            begun = time.perf_counter()
            self.record.part = self._part(here)
            self._saver.save()
            self._begun += time.perf_counter() - begun  # what was written is no training

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validates, remembers the best, writes the checkpoint, stops what no longer improves."""
        if self.record.is_sick:
            return
        logs = logs if logs is not None else {}
        self.record.part = self._part(logs)
        logs.update(self.record.part.means)
        trained = time.perf_counter()
        self._saver.averages.use()  # they are validated and kept, where there are any
        probabilities = self._validate(logs)
        self._stop_unless_finite(logs["val_loss"])  # the last step may have ruined the weights
        if self.record.diverged:
            self._saver.averages.put_back()
            return
        self._remember(epoch, logs, time.perf_counter() - trained)
        if self._is_best(epoch):
            self._keep_best(epoch, probabilities)
        self._saver.averages.put_back()
        self._saver.save()
        if self.record.is_stale(self._patience):
            self.model.stop_training = True

    def restore_best(self) -> None:
        """Puts the best weights into the model and predicts `eval` again where that is needed.

        Raises:
          TrainingDiverged: no epoch ended in good health.
        """
        best = self.record.best_epoch
        if best < 0:
            raise TrainingDiverged(self._why_nothing_is_good(), self.record.chart)
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
        elif not (self._saver.checkpoints and self._saver.checkpoints.restore_best(best)):
            message = f"the weights of the best epoch {best + 1} cannot be read"
            raise TrainingDiverged(message, self.record.chart)
        if not len(self.best_probabilities):
            self.best_probabilities = scoring.predict(
                self.model, self._digits.images, self._transform
            )

    def _why_nothing_is_good(self) -> str:
        if not self.record.diverged:
            return f"expected a healthy training; the first epoch was not: {self.record.ailment}"
        ailment = f"; {self.record.ailment}" if self.record.ailment else ""
        return (
            "expected a finite loss; it became infinite or not a number in the first epoch: "
            f"take a smaller learning rate or float32{ailment}"
        )

    def _part(self, means: Mapping[str, Any]) -> Part:
        """Returns what was done of the epoch, given the means over what was done here."""
        return self._earlier.followed_by(self._steps, time.perf_counter() - self._begun, means)

    def _remember(self, epoch: int, logs: Mapping[str, float], eval_seconds: float) -> None:
        seconds, self.record.part = self.record.part.seconds, Part()
        kept = {name: float(value) for name, value in logs.items()}
        self.record.history.append({"epoch": epoch, **kept, "seconds": seconds})
        self.record.train_seconds += seconds
        self.record.eval_seconds += eval_seconds

    def _stop_unless_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            self.record.diverged = True
            self.model.stop_training = True

    def _validate(self, logs: dict[str, Any]) -> np.ndarray:
        probabilities = scoring.predict(
            self.model, self._digits.images, self._transform, self._saver.save_if_asked
        )
        logs["val_loss"] = scoring.cross_entropy(probabilities, self._digits.labels)
        logs["val_accuracy"] = scoring.accuracy(probabilities, self._digits.labels)
        return probabilities

    def _is_best(self, epoch: int) -> bool:
        history, best = self.record.history, self.record.best_epoch
        return best < 0 or history[epoch]["val_accuracy"] > history[best]["val_accuracy"]

    def _keep_best(self, epoch: int, probabilities: np.ndarray) -> None:
        self.record.best_epoch, self.best_probabilities = epoch, probabilities
        if self._saver.checkpoints:
            self._saver.checkpoints.save_best(epoch)
        self._best_weights = self.model.get_weights()
