"""`comparison.json` and the model card: what a run found, brought to its workdir."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from components.report.files import MODEL_CARD_FILE
from pipeline.workdir import Workdir, write_json

FILE = "comparison.json"


class NeverTuned(LookupError):
    """Hyperparameters are to be reused, but no search found any."""


@dataclasses.dataclass(frozen=True)
class Found:
    """Where the graph's last nodes left what they found.

    Attributes:
      selected: the folder of the selector's comparison.
      pushed: the version that was pushed, if any.
      report: the folder of the report.
      lineage: from ML Metadata, or nothing where there is none.
    """

    selected: pathlib.Path
    pushed: str | None
    report: pathlib.Path | None
    lineage: Mapping[str, Any] | None = None


def write_results(workdir: Workdir, facts: Mapping[str, Any], found: Found) -> dict[str, Any]:
    """Adds what was found to `facts`, writes comparison, model card and report; returns all."""
    from pipeline.report import write_report

    comparison = json.loads((found.selected / FILE).read_text())
    version = int(found.pushed) if found.pushed else None
    whole = {**facts, **comparison, "pushed_version": version}
    write_json(workdir.report / FILE, whole)
    (workdir.report / MODEL_CARD_FILE).unlink(missing_ok=True)
    if version and (found.selected / MODEL_CARD_FILE).is_file():
        shutil.copyfile(found.selected / MODEL_CARD_FILE, workdir.report / MODEL_CARD_FILE)
    write_report(workdir, whole, found.report, found.lineage)
    return whole


def found_by_the_run(workdir: Workdir) -> Found:
    """Returns what the last run found, from ML Metadata."""
    from pipeline import lineage, store

    metadata = store.connect(workdir.metadata)
    selected = store.outputs_of(metadata, "ModelSelector")["comparison"].uri
    pushed = store.outputs_of(metadata, "VersionPusher")["pushed_model"]
    report = store.outputs_of(metadata, "Report")["report"].uri
    properties = pushed.custom_properties
    version = properties["pushed_version"].string_value if "pushed_version" in properties else None
    nodes = {"nodes": lineage.nodes_behind(metadata, pushed.id)}
    return Found(pathlib.Path(selected), version, pathlib.Path(report), nodes)


def found_hyperparameters(workdir: Workdir, models: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Returns what the last search of each model found.

    Raises:
      NeverTuned: a model was never tuned in this workdir.
    """
    from pipeline import store

    metadata = store.connect(workdir.metadata)
    outputs = {name: store.outputs_of(metadata, f"Tuner.{name}") for name in models}
    missing = [name for name, found in outputs.items() if not _is_there(found)]
    if missing:
        raise NeverTuned(
            f"expected an earlier search for {', '.join(missing)} in {workdir.root}; there is "
            "none: run once without --no-tune"
        )
    return {name: _values(found["best_hyperparameters"].uri) for name, found in outputs.items()}


def _is_there(found: Mapping[str, Any]) -> bool:
    best = found.get("best_hyperparameters")
    return best is not None and any(pathlib.Path(best.uri).glob("*"))


def _values(uri: str) -> dict[str, Any]:
    """Returns batch size and learning rate as TFX's Tuner wrote them."""
    file = next(pathlib.Path(uri).glob("*"))
    values: dict[str, Any] = json.loads(file.read_text())["values"]
    return values
