"""The section on behaviour: what the chosen model answers on digits changed in known ways."""

from typing import Any

from components.report.page_parts import Report, Section, Table, cell

HEAD = (
    "change",
    "expected",
    "accuracy",
    "answered as before",
    "median confidence",
    "as expected",
)


def behaviour(report: Report) -> Section:
    """Returns what was seen under each change, and in words how many were not as expected."""
    rows = report.get("behaviour") or []
    title = "The chosen model on changed digits"
    if not rows:
        return Section("behaviour", title, ["No model was chosen, so none was asked."])
    odd = [row["name"] for row in rows if not row["as_expected"]]
    words = f"{len(rows) - 1} changes of the first {rows[0]['digits']:,} digits of test; " + (
        f"not as expected: {', '.join(odd)}." if odd else "all as expected."
    )
    table = Table("Each change, and what a good model of digits does", HEAD, [*map(_cells, rows)])
    return Section("behaviour", title, [words], tables=[table])


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["name"],
        row["expected"],
        cell(row, "accuracy", ".1%"),
        cell(row, "unchanged", ".1%"),
        cell(row, "confidence", ".2f"),
        "yes" if row["as_expected"] else "no",
    ]
