"""The sections on cost: accuracy against latency and size, and where the time of the run went."""

from typing import Any

from components.report.charts import Bar, Series, Words, bar_chart, xy_chart
from components.report.page_parts import NOTHING, Report, Section, Table, cell

SHOWN_NODES = 15


def costs(report: Report) -> Section:
    """Returns what each model costs, beside how good it is."""
    rows = report["models"]
    charts = [
        _scatter(rows, "latency_ms", 1.0, "one digit through REST, ms"),
        _scatter(rows, "model_bytes", 1e-6, "size, MB"),
    ]
    table = Table(
        "Accuracy and cost",
        ("model", "test accuracy", "one digit", "size", "images a second in training"),
        [
            [
                str(row.get("name", NOTHING)),
                cell(row, "test_accuracy", ".2%"),
                f"{row['latency_ms']:.1f} ms" if row.get("latency_ms") else NOTHING,
                f"{row['model_bytes'] / 1e6:,.1f} MB" if row.get("model_bytes") else NOTHING,
                cell(row, "images_per_second", ",.0f"),
            ]
            for row in rows
        ],
    )
    return Section("costs", "Accuracy against cost", charts=charts, tables=[table])


def _scatter(rows: list[dict[str, Any]], key: str, unit: float, axis: str) -> dict[str, Any]:
    series = [
        Series(
            row["name"],
            [(row[key] * unit, row["test_accuracy"])],
            number,
            line=False,
            labels=[row["name"]],
        )
        for number, row in enumerate(rows)
        if row.get(key) and row.get("test_accuracy") is not None
    ]
    words = Words(
        f"Accuracy against {axis.split(',')[0]}",
        f"Accuracy on test against {axis}, one point a model; left and high is good.",
        axis,
        "accuracy on test",
    )
    return xy_chart(words, series, log_x=True)


def times(report: Report) -> Section:
    """Returns the seconds of the run by node, which the runner alone knows."""
    seconds = report.get("node_seconds")
    if not seconds:
        words = "How long each node took is added where the run is shown, not inside the graph."
        return Section("time", "Where the time went", [words])
    order = sorted(seconds.items(), key=lambda item: -item[1])
    shown, rest = order[:SHOWN_NODES], sum(s for _, s in order[SHOWN_NODES:])
    bars = [Bar(name, value, f"{value:,.1f} s") for name, value in shown]
    if rest:
        bars.append(Bar("all others", rest, f"{rest:,.1f} s"))
    total = report.get("total_seconds") or sum(seconds.values())
    labels = Words("Seconds by node", f"Seconds by node of {total:,.1f} in all.", "seconds", "node")
    table = Table(
        "All nodes; one that was in the cache takes hardly any time",
        ("node", "seconds", "share"),
        [[name, f"{value:,.2f}", f"{value / total:.1%}"] for name, value in order],
        folded=True,
    )
    text = [f"{total:,.1f} seconds in all, {sum(seconds.values()):,.1f} of them inside nodes."]
    return Section("time", "Where the time went", text, [bar_chart(labels, bars)], [table])
