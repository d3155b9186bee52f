"""Counts from a model's answers on `eval`: the confusion matrix and the most confident mistakes."""

import base64
import dataclasses
import io

import numpy as np
from PIL import Image

CLASSES = 10
PICTURES = 24


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A wrong answer: the image's place in `eval`, its label, the answer and the probability."""

    place: int
    label: int
    answer: int
    confidence: float


def confusion(probabilities: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """Returns how often each label (row) got each answer (column).

    Args:
      probabilities: float [n, 10].
      labels: int [n], of 0 to 9.
    """
    counts = np.zeros((CLASSES, CLASSES), np.int64)
    np.add.at(counts, (labels.astype(np.int64), probabilities.argmax(-1)), 1)
    return counts.tolist()


def confident_mistakes(
    probabilities: np.ndarray, labels: np.ndarray, most: int = PICTURES
) -> list[Mistake]:
    """Returns the wrong answers with the highest probability, highest first."""
    answers = probabilities.argmax(-1)
    wrong = np.flatnonzero(answers != labels)
    confidence = probabilities[wrong, answers[wrong]]
    order = np.argsort(-confidence, kind="stable")[:most]
    return [
        Mistake(int(place), int(labels[place]), int(answers[place]), float(sure))
        for place, sure in zip(wrong[order], confidence[order], strict=True)
    ]


def picture(image: np.ndarray) -> str:
    """Returns a uint8 image [height, width] as the data URI of a PNG, ink dark on white."""
    written = io.BytesIO()
    Image.fromarray(255 - image.astype(np.uint8)).save(written, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
