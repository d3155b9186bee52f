"""The parts of the output: written under another name, renamed when whole, and found again.

A part is done when its marker is there: a small JSON file with its counts, written last. What a
runner does twice is written twice, under the same names and with the same content.
"""

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.bulk.pieces import Bad, Piece

PREDICTIONS, BAD, MARKERS = "predictions", "bad", ".parts"
FOLDERS = (PREDICTIONS, BAD, MARKERS)
INCOMING = ".incoming-"
PARQUET, JSON_LINES = "parquet", "jsonl"
CLASSES = 10


class Output(NamedTuple):
    """Where the parts of a prediction go, PARQUET or JSON_LINES, how many, and by which model."""

    folder: Path
    format: str
    parts: int
    model_version: str

    def name(self, number: int) -> str:
        """Returns the name of a part without its ending."""
        return f"part-{number:05d}-of-{self.parts:05d}"

    def part(self, number: int) -> Path:
        """Returns the file of a part."""
        return self.folder / PREDICTIONS / f"{self.name(number)}.{self.format}"

    def bad(self, number: int) -> Path:
        """Returns the file of a part's bad records, which is there if it has some."""
        return self.folder / BAD / f"{self.name(number)}.jsonl"

    def marker(self, number: int) -> Path:
        """Returns the file that says a part is done."""
        return self.folder / MARKERS / f"{self.name(number)}.json"


class Outcome(NamedTuple):
    """What became of a piece: positions int64 [n], probabilities float32 [n, 10], bad records.

    `begun` is in seconds since 1970.
    """

    piece: Piece
    positions: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    bad: tuple[Bad, ...]
    begun: float


def write(outcome: Outcome, output: Output) -> None:
    """Writes a part, its bad records, and its marker, in this order of their appearance.

    Raises:
      OSError: the disk refused; nothing half-written keeps a part's name.
    """
    from components.bulk.rows import bad_lines, encoded

    piece = outcome.piece
    content = encoded(outcome, output)
    if outcome.bad:
        _place(output.bad(piece.number), bad_lines(outcome))
    _place(output.part(piece.number), content)
    first_bad = outcome.bad[0] if outcome.bad else None
    marker = {
        "bytes": len(content),
        "records": piece.records,
        "bad": len(outcome.bad),
        "first_bad": first_bad and [*piece.place(first_bad.position), first_bad.reason],
        "digits": np.bincount(outcome.probabilities.argmax(1), minlength=CLASSES).tolist(),
        "begun": outcome.begun,
        "ended": time.time(),
    }
    _place(output.marker(piece.number), json.dumps(marker).encode())


def done(output: Output, number: int) -> dict[str, Any] | None:
    """Returns the marker of a part that is there and whole, else None."""
    try:
        marker: dict[str, Any] = json.loads(output.marker(number).read_bytes())
        whole = output.part(number).stat().st_size == marker["bytes"]
        return marker if whole and bool(marker["bad"]) == output.bad(number).exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sweep(folder: Path) -> None:
    """Removes what a run that was killed left half-written."""
    for name in FOLDERS:
        for file in (folder / name).glob(f"{INCOMING}*"):
            file.unlink(missing_ok=True)


def _place(path: Path, content: bytes) -> None:
    """Writes a file so that its name is there with all of it, on the disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = path.with_name(f"{INCOMING}{uuid.uuid4().hex}")
    try:
        with incoming.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(incoming, path)
    finally:
        incoming.unlink(missing_ok=True)
