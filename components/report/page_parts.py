"""What a section of the report is made of; both the page and the Markdown are written from it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

Report = dict[str, Any]  # what lies in report.json
NOTHING = "-"  # in a cell of which nothing is known


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells as text; `levels` from 0 to 9 shade them, `strong` is the row to point out."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    levels: Sequence[Sequence[int]] | None = None
    strong: int | None = None
    folded: bool = False


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image as a data URI, with what it shows."""

    uri: str
    words: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands below it, in this order."""

    name: str
    title: str
    text: Sequence[str] = ()
    charts: Sequence[dict[str, Any]] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


def cell(row: dict[str, Any], key: str, form: str) -> str:
    """Returns a value as text, or NOTHING where it is unknown."""
    value = row.get(key)
    return NOTHING if value is None else format(value, form)


def shape(row: dict[str, Any]) -> str:
    """Returns the input of a model, such as 28x28x1."""
    return "x".join(str(n) for n in row.get("input_shape") or ()) or NOTHING
