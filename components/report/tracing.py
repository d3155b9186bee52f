"""The sections on where all came from: the data, its statistics and anomalies, code and lineage."""

from typing import Any

from components.report.charts import Bar, Words, bar_chart
from components.report.page_parts import NOTHING, Report, Section, Table


def data(report: Report) -> Section:
    """Returns the images by split, how often each digit comes, and the anomalies."""
    found = report.get("statistics") or {}
    anomalies = report.get("anomalies")
    digest = report.get("data", {}).get("sha256")
    text = [f"SHA-256 of the content: {digest}."] if digest else []
    if anomalies is None:
        text.append("What the check against the schema found is not known.")
    elif not any(anomalies.values()):
        splits = ", ".join(anomalies)
        text.append(f"The check against the committed schema found no anomaly in {splits}.")
    tables, charts = [], []
    if anomalies and any(anomalies.values()):
        rows = [[split, words] for split, found_ in anomalies.items() for words in found_]
        tables.append(Table("Anomalies", ("split", "anomaly"), rows))
    if found:
        tables += [_splits(found), _balance(found)]
        charts += [_bars(split, values) for split, values in found.items() if values["labels"]]
    else:
        counts = [[k, f"{n:,}"] for k, n in report.get("data", {}).items() if isinstance(n, int)]
        tables.append(Table("Images by split", ("split", "images"), counts))
    return Section("data", "The data", text, charts, tables)


def _splits(found: dict[str, Any]) -> Table:
    return Table(
        "Images by split",
        ("split", "images", "mean pixel", "standard deviation", "black pixels"),
        [
            [
                split,
                f"{values['images']:,}",
                f"{values['pixel_mean']:.2f}",
                f"{values['pixel_deviation']:.2f}",
                f"{values['pixel_zeros']:.2%}",
            ]
            for split, values in found.items()
        ],
    )


def _balance(found: dict[str, Any]) -> Table:
    digits = sorted({digit for values in found.values() for digit in values["labels"]}, key=int)
    rows = [[d, *(_share(values, d) for values in found.values())] for d in digits]
    return Table("How often each digit comes", ("digit", *found), rows)


def _share(values: dict[str, Any], digit: str) -> str:
    count = values["labels"].get(digit, 0)
    return f"{count:,} ({count / max(values['images'], 1):.1%})"


def _bars(split: str, values: dict[str, Any]) -> dict[str, Any]:
    labels = sorted(values["labels"].items(), key=lambda item: int(item[0]))
    bars = [Bar(digit, count, f"{count:,}") for digit, count in labels]
    return bar_chart(Words(split, f"Images of {split} by digit.", "images", "digit"), bars)


def lineage(report: Report) -> Section:
    """Returns digests, versions and, where the runner knows them, ML Metadata's numbers."""
    tables = []
    packages = report.get("packages")
    if packages:
        rows = [[name, str(version)] for name, version in packages.items()]
        tables.append(Table("Versions", ("package", "version"), rows))
    if report.get("code"):
        rows = [[node, str(digest)] for node, digest in report["code"].items()]
        tables.append(Table("Code by node (digest)", ("node", "digest"), rows, folded=True))
    nodes = (report.get("lineage") or {}).get("nodes")
    if nodes:
        tables.append(_nodes(nodes))
    digest = report.get("data", {}).get("sha256", NOTHING)
    version = report["decision"].get("pushed_version")
    text = [f"Data {digest}; version {version or 'none'}."]
    return Section("lineage", "Where it came from", text, tables=tables)


def _nodes(nodes: list[dict[str, Any]]) -> Table:
    rows = [
        [
            node["node"],
            str(node["execution"]),
            ", ".join(f"{o['key']} {o['artifact']}" for o in node["outputs"]),
        ]
        for node in nodes
    ]
    caption = "In ML Metadata: execution and artifacts of each node behind what was pushed"
    return Table(caption, ("node", "execution", "artifacts"), rows, folded=True)
