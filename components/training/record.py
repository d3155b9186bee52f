"""What is known of a training so far, as values that survive a kill through a checkpoint."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from components.training.doctor.chart import Chart


@dataclasses.dataclass(frozen=True)
class Part:
    """The steps of an epoch that were taken before it was saved.

    Attributes:
      steps: how many.
      seconds: the time that they took.
      means: of loss and accuracy over them, by name.
    """

    steps: int = 0
    seconds: float = 0.0
    means: dict[str, float] = dataclasses.field(default_factory=dict)

    def followed_by(self, steps: int, seconds: float, means: Mapping[str, float]) -> Self:
        """Returns both parts as one; each mean counts by its steps, whose batches are equal."""
        total = self.steps + steps
        merged = {name: float(value) for name, value in {**self.means, **means}.items()}
        for name, value in self.means.items():
            merged[name] += (value - merged[name]) * self.steps / total
        return type(self)(total, self.seconds + seconds, merged)


@dataclasses.dataclass
class Record:
    """What is known of a training after some epochs and some steps of the next.

    Attributes:
      history: one dict an epoch: epoch, loss, accuracy, val_loss, val_accuracy, seconds. An epoch
        that a kill cut in two has the figures and the seconds of both parts together.
      best_epoch: number (from 0) of the epoch with the best accuracy on `eval`, -1 before any.
      diverged: whether the loss stopped being finite.
      train_seconds: time in the training steps of `history`, without the writing of checkpoints.
      eval_seconds: time in the predictions of `eval` for `history`.
      part: what was saved of the epoch after those; all of its steps where only `eval` is left.
      ailment: why the doctor stopped the training, in words that begin with the illness.
      chart: what the doctor saw.
    """

    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = -1
    diverged: bool = False
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    part: Part = dataclasses.field(default_factory=Part)
    ailment: str = ""
    chart: Chart = dataclasses.field(default_factory=Chart)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Reads what `dataclasses.asdict` made of a record."""
        chart = Chart.from_state(state.get("chart", {}))
        return cls(**{**state, "part": Part(**state["part"]), "chart": chart})

    @property
    def is_sick(self) -> bool:
        """Whether the training was stopped for its health."""
        return self.diverged or bool(self.ailment)

    @property
    def next_epoch(self) -> int:
        """The number of the epoch to go on with."""
        return len(self.history)

    def is_stale(self, patience: int) -> bool:
        """Whether the last `patience` epochs brought nothing better."""
        return self.next_epoch - 1 - self.best_epoch >= patience
