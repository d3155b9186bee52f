"""Reads what the Evaluator wrote: accuracy and loss, by digit too, and what was missed."""

import dataclasses
from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluator import ACCURACY, CANDIDATE, COUNT, LOSS


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Figures on `test`; `failures` has a sentence for each threshold that was missed."""

    accuracy: float
    loss: float
    accuracy_by_digit: dict[str, float]
    failures: list[str]
    images: int
    images_by_digit: dict[str, int]


def read_evaluation(uri: str) -> Evaluation:
    """Reads the `evaluation` artifact of one model."""
    overall: dict[str, float] = {}
    by_digit: dict[str, float] = {}
    images: dict[str, int] = {}
    for record in tfma.load_metrics(uri):
        values = _values(record)
        slices = record.slice_key.single_slice_keys
        if slices:
            digit = str(slices[0].int64_value)
            by_digit[digit], images[digit] = values[ACCURACY], int(values[COUNT])
        else:
            overall = values
    return Evaluation(
        accuracy=overall[ACCURACY],
        loss=overall[LOSS],
        accuracy_by_digit=dict(sorted(by_digit.items())),
        failures=_failures(uri),
        images=int(overall[COUNT]),
        images_by_digit=dict(sorted(images.items())),
    )


def _values(record: Any) -> dict[str, float]:
    """Returns the candidate's own metrics, not the baseline's nor the differences."""
    return {
        item.key.name: item.value.double_value.value
        for item in record.metric_keys_and_values
        if item.key.model_name in ("", CANDIDATE) and not item.key.is_diff
    }


def _failures(uri: str) -> list[str]:
    result = tfma.load_validation_result(uri)
    return [
        _in_words(failure)
        for slice_ in result.metric_validations_per_slice
        for failure in slice_.failures
    ]


def _in_words(failure: Any) -> str:
    value = failure.metric_value.double_value.value
    if failure.metric_key.is_diff:
        least = failure.metric_threshold.change_threshold.absolute.value
        return (
            f"test accuracy is {-value:.2%} below the served model's; "
            f"chance explains at most {-least:.2%}"
        )
    least = failure.metric_threshold.value_threshold.lower_bound.value
    return f"test accuracy {value:.2%} is below the floor of {least:.2%}"
