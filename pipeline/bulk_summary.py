"""What came of a bulk prediction, from the markers of its parts, as `summary.json`."""

import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from components.bulk import parts
from components.bulk.faults import BulkFailed
from components.bulk.parts import Output
from components.bulk.pieces import Piece
from pipeline.bulk_output import SUMMARY
from pipeline.workdir import write_json


def summarize(
    folder: pathlib.Path,
    manifest: Mapping[str, Any],
    output: Output,
    predicted_now: Sequence[Piece],
    begun: float,
) -> dict[str, Any]:
    """Writes and returns the summary, whose file says that nothing is missing.

    Args:
      begun: when this run began, in seconds since 1970.

    Raises:
      BulkFailed: a part is missing.
    """
    markers = [parts.done(output, number) for number in range(output.parts)]
    whole = [marker for marker in markers if marker is not None]
    if len(whole) != output.parts:
        raise BulkFailed(
            f"expected {output.parts} parts in {folder}; {len(whole)} are whole: run the same "
            "command again"
        )
    bad = sum(marker["bad"] for marker in whole)
    now = [whole[piece.number] for piece in predicted_now]
    predicting = _span(now)
    summary = {
        "records": manifest["records"],
        "predicted": manifest["records"] - bad,
        "bad": bad,
        "first_bad": next((m["first_bad"] for m in whole if m["bad"]), None),
        "digits": {digit: sum(m["digits"][digit] for m in whole) for digit in range(parts.CLASSES)},
        "parts": output.parts,
        "parts_before": output.parts - len(now),
        "model_version": manifest["model_version"],
        "seconds": {"whole": round(time.time() - begun, 3), "predicting": round(predicting, 3)},
        "images_per_second": round(sum(m["records"] for m in now) / predicting, 1) if now else 0.0,
    }
    write_json(folder / SUMMARY, summary)
    return summary


def _span(markers: Sequence[Mapping[str, Any]]) -> float:
    """Returns the seconds from the first piece's begin to the last one's end."""
    if not markers:
        return 0.0
    return float(max(m["ended"] for m in markers) - min(m["begun"] for m in markers))
