"""Reads ML Metadata: what the nodes of the last run produced; and tidies up before a run."""

import datetime
import pathlib
import shutil
from typing import Any

from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.workdir import PIPELINE_NAME
from pipeline.wrong_call import WrongCall

NODE_CONTEXT = "node"
FINISHED = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)
UNREADABLE = (errors.StatusError, RuntimeError)  # what ML Metadata raises


def connect(file: pathlib.Path) -> Any:
    """Opens the database, which is made where it is missing.

    Raises:
      WrongCall: the file is no database of this version of ML Metadata.
    """
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(file)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    try:
        return metadata_store.MetadataStore(config)
    except UNREADABLE as error:
        why = str(error).rpartition(" query:")[0] or str(error)  # the rest is in SQL
        raise WrongCall(
            f"expected ML Metadata of this version in {file}; it cannot be used ({why}): move the "
            "file away, and the next run begins anew, or name another --workdir"
        ) from error


def connect_to_read(file: pathlib.Path) -> Any:
    """Opens a database that is there and leaves it as it is.

    Raises:
      UNREADABLE: it is no database of this version of ML Metadata.
    """
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(file)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
    made = metadata_store.MetadataStore(config)
    made.get_artifact_types()
    return made


def node_of(store: Any, execution: Any) -> str:
    """Returns the node that an execution is of, or nothing."""
    names = [
        c.name for c in store.get_contexts_by_execution(execution.id) if c.type == NODE_CONTEXT
    ]
    return names[0].removeprefix(f"{PIPELINE_NAME}.") if names else ""


def finished_nodes(store: Any) -> list[str]:
    """Returns the nodes that were finished at least once, in the order of their first time."""
    done = [e for e in store.get_executions() if e.last_known_state in FINISHED]
    return list(dict.fromkeys(node_of(store, e) for e in sorted(done, key=lambda e: e.id)))


def outputs_of(store: Any, node: str) -> dict[str, Any]:
    """Returns the artifacts by key of the newest finished execution of a node; none, if none."""
    try:
        context = store.get_context_by_type_and_name(NODE_CONTEXT, f"{PIPELINE_NAME}.{node}")
    except errors.NotFoundError:
        context = None
    executions = store.get_executions_by_context(context.id) if context else []
    finished = [e for e in executions if e.last_known_state in FINISHED]
    if not finished:
        return {}
    newest = max(finished, key=lambda e: e.id)
    events = [
        event
        for event in store.get_events_by_execution_ids([newest.id])
        if event.type == mlmd.Event.OUTPUT
    ]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    return {event.path.steps[0].key: artifacts[event.artifact_id] for event in events}


def abandon_unfinished(store: Any, artifacts: pathlib.Path) -> int:
    """Marks what a killed run left running as failed and removes its half-written outputs.

    Call it only while no other run uses the database. Returns how many there were.
    """
    left = [e for e in store.get_executions() if e.last_known_state in UNFINISHED]
    for execution in left:
        execution.last_known_state = mlmd.Execution.FAILED
        for folder in artifacts.glob(f"*/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
    if left:
        store.put_executions(left)
    return len(left)


def set_aside_unknown(store: Any, artifacts: pathlib.Path) -> pathlib.Path | None:
    """Moves outputs of executions that the database does not know out of the nodes' way.

    Where the database was removed or replaced by an older one, numbers are given again, and a node
    would write among the files of another. Call it only while no other run uses the database.

    Returns where they are now, beside `artifacts`, or None where there are none.
    """
    known = {str(execution.id) for execution in store.get_executions()}
    numbered = (folder for folder in artifacts.glob("*/*/*") if folder.name.isdecimal())
    unknown = [folder for folder in numbered if folder.name not in known]
    aside = artifacts.with_name(f"{artifacts.name}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    for folder in unknown:
        moved = aside / folder.relative_to(artifacts)
        moved.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(moved)
    return aside if unknown else None
