"""Which data, code, search and evaluation made a version, by ML Metadata's events."""

import datetime
import json
import pathlib
from collections.abc import Iterable
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import store as metadata

PUSHED, VERSION = "PushedModel", "pushed_version"
Json = dict[str, Any]


class NotKnown(LookupError):
    """ML Metadata does not say what was asked."""


def lineage_of(store: Any, version: int) -> Json:
    """Returns where a version came from; `missing` names what is no longer to be read.

    Raises:
      NotKnown: no push of that version is on record.
    """
    pushed = _push_of(store, version)
    nodes = nodes_behind(store, pushed.id)
    missing: list[str] = []
    compared = _json_of(nodes, "ModelSelector", "comparison", "comparison.json", missing)
    winner = compared.get("winner")
    rows = compared.get("models", [])
    own: Json = next((row for row in rows if row.get("name") == winner), {})
    behind = [node for node in nodes if is_behind(node["node"], winner)]
    return {
        "version": version,
        "pushed": _time(pushed.create_time_since_epoch),
        "model": winner,
        "reason": compared.get("reason"),
        "data": _data(store, nodes),
        "code": {node["node"]: node["code"] for node in behind if node["code"]},
        "hyperparameters": {k: own[k] for k in ("batch_size", "learning_rate") if k in own},
        "trials": own.get("trials", []),
        "training": {k: own[k] for k in TRAINING if k in own},
        "evaluation": {k: own[k] for k in EVALUATION if k in own},
        "compared_with": [
            {k: row.get(k) for k in ("name", "status", "reason")} for row in rows if row is not own
        ],
        "nodes": behind,
        "missing": missing,
    }


TRAINING = ("params", "input_shape", "precision", "epochs", "best_epoch", "train_images")
EVALUATION = (
    *("eval_accuracy", "eval_loss", "eval_images", "test_accuracy", "test_loss", "test_images"),
    *("test_accuracy_by_digit", "test_images_by_digit", "latency_ms", "model_bytes"),
)


def versions_on_record(store: Any) -> list[int]:
    """Returns the versions whose push is on record, oldest first."""
    return sorted({version for version, _ in _pushes(store)})


def _pushes(store: Any) -> Iterable[tuple[int, Any]]:
    for artifact in store.get_artifacts_by_type(PUSHED):
        value = artifact.custom_properties.get(VERSION)
        if value is not None and value.string_value.isdecimal():
            yield int(value.string_value), artifact


def _push_of(store: Any, version: int) -> Any:
    """Returns the first artifact of a version; what equals it was not pushed again later."""
    found = [artifact for number, artifact in _pushes(store) if number == version]
    if not found:
        known = ", ".join(map(str, versions_on_record(store))) or "none"
        raise NotKnown(
            f"expected version {version} in ML Metadata; its pushes are of: {known}. A version "
            "that was copied here, or pushed by another workdir, has its lineage there"
        )
    return min(found, key=lambda artifact: artifact.id)


def nodes_behind(store: Any, artifact: int) -> list[Json]:
    """Returns each execution that led to an artifact, the earliest first, with what it made."""
    found: dict[int, Json] = {}
    waiting, seen = [artifact], {artifact}
    while waiting:
        for execution in _makers(store, waiting.pop()):
            if execution.id not in found:
                inputs = _events(store, execution.id, mlmd.Event.INPUT)
                found[execution.id] = _node(store, execution)
                waiting += [i for i in inputs if i not in seen]
                seen |= {*inputs}
    return [found[number] for number in sorted(found)]


def is_behind(node: str, winner: str | None) -> bool:
    """Whether a node is of the winner, or of no model."""
    _, _, model = node.partition(".")
    return not model or winner is None or model == winner


def _makers(store: Any, artifact: int) -> list[Any]:
    """Returns the execution that made an artifact; those that found it in the cache did not."""
    events = store.get_events_by_artifact_ids([artifact])
    makers = [e.execution_id for e in events if e.type == mlmd.Event.OUTPUT]
    done = [
        e for e in store.get_executions_by_id(makers) if e.last_known_state in metadata.FINISHED
    ]
    return [min(done, key=lambda e: e.id)] if done else []


def _events(store: Any, execution: int, kind: Any) -> dict[int, str]:
    """Returns the keys of an execution's inputs or outputs, by artifact."""
    events = store.get_events_by_execution_ids([execution])
    return {e.artifact_id: e.path.steps[0].key for e in events if e.type == kind and e.path.steps}


def _node(store: Any, execution: Any) -> Json:
    outputs = _events(store, execution.id, mlmd.Event.OUTPUT)
    artifacts = store.get_artifacts_by_id(list(outputs))
    return {
        "node": metadata.node_of(store, execution),
        "execution": execution.id,
        "finished": _time(execution.last_update_time_since_epoch),
        "code": _code(execution),
        "outputs": [{"key": outputs[a.id], "artifact": a.id, "uri": a.uri} for a in artifacts],
    }


def _code(execution: Any) -> str:
    """Returns the digest of the code that an execution ran, or nothing where it is TFX's."""
    properties = execution.custom_properties
    if "code" in properties:
        return str(properties["code"].string_value)
    settings = properties["custom_config"].string_value if "custom_config" in properties else "{}"
    return str((json.loads(settings) or {}).get("code", ""))


def _data(store: Any, nodes: list[Json]) -> Json:
    """Returns digest and images by split."""
    for node in nodes:
        for output in node["outputs"]:
            if node["node"] == "MnistExampleGen" and output["key"] == "examples":
                (artifact,) = store.get_artifacts_by_id([output["artifact"]])
                known = artifact.custom_properties
                counts = {n: known[f"{n}_images"].int_value for n in ("train", "eval", "test")}
                return {"sha256": known["input_fingerprint"].string_value, **counts}
    return {}


def _json_of(nodes: list[Json], node: str, key: str, file: str, missing: list[str]) -> Json:
    """Returns what a node wrote; where it is gone, `missing` gets a sentence."""
    uris = [o["uri"] for n in nodes if n["node"] == node for o in n["outputs"] if o["key"] == key]
    if not uris:
        missing.append(f"no execution of {node} is on record")
        return {}
    try:
        found: Json = json.loads((pathlib.Path(uris[-1]) / file).read_text())
    except (OSError, ValueError) as error:
        missing.append(f"what {node} found cannot be read: {error}")
        return {}
    return found


def _time(milliseconds: int) -> str:
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return moment.isoformat(timespec="seconds")
