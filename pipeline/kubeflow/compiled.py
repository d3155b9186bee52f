"""A compiled pipeline as it lies in a file: read, checked, and asked for what its tasks need."""

import dataclasses
import pathlib
from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

import yaml

from pipeline.kubeflow import layout

SCHEMA_VERSION = "2.1.0"
Json = dict[str, Any]


class NotCompiled(ValueError):
    """A file is not a pipeline that this version compiled."""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The pipeline spec, and the platform spec, which may be empty."""

    spec: Json
    platform: Json

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def description(self) -> str:
        """What was compiled, as `compile.describe` says it."""
        return str(self.spec["pipelineInfo"].get("description", ""))

    @property
    def profile(self) -> str:
        """The profile that it was compiled for."""
        return self.description.partition("profile ")[2].partition(",")[0]

    @property
    def parameters(self) -> Mapping[str, Json]:
        """The definitions of what may be said when a run is submitted."""
        found: Json = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return found

    @property
    def tasks(self) -> Mapping[str, Json]:
        """The tasks by name, each after all that it depends on, else by name."""
        tasks: Json = self.spec["root"]["dag"]["tasks"]
        order = TopologicalSorter({n: tasks[n].get("dependentTasks", []) for n in sorted(tasks)})
        return {name: tasks[name] for name in order.static_order()}

    def component(self, task: Json) -> Json:
        """Returns the component of a task."""
        found: Json = self.spec["components"][task["componentRef"]["name"]]
        return found

    def container(self, task: Json) -> Json:
        """Returns image, command, arguments and environment of a task."""
        executors = self.spec["deploymentSpec"]["executors"]
        found: Json = executors[self.component(task)["executorLabel"]]["container"]
        return found

    def claims(self, task: Json) -> list[str]:
        """Returns the PersistentVolumeClaims that a task mounts."""
        executors = (
            self.platform.get("platforms", {})
            .get("kubernetes", {})
            .get("deploymentSpec", {})
            .get("executors", {})
        )
        mounts = executors.get(self.component(task)["executorLabel"], {}).get("pvcMount", [])
        return sorted(mount["constant"] for mount in mounts)


def read(path: pathlib.Path, version: str) -> Compiled:
    """Reads a compiled pipeline.

    Args:
      version: of this project, which must have compiled it.

    Raises:
      NotCompiled: it is not there, no pipeline of KFP 2.1, incomplete, or another version's.
    """
    try:
        documents = [d for d in yaml.safe_load_all(path.read_text()) if d is not None]
    except FileNotFoundError:
        raise NotCompiled(f"expected a compiled pipeline at {path}; there is none") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NotCompiled(f"expected YAML in {path}; got: {error}") from error
    compiled = _checked(documents, path)
    expected = f"{layout.PROJECT} {version}"
    found = compiled.description.partition(",")[0]
    if found != expected:
        raise NotCompiled(
            f"expected a pipeline that {expected} compiled; {path} is of "
            f"{found or 'something else'}: compile it again with `mnist-tfx kubeflow compile`"
        )
    return compiled


def _checked(documents: list[Any], path: pathlib.Path) -> Compiled:
    if not 1 <= len(documents) <= 2 or not all(isinstance(d, dict) for d in documents):
        raise NotCompiled(
            f"expected a pipeline spec, and perhaps a platform spec, in {path}; got "
            f"{len(documents)} YAML documents: compile it again"
        )
    compiled = Compiled(documents[0], documents[1] if len(documents) > 1 else {})
    found = compiled.spec.get("schemaVersion")
    if found != SCHEMA_VERSION:
        raise NotCompiled(
            f"expected a pipeline spec of schemaVersion {SCHEMA_VERSION} in {path}; got {found}: "
            "compile it again"
        )
    try:
        _ = compiled.name
        for task in compiled.tasks.values():
            compiled.container(task)
    except (KeyError, TypeError, AttributeError) as error:
        raise NotCompiled(
            f"expected whole tasks in {path}; {error} is missing: compile it again"
        ) from error
    return compiled
