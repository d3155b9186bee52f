"""The doctor at work: looks into a training now and then, and stops it where it is sick."""

import logging
import math
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.training.dataset import Digits, Transform
from components.training.doctor.chart import Sample
from components.training.doctor.diagnosis import Diagnosis, Ending, diagnose, judge_the_end
from components.training.doctor.sampling import Sampler
from components.training.doctor.thresholds import Thresholds
from components.training.record import Record

LOGGER = logging.getLogger("mnist_tfx.doctor")


class Doctor(keras.callbacks.Callback):
    """Notes the loss of every execution, and takes samples as often as its share of time allows.

    Put it before the `Keeper`, which turns the logs into those of a whole epoch. What is seen goes
    into `record.chart`, so a training that goes on after a kill has it still.
    """

    def __init__(
        self, record: Record, digits: Digits, transform: Transform, steps: int, limits: Thresholds
    ) -> None:
        """Takes digits of `train`, of which the last are kept aside, and the steps in an epoch."""
        super().__init__()
        self._record, self._limits, self._steps = record, limits, steps
        self._digits = Digits(digits.images[-limits.images :], digits.labels[-limits.images :])
        self._transform = transform
        self._sampler: Sampler | None = None
        self._began, self.spent, self._last_cost = time.perf_counter(), 0.0, 0.0
        self._epoch = self._before = self._done = 0
        self._total, self._suspicious = 0.0, False
        self._alarm: int | None = None  # the step at which the loss was seen to explode

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Looks at the weights before the first step."""
        self._began, self.spent = time.perf_counter(), 0.0
        if not self._record.chart.samples:
            self._look(0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins to count the steps of an epoch, or of the rest of one."""
        self._epoch, self._before = epoch, self._record.part.steps
        self._done, self._total = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the loss; looks and judges where it is time."""
        mean = float((logs or {}).get("loss", 0.0))  # waits for the steps: that is no cost of ours
        begun = time.perf_counter()
        loss, steps = self._loss_of(mean, batch + 1), batch + 1 - self._done
        self._done, self._total = batch + 1, mean * (batch + 1)
        at = self._epoch * self._steps + self._before + self._done
        self._record.chart.add_loss(at, steps, loss)
        self.spent += time.perf_counter() - begun
        if self._is_due(loss, at):
            self._look(at)
            self._judge()

    def name_the_end(self) -> None:
        """Says why a training whose loss is no longer finite stopped, if that is not said yet."""
        if self._record.diverged and not self._record.ailment:
            self._look(self._record.chart.steps)
            self._judge()

    def discharge(self, probabilities: np.ndarray) -> Diagnosis:
        """Judges the best epoch's weights, which the model has now.

        Args:
          probabilities: float32 [n, 10] of that epoch on `eval`.
        """
        best = self._record.history[self._record.best_epoch]
        step = (self._record.best_epoch + 1) * self._steps
        counts = np.bincount(probabilities.argmax(-1))
        chart = self._record.chart.until(step)
        chart.samples.append(self._sample(step, self._record.best_epoch))
        ending = Ending(
            epoch=self._record.best_epoch,
            loss=best["loss"],
            val_loss=best["val_loss"],
            top=int(counts.argmax()),
            share=float(counts.max() / len(probabilities)),
        )
        return judge_the_end(chart, ending, self._limits)

    def _loss_of(self, mean: float, done: int) -> float:
        """Returns the mean loss of the last execution, given that of the epoch until now."""
        if not math.isfinite(mean):
            return mean
        return max(mean * done - self._total, 0.0) / (done - self._done)

    def _is_due(self, loss: float, at: int) -> bool:
        """Whether a look fits into the share of time, or cannot wait.

        It cannot at an explosion, and when the time to come back from one is over.
        """
        if self._suspicious or not loss <= self._limits.hopeless_loss:
            return True
        if self._alarm is None and loss > self._limits.exploded_loss:
            self._alarm = at
            return True
        if self._alarm is not None and at - self._alarm >= self._limits.recovery_steps:
            self._alarm = None
            return True
        passed = time.perf_counter() - self._began
        return self.spent + self._last_cost <= self._limits.most_share * passed

    def _look(self, step: int) -> None:
        sample = self._sample(step, self._epoch)
        self._record.chart.add_sample(sample)
        # What is certain at a second look should not have to wait for its turn.
        silent = any(layer.dead == 1.0 for layer in sample.layers)
        self._suspicious = silent and not self._suspicious

    def _sample(self, step: int, epoch: int) -> Sample:
        begun = time.perf_counter()
        if self._sampler is None:
            pixels = self._transform(tf.constant(self._digits.images))
            self._sampler = Sampler(self.model, pixels, tf.constant(self._digits.labels))
        sample = self._sampler.take(step, epoch)
        self._last_cost = time.perf_counter() - begun
        self.spent += self._last_cost
        return sample

    def _judge(self) -> None:
        begun = time.perf_counter()
        found = diagnose(self._record.chart, self._limits)
        self.spent += time.perf_counter() - begun
        if found.sick:
            self._record.ailment = str(found)
            self.model.stop_training = True
            LOGGER.warning("%s", found)
