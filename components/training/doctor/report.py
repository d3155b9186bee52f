"""What `training.json` says of the doctor's findings."""

from typing import Any

from components.training.doctor.diagnosis import Diagnosis
from components.training.record import Record


def diagnosis_of(record: Record, ending: Diagnosis | None) -> dict[str, Any] | None:
    """Returns JSON values: state, sick, words, course and samples; None without a doctor.

    `state` and `sick` are those of the weights that the training ends with, which may be well
    though the training was not; `course` has the words for which it was stopped, or is empty.
    """
    if ending is None:
        return None
    return {
        "state": ending.state,
        "sick": ending.sick,
        "words": in_words(record, ending),
        "course": record.ailment,
        "samples": record.chart.in_columns(),
    }


def in_words(record: Record, ending: Diagnosis) -> str:
    """Returns what the weights are, after what made the training go back to them."""
    if not record.is_sick:
        return str(ending)
    why = record.ailment or "the loss is not finite"
    return f"{why}; went back to epoch {record.best_epoch + 1}, which is {ending}"
