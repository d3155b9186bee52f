"""What may be said of a run when it is submitted, rather than when its pipeline is compiled.

A parameter of the pipeline becomes an input of some tasks. Where the node has a property of that
name, the input takes its place; else the entry point folds it into the node's settings, or leaves
the node out. A number of 0 means what the profile says.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pipeline.kubeflow import layout

Kind = Literal["STRING", "NUMBER_INTEGER", "BOOLEAN"]
SUBMITTED = "submitted_"  # begins the names of inputs that are no property of the node


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of the pipeline, in the terms of KFP's pipeline spec."""

    name: str
    kind: Kind
    default: str | int | bool
    description: str


DATA = Parameter(
    "data", "STRING", "", "Folder with the four IDX files or an .npz on the volume; empty: MNIST."
)
DATA_SHA256 = Parameter("data_sha256", "STRING", "", "SHA-256 that the data must have, if known.")
IMAGES = Parameter("images", "NUMBER_INTEGER", 0, "Images that each model is trained on.")
EPOCHS = Parameter("epochs", "NUMBER_INTEGER", 0, "Most epochs of each training.")
TRIALS = Parameter("trials", "NUMBER_INTEGER", 0, "Trials of each search.")
PUSH_DESTINATION = Parameter(
    "push_destination",
    "STRING",
    f"{layout.MOUNT}/serving/mnist",
    "Folder of versions that TF Serving watches.",
)
STATE_DIR = Parameter(
    "state_dir", "STRING", f"{layout.MOUNT}/state", "Where a killed search or training goes on."
)
COMMON = (DATA, DATA_SHA256, IMAGES, EPOCHS, TRIALS, PUSH_DESTINATION, STATE_DIR)

# By node type: the parameter that takes the place of a property of that name.
_REPLACED = {
    "MnistExampleGen": {"data": DATA, "sha256": DATA_SHA256},
    "BaselineFinder": {"serving_dir": PUSH_DESTINATION},
    "VersionPusher": {"serving_dir": PUSH_DESTINATION},
}
_FOLDED_IN = {"Tuner": (IMAGES, TRIALS, STATE_DIR), "Trainer": (IMAGES, EPOCHS, STATE_DIR)}
LEFT_OUT_WITH_THE_MODEL = ("Transform", "Tuner", "Trainer", "Evaluator")


def train_flag(model: str) -> Parameter:
    """Returns the parameter that says whether a model takes part."""
    name = f"train_{model.replace('-', '_')}"
    return Parameter(name, "BOOLEAN", True, f"Whether {model} takes part.")


def parameters_of(models: Iterable[str]) -> list[Parameter]:
    """Returns all parameters of a pipeline of these models."""
    return [*COMMON, *map(train_flag, models)]


def task_inputs(task: str) -> dict[str, Parameter]:
    """Returns a task's inputs that are parameters of the pipeline, by the input's name."""
    kind, model = layout.kind_and_model(task)
    inputs = dict(_REPLACED.get(kind, {}))
    inputs |= {SUBMITTED + p.name: p for p in _FOLDED_IN.get(kind, ())}
    if model and kind in LEFT_OUT_WITH_THE_MODEL:
        inputs[f"{SUBMITTED}train"] = train_flag(model)
    return inputs


@dataclasses.dataclass(frozen=True)
class Submitted:
    """What a task was told through inputs that are no properties of its node."""

    train: bool = True
    images: int = 0
    epochs: int = 0
    trials: int = 0
    state_dir: str = ""


def take_submitted(values: dict[str, Any]) -> Submitted:
    """Removes those inputs from a task's parameter values and returns them."""
    names = [name for name in values if name.startswith(SUBMITTED)]
    given = {name.removeprefix(SUBMITTED): values.pop(name) for name in names}
    numbers = {k: int(v) for k, v in given.items() if k in ("images", "epochs", "trials")}
    return Submitted(**{**given, **numbers})


def fold_in(submitted: Submitted, custom_config: str) -> str:
    """Returns a node's settings (JSON) with what was submitted in them.

    A search takes no more images than its profile gives it.
    """
    config: dict[str, Any] = json.loads(custom_config)
    if submitted.images:
        most = config["images"] if "trials" in config else 0
        config["images"] = min(submitted.images, most or submitted.images)
    for name in ("epochs", "trials"):
        if getattr(submitted, name):
            config[name] = getattr(submitted, name)
    if submitted.state_dir:
        folder = pathlib.PurePosixPath(config["state_dir"]).name
        config["state_dir"] = f"{submitted.state_dir}/{folder}"
    if "keep_state" in config:  # Kubeflow uploads a model once its training has ended
        config["keep_state"] = True
    return json.dumps(config)


def definitions(parameters: Iterable[Parameter]) -> Mapping[str, dict[str, Any]]:
    """Returns the parameters as KFP's `inputDefinitions.parameters`."""
    return {
        p.name: {
            "parameterType": p.kind,
            "defaultValue": p.default,
            "description": p.description,
            "isOptional": True,
        }
        for p in parameters
    }
