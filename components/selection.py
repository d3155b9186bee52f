"""Which of the blessed models wins, and why, in words. Plain numbers in, no files."""

import dataclasses

import numpy as np
from scipy import stats

SIGNIFICANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model that may win.

    Attributes:
      correct: bool [n], whether each of the first n images of `eval` was answered right.
      latency_ms: median time of one digit.
      model_bytes: size of the SavedModel.
    """

    name: str
    correct: np.ndarray
    latency_ms: float
    model_bytes: int


@dataclasses.dataclass(frozen=True)
class Choice:
    """The winner's name and the reason for each model."""

    winner: str
    reasons: dict[str, str]


def choose(candidates: list[Candidate]) -> Choice:
    """Picks the most accurate on `eval`; among those that chance may have put behind, the cheapest.

    Two models are compared on the images that both answered, with the exact two-sided McNemar test
    (McNemar 1947, https://doi.org/10.1007/BF02295996). Cheaper means a lower latency, then a
    smaller model.

    Args:
      candidates: at least one; blessed.
    """
    common = min(len(c.correct) for c in candidates)
    best = max(candidates, key=lambda c: (c.correct[:common].mean(), -c.latency_ms))
    values = {c.name: p_value(c.correct, best.correct) for c in candidates}
    tied = [c for c in candidates if values[c.name] >= SIGNIFICANCE]
    winner = min(tied, key=lambda c: (c.latency_ms, c.model_bytes))
    reasons = {
        c.name: _why_it_lost(c, winner, best, values[c.name]) for c in candidates if c is not winner
    }
    return Choice(winner.name, {**reasons, winner.name: _why_it_won(winner, best, tied)})


def p_value(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the probability of a difference at least as large if both were equally accurate."""
    common = min(len(first), len(second))
    only_first = int(np.sum(first[:common] & ~second[:common]))
    only_second = int(np.sum(~first[:common] & second[:common]))
    disagreements = only_first + only_second
    if not disagreements:
        return 1.0
    return float(stats.binomtest(only_first, disagreements, 0.5).pvalue)


def _why_it_won(winner: Candidate, best: Candidate, tied: list[Candidate]) -> str:
    accuracy = f"{winner.correct.mean():.2%} on {len(winner.correct):,} images of eval"
    if len(tied) == 1:
        return f"most accurate: {accuracy}; the others are behind by more than chance"
    others = ", ".join(c.name for c in tied if c is not winner)
    quicker = f"and it is the quickest of them at {winner.latency_ms:.1f} ms a digit"
    return f"{accuracy}; {others} cannot be told from it by chance, {quicker}"


def _why_it_lost(candidate: Candidate, winner: Candidate, best: Candidate, p: float) -> str:
    accuracy = f"{candidate.correct.mean():.2%} on {len(candidate.correct):,} images of eval"
    if p < SIGNIFICANCE:
        return f"{accuracy}, less than {best.name} beyond chance (p = {p:.2g})"
    times = f"{candidate.latency_ms:.1f} ms against {winner.latency_ms:.1f} ms"
    return f"{accuracy}, within chance of {winner.name}, which is cheaper ({times} a digit)"
