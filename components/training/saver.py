"""When a training is saved: after each epoch, every so often within one, and when it must stop."""

import dataclasses
import time

from components.models.averaging import Averages
from components.training.checkpoint import Checkpoints
from components.training.record import Record
from components.training.stopping import Stop, TrainingStopped

CHECKPOINT_SECONDS = 120.0  # what a kill without a word costs at most
MOST_SHARE = 0.05  # of the time, spent on checkpoints within an epoch; a slow disk gets fewer


class Saver:
    """Writes a training's checkpoints, where there is a folder for them, and obeys a stop."""

    def __init__(
        self,
        record: Record,
        checkpoints: Checkpoints | None,
        stop: Stop,
        seconds: float,
        averages: Averages,
    ) -> None:
        """Takes the seconds between two checkpoints within an epoch."""
        self.checkpoints, self.averages = checkpoints, averages
        self._record, self._stop, self._seconds = record, stop, seconds
        self._saved, self._cost = time.perf_counter(), 0.0

    def is_due(self) -> bool:
        """Whether it is time to save, or to stop."""
        if self._stop.asked or not self.checkpoints:
            return self._stop.asked
        between = max(self._seconds, self._cost / MOST_SHARE)
        return time.perf_counter() - self._saved >= between

    def save(self) -> None:
        """Saves the model and the record as they are now.

        Raises:
          TrainingStopped: a stop was asked for; all is saved.
        """
        begun = time.perf_counter()
        self.averages.put_back()
        if self.checkpoints:
            self.checkpoints.save(dataclasses.asdict(self._record))
        self._saved = time.perf_counter()
        self._cost = self._saved - begun
        self.raise_if_asked()

    def save_if_asked(self) -> None:
        """Does nothing, or saves and raises `TrainingStopped` where a stop was asked for."""
        if self._stop.asked:
            self.save()

    def raise_if_asked(self) -> None:
        """Raises `TrainingStopped` where a stop was asked for, with what is saved and where."""
        if not self._stop.asked:
            return
        epoch, steps = self._record.next_epoch, self._record.part.steps
        where = f"in epoch {epoch + 1} after {steps} steps" if steps else f"after epoch {epoch}"
        kept = "nothing of this training is saved"
        if self.checkpoints:
            kept = f"saved in {self.checkpoints.folder}; the same command goes on from there"
        raise TrainingStopped(f"stopped by SIGTERM {where}: {kept}")
