"""What the node hands on: its artifact, the files in it, and how they are read."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping

from tfx import types

from components.saved_model import EXTRA_FOLDER

VALIDATION_FILE = "validation.json"
WARMUP_FILE = f"{EXTRA_FOLDER}/tf_serving_warmup_requests"  # here as in a SavedModel
LOG_FILE = "server.log"


class ServingValidation(types.Artifact):
    """Holds what was found of each model, the warm-up file, and the server's log if one failed."""

    TYPE_NAME = "mnist.ServingValidation"  # Kubeflow wants a name of two parts


@dataclasses.dataclass(frozen=True)
class Validation:
    """What was found of one model.

    Attributes:
      fault: why it must not be served, or empty.
      latency_ms: median time of one digit through REST; None where there is a fault.
    """

    fault: str = ""
    latency_ms: float | None = None


def write_validations(folder: pathlib.Path, validations: Mapping[str, Validation]) -> None:
    """Writes what was found of the models, by name."""
    found = {name: dataclasses.asdict(validation) for name, validation in validations.items()}
    (folder / VALIDATION_FILE).write_text(json.dumps(found, indent=1) + "\n")


def read_validations(folder: pathlib.Path) -> dict[str, Validation]:
    """Reads what `write_validations` wrote."""
    found = json.loads((folder / VALIDATION_FILE).read_text())
    return {name: Validation(**values) for name, values in found.items()}
