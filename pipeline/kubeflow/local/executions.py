"""What was executed and what came of it: the part of ML Metadata that Kubeflow's driver uses."""

import dataclasses
import json
import pathlib
import threading
from collections.abc import Mapping
from typing import Any

from pipeline.workdir import write_json

Json = dict[str, Any]


class Unrecordable(ValueError):
    """A task wrote metadata that ML Metadata cannot hold."""


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact that was recorded; `files` is how many of it were uploaded."""

    name: str
    uri: str
    metadata: Json
    files: int

    def as_input(self) -> Json:
        """Returns it as the driver hands it to a task: its schema is empty there."""
        return {
            "name": self.name,
            "type": {"instanceSchema": ""},
            "uri": self.uri,
            "metadata": self.metadata,
        }


@dataclasses.dataclass(frozen=True)
class Execution:
    """A task that was completed."""

    task: str
    fingerprint: str
    outputs: Mapping[str, Artifact]


class Executions:
    """All that was completed in a workdir, in a file that is never half written."""

    def __init__(self, file: pathlib.Path) -> None:
        """Takes the file, which need not exist."""
        self._file, self._lock = file, threading.Lock()
        self._found: list[Execution] = [_execution(e) for e in _read(file)]

    def cached(self, fingerprint: str) -> Execution | None:
        """Returns the newest execution with a fingerprint."""
        with self._lock:
            same = (e for e in reversed(self._found) if e.fingerprint == fingerprint)
            return next(same, None) if fingerprint else None

    def record(self, task: str, fingerprint: str, outputs: Mapping[str, Json]) -> Execution:
        """Keeps a completed task.

        Args:
          fingerprint: empty where it must not be found again.
          outputs: uri, metadata and files of each output.

        Raises:
          Unrecordable: a metadata value is null or of an unknown type.
        """
        with self._lock:
            number = sum(len(e.outputs) for e in self._found)
            artifacts = {
                key: Artifact(str(number + i), v["uri"], _recorded(v["metadata"], task), v["files"])
                for i, (key, v) in enumerate(outputs.items(), start=1)
            }
            made = Execution(task, fingerprint, artifacts)
            self._found.append(made)
            write_json(self._file, [dataclasses.asdict(e) for e in self._found])
        return made


def _read(file: pathlib.Path) -> list[Json]:
    try:
        found: list[Json] = json.loads(file.read_text())
    except FileNotFoundError:
        return []
    return found


def _execution(values: Json) -> Execution:
    outputs = {key: Artifact(**artifact) for key, artifact in values["outputs"].items()}
    return Execution(values["task"], values["fingerprint"], outputs)


def _recorded(metadata: Json, task: str) -> Json:
    """Returns metadata as ML Metadata gives it back; see KFP's `StructValueToMLMDValue`."""
    return {key: _value(value, f"{task}: {key}") for key, value in metadata.items()}


def _value(value: Any, what: str) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return {"list": value}
    if isinstance(value, dict):
        return {"struct": value}
    raise Unrecordable(f"expected metadata that ML Metadata can hold; got {value!r} for {what}")
