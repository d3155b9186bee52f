"""Gathers the report from what the nodes wrote; what is not there is named and left out."""

import dataclasses
import functools
import importlib.metadata
import json
import logging
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from components import data
from components.behaviour.judge import read_behaviour
from components.example_validator import in_words
from components.report import figures
from components.report.page_parts import Report
from components.report.statistics import read_anomalies, read_statistics
from components.training.dataset import Digits, read_split
from components.training.run import PREDICTIONS_FILE, TRAINING_FILE

PACKAGES = (
    *("mnist-tfx", "tensorflow", "keras", "keras-tuner", "tfx", "apache-beam", "ml-metadata"),
    *("tensorflow-data-validation", "tensorflow-model-analysis", "tensorflow-transform", "numpy"),
)
FORMAT = 1
# A model's own words on its training are in its row of the comparison; these are added to it.
FROM_TRAINING = ("history", "diverged", "eval_seconds", "best_epoch")


@dataclasses.dataclass(frozen=True)
class Sources:
    """Where everything is.

    Attributes:
      comparison: the file.
      runs: the folder of each model's training, by name.
      examples: the folder of the splits.
      data: digest and images by split.
    """

    comparison: pathlib.Path
    runs: Mapping[str, pathlib.Path]
    examples: pathlib.Path
    statistics: pathlib.Path
    anomalies: pathlib.Path
    behaviour: pathlib.Path
    data: Mapping[str, Any]
    pushed_version: int | None
    code: Mapping[str, str]


def gather(sources: Sources) -> Report:
    """Returns the report; `missing` has a sentence for each part that could not be read."""
    missing: list[str] = []

    def tried(what: str, read: Callable[[], Any], instead: Any) -> Any:
        try:
            return read()
        except Exception as error:  # files, TensorFlow, NumPy and protobuf fail each in its own way
            logging.exception("%s cannot be read", what)
            missing.append(f"{what} cannot be read: {error!r}")
            return instead

    comparison = tried("the comparison", lambda: json.loads(sources.comparison.read_text()), {})
    rows = comparison.get("models", [])
    for row in rows:
        read = functools.partial(_trained, sources.runs, row.get("name"))
        row |= tried(f"the training of {row.get('name')}", read, {})
    tried("the images of the mistakes", lambda: _add_pictures(rows, sources.examples), None)
    statistics = tried("the statistics", lambda: read_statistics(sources.statistics), {})
    anomalies = tried("the anomalies", lambda: read_anomalies(sources.anomalies, in_words), None)
    return {
        "format": FORMAT,
        "decision": {
            **{key: comparison.get(key) for key in ("winner", "blessed", "reason")},
            "pushed_version": sources.pushed_version,
        },
        "data": dict(sources.data),
        "models": rows,
        "statistics": statistics,
        "anomalies": anomalies,
        "behaviour": tried("the behaviour", lambda: _behaviour(sources.behaviour), []),
        "code": dict(sources.code),
        "packages": versions(),
        "missing": missing,
    }


def _behaviour(folder: pathlib.Path) -> list[dict[str, Any]]:
    return [dataclasses.asdict(seen) for seen in read_behaviour(folder)]


def versions() -> dict[str, str]:
    """Returns the version of each package that matters and is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _trained(runs: Mapping[str, pathlib.Path], name: str) -> dict[str, Any]:
    """Returns a model's curves, its confusion matrix on `eval` and its mistakes."""
    run = runs[name]
    training = json.loads((run / TRAINING_FILE).read_text())
    with np.load(run / PREDICTIONS_FILE) as found:
        probabilities, labels = found["probabilities"], found["labels"]
    mistakes = figures.confident_mistakes(probabilities, labels)
    return {
        **{key: training[key] for key in FROM_TRAINING if key in training},
        "eval_images": len(labels),
        "confusion": figures.confusion(probabilities, labels),
        "mistakes": [dataclasses.asdict(mistake) for mistake in mistakes],
    }


def _add_pictures(rows: list[dict[str, Any]], examples: pathlib.Path) -> None:
    """Adds to each mistake its image; trainings are scored on the first images of `eval`."""
    digits: Digits = read_split(f"{examples}/Split-{data.EVAL}/*")
    for row in rows:
        for mistake in row.get("mistakes", ()):
            place = mistake["place"]
            if digits.labels[place] == mistake["label"]:
                mistake["picture"] = figures.picture(digits.images[place])
