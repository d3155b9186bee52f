"""Asks a model about changed digits and says of each change whether it behaves as expected."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterable

import numpy as np

from components.behaviour.changes import CHANGES, Change

BEHAVIOUR_FILE = "behaviour.json"
Predict = Callable[[np.ndarray], np.ndarray]  # uint8 [n, 28, 28] to float32 [n, 10]


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """What was seen under one change.

    Attributes:
      expected: in words.
      digits: how many were asked about.
      accuracy: share of right answers; None where no answer is right.
      unchanged: share of digits answered as before the change; None as well.
      confidence: median of the largest probability.
      as_expected: whether it is within the change's bound.
    """

    name: str
    expected: str
    digits: int
    accuracy: float | None
    unchanged: float | None
    confidence: float
    as_expected: bool


def judge(
    predict: Predict, images: np.ndarray, labels: np.ndarray, changes: Iterable[Change] = CHANGES
) -> list[Behaviour]:
    """Returns the behaviour without a change, and under each.

    Args:
      images: uint8 [n, 28, 28].
      labels: int64 [n].
    """
    before = predict(images)
    plain = Behaviour("unchanged", "the digit", len(labels), *_shares(before, before, labels), True)
    return [plain, *(_under(c, predict, images, labels, before) for c in changes)]


def _under(
    change: Change, predict: Predict, images: np.ndarray, labels: np.ndarray, before: np.ndarray
) -> Behaviour:
    after = predict(change.apply(images))
    if change.kind == "unsure":
        confidence = float(np.median(after.max(-1)))
        fine = confidence <= change.bound
        return Behaviour(change.name, change.expected, len(after), None, None, confidence, fine)
    accuracy, unchanged, confidence = _shares(after, before, labels)
    lost = float(np.mean(before.argmax(-1) == labels)) - accuracy
    return Behaviour(
        change.name,
        change.expected,
        len(labels),
        accuracy,
        unchanged,
        confidence,
        lost <= change.bound,
    )


def _shares(
    after: np.ndarray, before: np.ndarray, labels: np.ndarray
) -> tuple[float, float, float]:
    digits = after.argmax(-1)
    return (
        float(np.mean(digits == labels)),
        float(np.mean(digits == before.argmax(-1))),
        float(np.median(after.max(-1))),
    )


def write_behaviour(folder: pathlib.Path, found: Iterable[Behaviour]) -> None:
    """Writes what was seen, as JSON."""
    rows = [dataclasses.asdict(behaviour) for behaviour in found]
    (folder / BEHAVIOUR_FILE).write_text(json.dumps(rows, indent=1) + "\n")


def read_behaviour(folder: pathlib.Path) -> list[Behaviour]:
    """Reads what `write_behaviour` wrote; nothing where no model was chosen."""
    file = folder / BEHAVIOUR_FILE
    rows = json.loads(file.read_text()) if file.is_file() else []
    return [Behaviour(**row) for row in rows]
