"""What the doctor saw of a training: samples of the layers, and the loss. Nothing is judged here.

A chart is plain values, a part of the training's record: it goes into every checkpoint, so after a
kill the doctor goes on with what was seen until then.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

MOST_SAMPLES = 64  # then every second of the older half goes
MOST_POINTS = 1024  # then the older half is merged in pairs; the newer half stays as fine as it was
IN_REPORT = 128  # points of the loss in `training.json`
COLUMNS = ("gradient", "update", "dead", "spread")


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer with weights, on the batch that is kept aside.

    Attributes:
      size: trainable weights; 0 where the layer is not trained at all.
      gradient: norm of the loss' gradient over them; 0.0 without any.
      weight: norm of its kernel, or of all its weights where it has none.
      update: norm of the last step of the optimizer over that.
      dead: share of its ReLUs (filters of a convolution) that are 0 everywhere; None without any.
      spread: standard deviation of its output; not finite where the output is not.
    """

    name: str
    size: int
    gradient: float
    weight: float
    update: float
    dead: float | None
    spread: float

    @property
    def gradient_rms(self) -> float:
        """The root mean square of its gradient."""
        return self.gradient / math.sqrt(max(self.size, 1))


@dataclasses.dataclass(frozen=True)
class Sample:
    """One look into the network.

    Attributes:
      step: optimizer steps before it, over all epochs.
      epoch: of that step, from 0.
      loss: on the batch kept aside, in nats.
      top: the class that is answered most often there.
      share: of the answers that are this class.
      scale: by which float16's losses are multiplied now; 0.0 in other precisions.
      half: whether the layers compute in float16.
    """

    step: int
    epoch: int
    loss: float
    top: int
    share: float
    scale: float
    half: bool
    layers: tuple[Layer, ...]

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Reads what `dataclasses.asdict` made of a sample."""
        return cls(**{**state, "layers": tuple(Layer(**layer) for layer in state["layers"])})


class Point(NamedTuple):
    """The loss over some steps: the last of them (counted from 1), how many, mean and highest."""

    end: int
    steps: int
    mean: float
    highest: float


def mean_of(points: Iterable[Point]) -> Point:
    """Returns points in a row as one; there must be at least one."""
    some = list(points)
    steps = sum(point.steps for point in some)
    mean = sum(point.mean * point.steps for point in some) / steps
    return Point(some[-1].end, steps, mean, max(point.highest for point in some))


@dataclasses.dataclass
class Chart:
    """All that was seen of a training.

    Attributes:
      samples: the first, and as many of the others as there is room for.
      losses: over all steps so far, the newer ones execution by execution.
    """

    samples: list[Sample] = dataclasses.field(default_factory=list)
    losses: list[Point] = dataclasses.field(default_factory=list)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Reads what `dataclasses.asdict` made of a chart, or nothing at all."""
        samples = [Sample.from_state(sample) for sample in state.get("samples", ())]
        return cls(samples, [Point(*point) for point in state.get("losses", ())])

    @property
    def steps(self) -> int:
        """Steps whose loss is known, over all epochs."""
        return self.losses[-1].end if self.losses else 0

    def add_loss(self, end: int, steps: int, loss: float) -> None:
        """Adds the mean loss over some steps."""
        self.losses.append(Point(end, steps, loss, loss))
        if len(self.losses) > MOST_POINTS:
            self.losses = _halved(self.losses, MOST_POINTS // 2)

    def add_sample(self, sample: Sample) -> None:
        """Adds a look into the network."""
        self.samples.append(sample)
        if len(self.samples) > MOST_SAMPLES:
            half = MOST_SAMPLES // 2
            self.samples = [*self.samples[:half:2], *self.samples[half:]]

    def until(self, step: int) -> "Chart":
        """Returns what was seen up to a step, that step included."""
        return Chart(
            [sample for sample in self.samples if sample.step <= step],
            [point for point in self.losses if point.end <= step],
        )

    def in_columns(self) -> dict[str, Any]:
        """Returns the chart for `training.json`: a list a figure, and a list a layer in each.

        A figure that is not finite, or that a layer does not have, is None.
        """
        points = self.losses
        while len(points) > IN_REPORT:
            points = _halved(points, len(points))
        layers = self.samples[-1].layers if self.samples else ()
        return {
            "layers": [layer.name for layer in layers],
            "steps": [sample.step for sample in self.samples],
            "epochs": [sample.epoch + 1 for sample in self.samples],
            "loss": [_finite(sample.loss) for sample in self.samples],
            "top_class": [sample.top for sample in self.samples],
            "top_share": [_finite(sample.share) for sample in self.samples],
            **{name: [_column(s, name) for s in self.samples] for name in COLUMNS},
            "loss_by_step": [[p.end, _finite(p.mean), _finite(p.highest)] for p in points],
        }


def _column(sample: Sample, name: str) -> list[float | None]:
    return [_finite(getattr(layer, name)) for layer in sample.layers]


def _finite(value: float | None) -> float | None:
    """Returns a value with four digits, as JSON can hold it."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.4g}")


def _halved(points: list[Point], count: int) -> list[Point]:
    """Returns the points with the first `count` merged in pairs."""
    merged = [mean_of(points[i : min(i + 2, count)]) for i in range(0, count, 2)]
    return [*merged, *points[count:]]
