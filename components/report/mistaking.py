"""The sections on mistakes: the confusion matrix, accuracy by digit, the most confident ones."""

import math
from collections.abc import Sequence
from typing import Any

from components.report.charts import Bar, Words, bar_chart
from components.report.intervals import share_with_interval, wilson
from components.report.page_parts import Picture, Report, Section, Table

DIGITS = tuple(str(digit) for digit in range(10))


def looked_at(report: Report) -> dict[str, Any]:
    """Returns the model whose mistakes are shown: the winner, else the best on `eval`.

    Raises:
      ValueError: there is none with figures on `eval`.
    """
    winner = report["decision"].get("winner")
    rows = [row for row in report["models"] if row.get("confusion")]
    if not rows:
        raise ValueError("no model has answers on eval")
    best = max(rows, key=lambda row: row.get("eval_accuracy") or 0.0)
    return next((row for row in rows if row.get("name") == winner), best)


def confusion(report: Report) -> Section:
    """Returns the confusion matrix of each model on `eval`, the winner's first."""
    first = looked_at(report)
    others = [row for row in report["models"] if row.get("confusion") and row is not first]
    tables = [_matrix(row, folded=row is not first) for row in (first, *others)]
    words = "A row is what a digit is, a column what was answered; the darker, the more often."
    return Section("confusion", "What is taken for what", [words], tables=tables)


def _matrix(row: dict[str, Any], folded: bool) -> Table:
    counts = row["confusion"]
    return Table(
        f"{row['name']} on {sum(map(sum, counts)):,} images of eval",
        ("label", *DIGITS),
        [[digit, *map(_count, c)] for digit, c in zip(DIGITS, counts, strict=True)],
        levels=[[0, *_levels(c, number)] for number, c in enumerate(counts)],
        folded=folded,
    )


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def _levels(counts: Sequence[int], right: int) -> list[int]:
    """Returns shades from 0 to 9: of mistakes by logarithm, so that few can be seen beside many."""
    total = max(sum(counts), 1)
    levels = []
    for answer, count in enumerate(counts):
        share = count / total
        mistake = min(6, 1 + int(math.log2(1 + 200 * share))) if count else 0
        levels.append((9 if count else 0) if answer == right else mistake)
    return levels


def by_digit(report: Report) -> Section:
    """Returns each model's accuracy on `test` by digit, with intervals."""
    rows = [row for row in report["models"] if row.get("test_accuracy_by_digit")]
    if not rows:
        return Section("digits", "Accuracy by digit", ["No model was evaluated on test."])
    tables = [
        Table(
            "Accuracy on test by digit. In brackets: the 95% interval (Wilson).",
            ("digit", "images", *(row["name"] for row in rows)),
            [
                [
                    digit,
                    f"{rows[0].get('test_images_by_digit', {}).get(digit, 0):,}",
                    *(_digit(row, digit) for row in rows),
                ]
                for digit in DIGITS
            ],
        )
    ]
    return Section(
        "digits", "Accuracy by digit", charts=[_bars(row) for row in rows], tables=tables
    )


def _digit(row: dict[str, Any], digit: str) -> str:
    share = row["test_accuracy_by_digit"].get(digit)
    images = row.get("test_images_by_digit", {}).get(digit)
    return "none in test" if share is None else share_with_interval(share, images)


def _bars(row: dict[str, Any]) -> dict[str, Any]:
    images = row.get("test_images_by_digit", {})
    bars = [
        Bar(digit, share, f"{share:.2%}", _interval(share, images.get(digit)))
        for digit, share in row["test_accuracy_by_digit"].items()
    ]
    low = min((b.interval[0] if b.interval else b.value for b in bars), default=0.0)
    floor = max(0.0, math.floor(low * 50 - 0.5) / 50)
    description = f"Accuracy of {row['name']} on test by digit, from {floor:.0%}, with intervals."
    title = f"{row['name']}, axis from {floor:.0%}"
    return bar_chart(Words(title, description, "accuracy", "digit"), bars, floor)


def _interval(share: float, images: int | None) -> tuple[float, float] | None:
    return wilson(min(share * images, images), images) if images else None


def pictures(report: Report) -> Section:
    """Returns the images that the model was most sure of, and wrong."""
    row = looked_at(report)
    found = row.get("mistakes") or []
    shown = [
        Picture(
            mistake["picture"],
            f"{mistake['label']} taken for {mistake['answer']}, {mistake['confidence']:.1%}",
        )
        for mistake in found
        if mistake.get("picture")
    ]
    wrong = sum(
        n for label, c in enumerate(row["confusion"]) for a, n in enumerate(c) if a != label
    )
    images = sum(map(sum, row["confusion"]))
    words = f"{row['name']} is wrong on {wrong:,} of {images:,} images of eval."
    if shown:
        words += f" These are the {len(shown)} it was most sure of, with its probability."
    return Section("mistakes", "The most confident mistakes", [words], pictures=shown)
