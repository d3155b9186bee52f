"""What Kubeflow's driver does for a task: inputs, places of the outputs, the cache's key.

Source: KFP's backend/src/v2/driver (`resolveInputs`, `provisionOutputs`, `getFingerPrint`).
"""

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.compiled import Compiled
from pipeline.kubeflow.executor_input import local_path
from pipeline.kubeflow.local.executions import Execution

OUTPUT_FILE = "output_metadata.json"
KINDS: dict[str, type | tuple[type, ...]] = {
    "STRING": str,
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}
Json = dict[str, Any]


class Unresolved(ValueError):
    """A task's inputs cannot be resolved."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a pipeline: its parameters, and the place of all that it makes."""

    id: str
    root: str
    parameters: Mapping[str, Any]


def resolve_inputs(
    compiled: Compiled, name: str, run: Run, executions: Mapping[str, Execution]
) -> Json:
    """Returns the `inputs` of a task's ExecutorInput.

    Raises:
      Unresolved: a value or an upstream artifact is missing, or of another type.
    """
    task = compiled.tasks[name]
    definitions = compiled.component(task).get("inputDefinitions", {}).get("parameters", {})
    given = task.get("inputs", {})
    values = {
        key: _typed(_value(source, run), definitions[key]["parameterType"], f"{name}: {key}")
        for key, source in given.get("parameters", {}).items()
    }
    missing = [k for k, d in definitions.items() if k not in values and not d.get("isOptional")]
    if missing:
        raise Unresolved(f"expected values for {', '.join(missing)} of {name}; there are none")
    artifacts = {
        key: {"artifacts": [_upstream(source["taskOutputArtifact"], name, executions)]}
        for key, source in given.get("artifacts", {}).items()
    }
    return {"parameterValues": values, "artifacts": artifacts}


def provision_outputs(compiled: Compiled, name: str, run: Run, mounts: str) -> Json:
    """Returns the `outputs` of a task's ExecutorInput: a new place for each."""
    outputs = compiled.component(compiled.tasks[name]).get("outputDefinitions", {})
    place = f"{run.root}/{compiled.name}/{run.id}/{name}"
    salt = uuid.uuid4().hex
    made = {
        key: {
            "artifacts": [
                {
                    "uri": f"{place}/{salt}/{key}",
                    "type": definition["artifactType"],
                    **({"metadata": definition["metadata"]} if "metadata" in definition else {}),
                }
            ]
        }
        for key, definition in outputs.get("artifacts", {}).items()
    }
    file = f"{local_path(place, mounts)}/{OUTPUT_FILE}"
    return {"artifacts": made, "outputFile": file}


def fingerprint(compiled: Compiled, name: str, inputs: Json) -> str:
    """Returns the key of the cache, or nothing where the task has none."""
    task = compiled.tasks[name]
    if not task.get("cachingOptions", {}).get("enableCache"):
        return ""
    container = compiled.container(task)
    names = {k: [a["name"] for a in v["artifacts"]] for k, v in inputs["artifacts"].items()}
    outputs = compiled.component(task).get("outputDefinitions", {}).get("artifacts", {})
    key = [
        inputs["parameterValues"],
        names,
        outputs,
        container["image"],
        [*container.get("command", []), *container.get("args", [])],
        compiled.claims(task),
    ]
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _value(source: Json, run: Run) -> Any:
    if "componentInputParameter" in source:
        name = source["componentInputParameter"]
        if name not in run.parameters:
            raise Unresolved(f"expected the parameter {name}; the run has {[*run.parameters]}")
        return run.parameters[name]
    return source["runtimeValue"]["constant"]


def _typed(value: Any, kind: str, what: str) -> Any:
    """Checks a value as the driver does; all but strings are turned into strings where one is due.

    Raises:
      Unresolved: it is of another type.
    """
    if kind == "STRING" and not isinstance(value, str):
        return json.dumps(value)
    number_for_bool = isinstance(value, bool) and kind != "BOOLEAN"
    if number_for_bool or not isinstance(value, KINDS[kind]):
        raise Unresolved(f"expected {kind} for {what}; got {value!r}")
    return value


def _upstream(source: Json, name: str, executions: Mapping[str, Execution]) -> Json:
    producer, key = source["producerTask"], source["outputArtifactKey"]
    if producer not in executions or key not in executions[producer].outputs:
        raise Unresolved(f"expected {key} of {producer} for {name}; it was not made")
    return executions[producer].outputs[key].as_input()
