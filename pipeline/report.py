"""The report in the workdir: the one of the graph's last node, with what the runner alone knows."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from components.report import render
from components.report.files import PAGE_FILE, REPORT_FILE
from pipeline.workdir import Workdir

RUNNER_KNOWS = ("profile", "node_seconds", "total_seconds")


def write_report(
    workdir: Workdir,
    comparison: Mapping[str, Any],
    made: pathlib.Path | None,
    lineage: Mapping[str, Any] | None = None,
) -> pathlib.Path:
    """Writes the page, the Markdown and the JSON; returns the page.

    Args:
      comparison: what `results.write_results` returned.
      made: the folder that the node filled; without it the comparison has to do.
      lineage: from ML Metadata, where that is there.
    """
    report = _made(made, comparison)
    known = {key: comparison[key] for key in RUNNER_KNOWS if key in comparison}
    more = {"lineage": lineage} if lineage else {}
    render.write({**report, **known, **more}, workdir.report)
    return workdir.report / PAGE_FILE


def _made(folder: pathlib.Path | None, comparison: Mapping[str, Any]) -> dict[str, Any]:
    if folder is not None:
        try:
            found: dict[str, Any] = json.loads((folder / REPORT_FILE).read_text())
            return found
        except (OSError, ValueError) as error:
            return from_comparison(comparison, f"what the node Report wrote: {error}")
    return from_comparison(comparison, "what the node Report writes; `mnist-tfx run` writes it")


def from_comparison(comparison: Mapping[str, Any], missing: str) -> dict[str, Any]:
    """Returns as much of a report as a comparison has."""
    keys = ("winner", "blessed", "reason", "pushed_version")
    return {
        "decision": {key: comparison.get(key) for key in keys},
        "data": comparison.get("data", {}),
        "models": comparison.get("models", []),
        "missing": [missing],
    }


def page_of(workdir: Workdir, comparison: Mapping[str, Any]) -> pathlib.Path:
    """Returns the page, which is written first where an older version wrote none."""
    page = workdir.report / PAGE_FILE
    if not page.is_file():
        write_report(workdir, comparison, None)
    return page
