"""Judges a chart: which illness a training has, in words with numbers. Needs no TensorFlow."""

import dataclasses
import math
from collections.abc import Iterable

from components.training.doctor import words
from components.training.doctor.chart import Chart, Layer, Sample
from components.training.doctor.losses import not_learning, size_of, unrecovered
from components.training.doctor.thresholds import Thresholds

HEALTHY = "healthy"
EXPLODING = "exploding"
DEAD = "dead ReLUs"
FROZEN = "frozen"
VANISHING = "vanishing"
COLLAPSED = "collapsed to one class"
STUCK = "stuck at ln 10"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was found: a state, and what shows it."""

    state: str
    what: str

    def __str__(self) -> str:
        """Returns both in one line."""
        return f"{self.state}: {self.what}"


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What the doctor says; the causes come before what follows from them.

    Attributes:
      healthy: in words, where nothing else was found.
      blind: why the doctor could not look into the network; empty where it could.
    """

    findings: tuple[Finding, ...]
    healthy: str = ""
    blind: str = ""

    @property
    def state(self) -> str:
        """The first finding's state, or `healthy`."""
        return self.findings[0].state if self.findings else HEALTHY

    @property
    def sick(self) -> bool:
        """Whether anything was found."""
        return bool(self.findings)

    def __str__(self) -> str:
        """Returns all findings in one line."""
        said = "; ".join(map(str, self.findings)) or f"{HEALTHY}: {self.healthy}"
        return f"{said}; the doctor could not look inside ({self.blind})" if self.blind else said


@dataclasses.dataclass(frozen=True)
class Ending:
    """The epoch whose weights a training ends with.

    Attributes:
      loss: mean over its training steps, 0.0 before any.
      val_loss: on `eval`.
      top: the class that is answered most often on `eval`.
      share: of the answers that are this class.
    """

    epoch: int
    loss: float
    val_loss: float
    top: int
    share: float


def diagnose(chart: Chart, limits: Thresholds) -> Diagnosis:
    """Judges a training that is going on by all that was seen so far."""
    exploding = _exploding(chart, limits, limits.recovery_steps)
    findings = [exploding] if exploding else _standing_still(chart, limits)
    if findings and not exploding and (cause := _exploding(chart, limits, 0)):
        findings = [cause, *findings]  # what the explosion left behind shows that it is one
    return Diagnosis(tuple(findings), words.course(chart))


def judge_the_end(chart: Chart, ending: Ending, limits: Thresholds) -> Diagnosis:
    """Judges the weights that a training ends with.

    Args:
      chart: until the end of their epoch; the last sample was taken of them, or not long before.
        Without samples the losses alone are judged.
    """
    lost = ending.val_loss >= limits.recovered * limits.chance
    findings = []
    if ending.val_loss > limits.exploded_loss:
        what = f"the loss on eval is {words.number(ending.val_loss)}"
        findings = [_exploding(chart, limits, limits.recovery_steps) or Finding(EXPLODING, what)]
    elif lost and (exploding := _exploding(chart, limits, limits.recovery_steps)):
        findings = [exploding]
    elif chart.samples and (unfit := _unfit(chart.samples[-1])):
        findings = [Finding(EXPLODING, unfit)]
    else:
        findings = [
            *_still(chart.samples[-1:], limits, lost and chart.steps >= limits.fewest_steps)
        ]
    if lost and chart.steps >= limits.fewest_steps and ending.share >= limits.collapsed_share:
        what = words.one_class(ending.top, ending.share, ending.val_loss, "eval")
        findings.append(Finding(COLLAPSED, what))
    level = min(ending.loss, ending.val_loss)
    if chart.steps >= limits.stuck_steps and level >= limits.stuck * limits.chance:
        findings.append(Finding(STUCK, words.level(level, chart.steps)))
    return Diagnosis(tuple(findings), words.course(chart))


def _exploding(chart: Chart, limits: Thresholds, patience: int) -> Finding | None:
    last = chart.samples[-1] if chart.samples else None
    start = unrecovered(chart.losses, limits)
    if start is None:
        what = _unfit(last) if last else ""
        return Finding(EXPLODING, what) if what else None
    since = [point for point in chart.losses if point.end >= start.end]
    peak = max(since, key=lambda point: size_of(point.highest))
    hopeless = size_of(peak.highest) > limits.hopeless_loss
    if not hopeless and chart.steps - start.end < patience:
        return None
    return Finding(EXPLODING, words.explosion(chart, start, peak))


def _unfit(sample: Sample) -> str:
    """Returns which layer's output is not finite, or that float16 is too narrow; else nothing."""
    first = next((x for x in sample.layers if not math.isfinite(x.spread + x.weight)), None)
    if first and not math.isfinite(first.weight):
        return f"the weights of {first.name} are not finite at step {sample.step:,}"
    if first and sample.half:
        return words.overflow(sample, first.name)
    if first:
        return f"the output of {first.name} is not finite at step {sample.step:,}"
    return words.underscaled(sample) if 0 < sample.scale < 1 else ""


def _standing_still(chart: Chart, limits: Thresholds) -> list[Finding]:
    """Returns what keeps a training from getting on, and how that shows.

    One sample is too few to tell; without any the losses have to do.
    """
    recent = chart.samples[-limits.confirmations :]
    if recent and len(recent) < limits.confirmations:
        return []
    level = not_learning(chart.losses, limits)
    found = [*_still(recent, limits, lost=level is not None)]
    if level is None:
        return found
    share = min((sample.share for sample in recent), default=0.0)
    if share >= limits.collapsed_share:
        what = words.one_class(recent[-1].top, share, level.mean, "the batch kept aside")
        found.append(Finding(COLLAPSED, what))
    elif level.mean >= limits.stuck * limits.chance:
        found.append(Finding(STUCK, words.level(level.mean, level.steps)))
    return found


def _still(samples: list[Sample], limits: Thresholds, lost: bool) -> Iterable[Finding]:
    """Yields what all samples show of layers that stand still; `lost`: nothing is learned."""
    rows = list(zip(*(sample.layers for sample in samples), strict=True))
    silent = limits.dead_share if lost else 1.0
    dead = [row for row in rows if all(x.dead is not None and x.dead >= silent for x in row)]
    if dead:
        yield Finding(DEAD, words.dead([row[-1] for row in dead], samples[-1]))
        return
    frozen = [row[-1] for row in rows if all(_is_frozen(x, limits) for x in row)]
    if frozen:
        yield Finding(FROZEN, words.frozen(frozen))
    faint = [row[-1] for row in rows if all(_is_faint(x, limits) for x in row)]
    cut = [layer for layer in faint if layer.gradient == 0.0]
    if cut and len(cut) < sum(row[-1].size > 0 for row in rows):
        yield Finding(VANISHING, words.cut_off(cut, samples[-1]))
    elif faint and lost:
        yield Finding(VANISHING, words.faint(faint, samples[-1]))


def _is_frozen(layer: Layer, limits: Thresholds) -> bool:
    return not layer.size and layer.name not in limits.may_freeze


def _is_faint(layer: Layer, limits: Thresholds) -> bool:
    return layer.size > 0 and layer.gradient_rms < limits.underflow
