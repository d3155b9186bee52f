"""`comparison.json`: what a run found; written, read and shown."""

import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from pipeline import screen
from pipeline.workdir import Workdir, write_json

FILE = "comparison.json"


class NeverTuned(LookupError):
    """Hyperparameters are to be reused, but no search found any."""


def write_comparison(
    workdir: Workdir, facts: Mapping[str, Any], selected: pathlib.Path, pushed: str | None
) -> dict[str, Any]:
    """Adds what the selector and the Pusher found to `facts`, writes the file, returns all.

    Args:
      selected: the folder of the selector's comparison.
      pushed: the version that was pushed, if any.
    """
    comparison = json.loads((selected / FILE).read_text())
    whole = {**facts, **comparison, "pushed_version": int(pushed) if pushed else None}
    write_json(workdir.report / FILE, whole)
    return whole


def found_by_the_run(workdir: Workdir) -> tuple[pathlib.Path, str | None]:
    """Returns the last `selected` and `pushed` of `write_comparison`, from ML Metadata."""
    from pipeline import store

    metadata = store.connect(workdir.metadata)
    selected = store.outputs_of(metadata, "ModelSelector")["comparison"].uri
    pushed = store.outputs_of(metadata, "VersionPusher")["pushed_model"].custom_properties
    version = pushed["pushed_version"].string_value if "pushed_version" in pushed else None
    return pathlib.Path(selected), version


def found_hyperparameters(workdir: Workdir, models: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Returns what the last search of each model found.

    Raises:
      NeverTuned: a model was never tuned in this workdir.
    """
    from pipeline import store

    metadata = store.connect(workdir.metadata)
    outputs = {name: store.outputs_of(metadata, f"Tuner.{name}") for name in models}
    missing = [name for name, found in outputs.items() if "best_hyperparameters" not in found]
    if missing:
        raise NeverTuned(
            f"expected an earlier search for {', '.join(missing)} in {workdir.root}; there is "
            "none: run once without --no-tune"
        )
    return {name: _values(found["best_hyperparameters"].uri) for name, found in outputs.items()}


def _values(uri: str) -> dict[str, Any]:
    """Returns batch size and learning rate as TFX's Tuner wrote them."""
    file = next(pathlib.Path(uri).glob("*"))
    values: dict[str, Any] = json.loads(file.read_text())["values"]
    return values


def show_report(path: pathlib.Path) -> int:
    """Prints the table of the last run and where its file is; returns the exit code."""
    workdir = Workdir.at(path)
    file = workdir.report / FILE
    console = screen.console_on(sys.stdout)
    if not file.is_file():
        words = f"expected {file}; there is none: run `mnist-tfx run` first"
        console.print(words, soft_wrap=True, markup=False)
        return 2
    comparison = json.loads(file.read_text())
    console.print(screen.comparison_table(comparison))
    words = f"{comparison['winner'] or 'none'}: {comparison['reason']}"
    console.print(f"{words}\n{file}", soft_wrap=True, markup=False)
    return 0
