"""Trials that are named beforehand, one after the other, in place of a search."""

from collections.abc import Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import TrialStatus

Run = tuple[str, int, float]  # name, batch size, learning rate


class FixedTrials(keras_tuner.Oracle):
    """Proposes runs in their order; the best of them wins as in any search."""

    def __init__(self, runs: Sequence[Run], objective: keras_tuner.Objective) -> None:
        """Takes at least one run."""
        # The node says why all of them failed; the search itself goes through to the end.
        super().__init__(
            objective, max_trials=len(runs), max_consecutive_failed_trials=len(runs) + 1
        )
        self._runs = tuple(runs)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a trial by its number, which KerasTuner counts from 0."""
        name, batch_size, learning_rate = self._runs[int(trial_id)]
        values = {"run": name, "batch_size": batch_size, "learning_rate": learning_rate}
        return {"status": TrialStatus.RUNNING, "values": values}
