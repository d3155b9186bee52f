"""The section on health: what the doctor said of each training, and what it saw."""

from typing import Any

from components.report.charts import Series, Words, xy_chart
from components.report.page_parts import NOTHING, Report, Section, Table

FIGURES = {
    "gradient": "gradient norm",
    "update": "update / weight",
    "dead": "dead ReLUs",
    "spread": "activation spread",
}


def health(report: Report) -> Section:
    """Returns the doctor's words on each training, its charts and the layers at the end."""
    seen = [row for row in report["models"] if row.get("diagnosis")]
    if not seen:
        return Section("health", "What the doctor saw", ["No training was looked at."])
    words = [[row["name"], row["diagnosis"].get("words") or NOTHING] for row in seen]
    sampled = [row for row in seen if (row["diagnosis"].get("samples") or {}).get("steps")]
    tables = [Table("What the doctor says", ("model", "finding"), words)]
    tables += [_layers(row) for row in sampled]
    charts = [_loss(sampled), _share(sampled)] if sampled else []
    return Section("health", "What the doctor saw", charts=charts, tables=tables)


def _loss(rows: list[dict[str, Any]]) -> dict[str, Any]:
    series = [
        Series(row["name"], _known((p[0], p[1]) for p in points), number, dots=False)
        for number, row in enumerate(rows)
        for points in [row["diagnosis"]["samples"].get("loss_by_step") or ()]
    ]
    description = "Mean loss of the training, by step, on a logarithmic scale."
    words = Words("Loss by step", description, "step", "loss")
    return xy_chart(words, series, log_y=True, percent=False, whole_x=True)


def _share(rows: list[dict[str, Any]]) -> dict[str, Any]:
    series = [
        Series(row["name"], _known(zip(s["steps"], s["top_share"], strict=True)), number)
        for number, row in enumerate(rows)
        for s in [row["diagnosis"]["samples"]]
    ]
    description = (
        "Share of the most frequent answer on the batch that the doctor keeps aside, by step: "
        "about 10% is healthy, 100% is a network that answers one digit for everything."
    )
    words = Words("Share of the most frequent answer", description, "step", "share")
    return xy_chart(words, series, whole_x=True)


def _known(points: Any) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if x is not None and y is not None]


def _layers(row: dict[str, Any]) -> Table:
    """Returns the figures of each layer at the last look."""
    samples = row["diagnosis"]["samples"]
    last = [samples[name][-1] for name in FIGURES]
    rows = [
        [layer, *(NOTHING if value is None else f"{value:.3g}" for value in figures)]
        for layer, *figures in zip(samples["layers"], *last, strict=True)
    ]
    caption = f"{row['name']}: each layer at step {samples['steps'][-1]:,}"
    return Table(caption, ("layer", *FIGURES.values()), rows, folded=True)
