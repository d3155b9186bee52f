"""The folder of a training's checkpoints: where it is, and for how long it stays."""

import dataclasses
import hashlib
import json
import pathlib
import shutil
from typing import Any

from components.settings import AUTO_DEVICES, TrainSettings, to_config

FINISHED = "finished"


def state_folder(settings: TrainSettings, *inputs: Any) -> pathlib.Path:
    """Returns the folder of a training's checkpoints: the same for the same settings and inputs.

    The devices do not count: a training may go on with others, in the same precision.
    """
    model = dataclasses.replace(settings.model, devices=AUTO_DEVICES)
    settings = dataclasses.replace(settings, model=model)
    key = json.dumps([to_config(settings), *inputs], sort_keys=True, default=str)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return pathlib.Path(settings.state_dir) / f"{settings.model.name}-{digest}"


def release(folder: pathlib.Path, keep: bool) -> None:
    """Removes the folder of a training whose model is written, or marks it as finished."""
    if keep:
        (folder / FINISHED).touch()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def remove_finished(folder: pathlib.Path) -> None:
    """Removes what other trainings of the model of `folder` kept beyond their end."""
    for mark in folder.parent.glob(f"*/{FINISHED}"):
        other = mark.parent
        if other != folder and _model(other) == _model(folder):
            shutil.rmtree(other, ignore_errors=True)


def _model(folder: pathlib.Path) -> str:
    return folder.name.rpartition("-")[0]
