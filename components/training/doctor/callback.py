"""The doctor at work: looks into a training now and then, and stops it where it is sick."""

import dataclasses
import logging
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.training.dataset import Digits, Transform
from components.training.doctor.budget import Budget
from components.training.doctor.chart import Chart, Sample
from components.training.doctor.diagnosis import Diagnosis, Ending, diagnose, judge_the_end
from components.training.doctor.sampling import Sampler
from components.training.doctor.thresholds import Thresholds
from components.training.record import Record

LOGGER = logging.getLogger("mnist_tfx.doctor")


class Doctor(keras.callbacks.Callback):
    """Notes the loss of every execution, and takes samples as often as its share of time allows.

    It takes at most `Thresholds.promised_share` of a training's time, beside these looks:

    - one at the end, where none had been taken of the weights until then: a training shorter than
      twenty looks, such as a smoke test's or a small trial's, costs more than the share by this;
    - one before its turn where the loss explodes or a layer is silent, if the share was kept until
      then: the next has to wait for longer;
    - one into a training that is stopped for its losses, or whose weights seem sick at the end.

    A network that it cannot look into is judged by its losses alone.

    Put it before the `Keeper`, which turns the logs into those of a whole epoch. What is seen goes
    into `record.chart`, so a training that goes on after a kill has it still.
    """

    def __init__(
        self, record: Record, digits: Digits, transform: Transform, steps: int, limits: Thresholds
    ) -> None:
        """Takes digits of `train`, of which the last are kept aside, and the steps in an epoch."""
        super().__init__()
        self._record, self._limits, self._steps = record, limits, steps
        self._digits, self._transform = digits, transform
        self._sampler: Sampler | None = None
        self._budget = Budget(limits)
        self._epoch = self._before = self._done = 0
        self._total, self._suspicious = 0.0, False
        self._alarm: int | None = None  # the step at which the loss was seen to explode
        self._blind = ""  # why it cannot look into the network

    @property
    def spent(self) -> float:
        """Seconds that it took."""
        return self._budget.spent

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._budget.begin()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins to count the steps of an epoch, or of the rest of one."""
        self._epoch, self._before = epoch, self._record.part.steps
        self._done, self._total = 0, 0.0
        self._budget.wait()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the loss; looks and judges where it is time."""
        mean = float((logs or {}).get("loss", 0.0))  # waits for the steps: that is no cost of ours
        steps = batch + 1 - self._done
        self._budget.stepped(steps)
        with self._budget.pay():
            loss = self._loss_of(mean, batch + 1)
            self._done, self._total = batch + 1, mean * (batch + 1)
            at = self._epoch * self._steps + self._before + self._done
            self._record.chart.add_loss(at, steps, loss)
            due = self._is_due(loss, at)
        if due:
            self._examine(at)
        self._budget.wait()

    def name_the_end(self) -> None:
        """Says why a training whose loss is no longer finite stopped, if that is not said yet."""
        if self._record.diverged and not self._record.ailment:
            self._examine(self._record.chart.steps)

    def discharge(self, probabilities: np.ndarray) -> Diagnosis:
        """Judges the best epoch's weights, which the model has now.

        The last look until then has to do where another does not fit and nothing seems sick.

        Args:
          probabilities: float32 [n, 10] of that epoch on `eval`.
        """
        ending = self._ending(probabilities)
        chart = self._record.chart.until((ending.epoch + 1) * self._steps)
        found = judge_the_end(chart, ending, self._limits)
        doubtful = not chart.samples or found.sick or self._record.is_sick
        if doubtful or self._budget.has_room_at_the_end():
            self._look_at_the_end(chart, ending.epoch)
            found = judge_the_end(chart, ending, self._limits)
        return dataclasses.replace(found, blind=self._blind)

    def _ending(self, probabilities: np.ndarray) -> Ending:
        best = self._record.history[self._record.best_epoch]
        counts = np.bincount(probabilities.argmax(-1))
        return Ending(
            epoch=self._record.best_epoch,
            loss=best["loss"],
            val_loss=best["val_loss"],
            top=int(counts.argmax()),
            share=float(counts.max() / len(probabilities)),
        )

    def _loss_of(self, mean: float, done: int) -> float:
        """Returns the mean loss of the last execution, given that of the epoch until now."""
        if not math.isfinite(mean):
            return mean
        return max(mean * done - self._total, 0.0) / (done - self._done)

    def _is_due(self, loss: float, at: int) -> bool:
        """Whether a look fits into the share of time, or cannot wait.

        It cannot before the training is stopped for its losses: at once, or when the time to come
        back from an explosion is over.
        """
        if not loss <= self._limits.hopeless_loss:
            return True
        if self._alarm is None and loss > self._limits.exploded_loss:
            self._alarm = at
            return self._budget.is_within()
        if self._alarm is not None and at - self._alarm >= self._limits.recovery_steps:
            self._alarm = None
            if diagnose(self._record.chart, self._limits).sick:
                return True
        # What is certain at a second look should not have to wait for its turn.
        return self._budget.is_within() if self._suspicious else self._budget.has_room()

    def _examine(self, step: int) -> None:
        """Looks, judges, and stops the training where it is sick."""
        with self._budget.pay(look=True):
            if sample := self._sample(step, self._epoch):
                self._record.chart.add_sample(sample)
                silent = any(layer.dead == 1.0 for layer in sample.layers)
                self._suspicious = silent and not self._suspicious
            found = diagnose(self._record.chart, self._limits)
        if found.sick:
            self._record.ailment = str(found)
            self.model.stop_training = True
            LOGGER.warning("%s", found)

    def _look_at_the_end(self, chart: Chart, epoch: int) -> None:
        """Adds a look at the weights as they are now to a chart, and to the record's if empty."""
        with self._budget.pay(look=True):
            if sample := self._sample((epoch + 1) * self._steps, epoch):
                chart.add_sample(sample)
                if not self._record.chart.samples:
                    self._record.chart.add_sample(sample)

    def _sample(self, step: int, epoch: int) -> Sample | None:
        """Returns a look into the network, or None where that is not possible."""
        if self._blind:
            return None
        try:
            self._sampler = self._sampler or self._new_sampler()
            return self._sampler.take(step, epoch)
        except Exception as error:  # whatever a network's layers raise, the training goes on
            first = (str(error).strip().splitlines() or [""])[0]
            self._blind = f"{type(error).__name__}: {first[:200]}"
            self._suspicious = False
            LOGGER.warning(
                "expected a network that can be looked into; the doctor cannot, and judges it by "
                "its losses alone (%s): make it a Sequential or a functional model",
                self._blind,
            )
            return None

    def _new_sampler(self) -> Sampler:
        large = self.model.count_params() >= self._limits.large
        few = self._limits.images_of_large if large else self._limits.images
        pixels = self._transform(tf.constant(self._digits.images[-few:]))
        return Sampler(self.model, pixels, tf.constant(self._digits.labels[-few:]))
