"""Reads the trials of a search as TFX's Tuner wrote them."""

import json
import pathlib
from typing import Any


def read_trials(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Returns one dict a trial, with its status, hyperparameters and metrics."""
    files = sorted(folder.glob("*.json"))
    trials: list[dict[str, Any]] = json.loads(files[0].read_text()) if files else []
    return trials
