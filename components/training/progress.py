"""Reports how far a training is through the standard logger; who listens decides how it looks."""

import dataclasses
import time
from typing import Any

import keras

from components.training.user_log import LOGGER

SECONDS_BETWEEN_REPORTS = 1.0


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """Where a training is. `images` of `total_images` count over all epochs.

    Attributes:
      what: the model's name, or a trial of it.
      seconds_left: of training, validation not counted.
    """

    what: str
    epoch: int
    epochs: int
    images: int
    total_images: int
    accuracy: float
    images_per_second: float
    seconds_left: float

    def __str__(self) -> str:
        """Returns one line for a log or a screen."""
        return (
            f"{self.what}: epoch {self.epoch}/{self.epochs}, accuracy {self.accuracy:.4f}, "
            f"{self.images_per_second:,.0f} images/s, {self.seconds_left:,.0f} s left"
        )


class Progress(keras.callbacks.Callback):
    """Logs a `TrainingProgress` at most once a second and at the end of each epoch."""

    def __init__(
        self, what: str, epochs: int, steps: int, batch_size: int, before: int = 0
    ) -> None:
        """Takes the steps of one epoch, and how many of the first were taken before a kill."""
        super().__init__()
        self._what, self._epochs, self._steps, self._batch = what, epochs, steps, batch_size
        self._epoch = self._reported = self._busy = self._begun = 0.0
        self._before, self._done_here = before, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock of an epoch."""
        self._epoch, self._begun = epoch, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports unless it did so within the last second, or this is not an epoch's end."""
        now = time.perf_counter()
        last = self._before + batch + 1 >= self._steps
        if last or now - self._reported >= SECONDS_BETWEEN_REPORTS:
            self._report(batch + 1, self._busy + now - self._begun, logs or {})
            self._reported = now
        if last:
            self._busy += now - self._begun
            self._done_here += batch + 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """From now on every epoch has all of its steps here."""
        self._before = 0

    def _report(self, steps: int, seconds: float, logs: dict[str, Any]) -> None:
        done = (int(self._epoch) * self._steps + self._before + steps) * self._batch
        total = self._epochs * self._steps * self._batch
        rate = (self._done_here + steps) * self._batch / max(seconds, 1e-9)
        state = TrainingProgress(
            self._what,
            int(self._epoch) + 1,
            self._epochs,
            done,
            total,
            float(logs.get("accuracy", 0.0)),
            rate,
            (total - done) / rate,
        )
        LOGGER.info("%s", state, extra={"progress": state})
