"""Judges the losses alone: whether they came back from an explosion, and whether they move."""

import math
from collections.abc import Iterable

from components.training.doctor.chart import Point, mean_of
from components.training.doctor.thresholds import Thresholds


def unrecovered(points: Iterable[Point], limits: Thresholds) -> Point | None:
    """Returns the point at which the loss went up and from which it has not come back."""
    start, after = None, list[Point]()
    for point in points:
        if start is None:
            start, after = (point if size_of(point.highest) > limits.exploded_loss else None), []
            continue
        after.append(point)
        whole = mean_of(after)
        if whole.steps >= limits.window_steps:
            known = whole.mean < limits.recovered * limits.chance  # never so where it is not finite
            start, after = (None if known else start), []
    return start


def not_learning(points: list[Point], limits: Thresholds) -> Point | None:
    """Returns the loss at chance of a training that never learned or lost what it knew, or None."""
    groups = grouped(points, limits.window_steps)
    lowest = min((group.mean for group in groups), default=math.inf)
    knew = lowest < limits.learned * limits.chance
    needed = limits.recovery_steps if knew else limits.stuck_steps
    level = limits.recovered if knew else limits.stuck
    recent, steps = [], 0
    for group in reversed(groups):
        if steps >= needed:
            break
        recent.append(group)
        steps += group.steps
    if steps < needed or any(group.mean < limits.recovered * limits.chance for group in recent):
        return None
    whole = mean_of(reversed(recent))
    return whole if whole.mean >= level * limits.chance and not _falling(recent) else None


def grouped(points: list[Point], steps: int) -> list[Point]:
    """Returns the points in groups of at least so many steps; the last may have fewer."""
    groups, group = [], list[Point]()
    for point in points:
        group.append(point)
        if sum(one.steps for one in group) >= steps:
            groups.append(mean_of(group))
            group = []
    return [*groups, mean_of(group)] if group else groups


def _falling(newest_first: list[Point]) -> bool:
    """Whether the newer half is lower than the older by more than noise: slow, but not stuck."""
    means = [point.mean for point in newest_first]
    half = len(means) // 2
    if half < 2:
        return False
    newer, older = means[:half], means[half:]
    error = math.sqrt(_variance(newer) / len(newer) + _variance(older) / len(older))
    return sum(older) / len(older) - sum(newer) / len(newer) > 3 * error


def _variance(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def size_of(loss: float) -> float:
    """Returns a loss in which one that is not a number is the highest of all."""
    return loss if math.isfinite(loss) else math.inf
