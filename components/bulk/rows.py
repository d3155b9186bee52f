"""The rows of a part as Parquet or JSON lines, and the lines of its bad records; no files."""

import io
import json
from typing import Any

import orjson
import pyarrow as pa
from pyarrow import parquet

from components.bulk.parts import PARQUET, Outcome, Output

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("index", pa.int64()),
        ("digit", pa.int64()),
        ("probabilities", pa.list_(pa.float32())),
        ("model_version", pa.string()),
    ]
)


def encoded(outcome: Outcome, output: Output) -> bytes:
    """Returns the content of a part's file."""
    columns = _columns(outcome, output.model_version)
    return _parquet(columns) if output.format == PARQUET else _lines(columns)


def bad_lines(outcome: Outcome) -> bytes:
    """Returns a JSON object a line: `source`, `index`, `reason`."""
    rows = ((*outcome.piece.place(bad.position), bad.reason) for bad in outcome.bad)
    lines = (json.dumps(dict(zip(("source", "index", "reason"), row, strict=True))) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _columns(outcome: Outcome, model_version: str) -> dict[str, Any]:
    places = [outcome.piece.place(position) for position in outcome.positions.tolist()]
    return {
        "source": [source for source, _ in places],
        "index": [index for _, index in places],
        "digit": outcome.probabilities.argmax(1),
        "probabilities": list(outcome.probabilities),
        "model_version": [model_version] * len(places),
    }


def _parquet(columns: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table(columns, SCHEMA), out)
    return out.getvalue()


def _lines(columns: dict[str, Any]) -> bytes:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    rows = zip(*columns.values(), strict=True)
    return b"".join(
        orjson.dumps(dict(zip(columns, row, strict=True)), option=options) for row in rows
    )
