"""ML Metadata that is written as TFX writes it, without running anything."""

from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import store
from pipeline.workdir import PIPELINE_NAME, Workdir

COMPLETE, CACHED, FAILED = mlmd.Execution.COMPLETE, mlmd.Execution.CACHED, mlmd.Execution.FAILED


class Recorder:
    """Writes executions and artifacts into ML Metadata."""

    def __init__(self, workdir: Workdir) -> None:
        self._store = store.connect(workdir.metadata)
        self._node_type = self._store.put_context_type(mlmd.ContextType(name=store.NODE_CONTEXT))

    def artifact(self, kind: str, uri: Path, **properties: str | int) -> int:
        made = mlmd.Artifact(uri=str(uri))
        made.type_id = self._store.put_artifact_type(mlmd.ArtifactType(name=kind))
        for name, value in properties.items():
            field = "int_value" if isinstance(value, int) else "string_value"
            setattr(made.custom_properties[name], field, value)
        (number,) = self._store.put_artifacts([made])
        return number

    def ran(
        self,
        node: str,
        inputs: dict[str, int],
        outputs: dict[str, int],
        state: Any = COMPLETE,
        **properties: str,
    ) -> None:
        execution = mlmd.Execution(last_known_state=state)
        execution.type_id = self._store.put_execution_type(mlmd.ExecutionType(name=node))
        for name, value in properties.items():
            execution.custom_properties[name].string_value = value
        events = []
        for kind, artifacts in ((mlmd.Event.INPUT, inputs), (mlmd.Event.OUTPUT, outputs)):
            for key, number in artifacts.items():
                event = mlmd.Event(artifact_id=number, type=kind)
                event.path.steps.add().key = key
                events.append((mlmd.Artifact(id=number), event))
        context = mlmd.Context(type_id=self._node_type, name=f"{PIPELINE_NAME}.{node}")
        (number,) = self._store.put_executions([execution])
        (found,) = self._contexts(context)
        self._store.put_attributions_and_associations(
            [], [mlmd.Association(execution_id=number, context_id=found)]
        )
        for _, event in events:
            event.execution_id = number
        self._store.put_events([event for _, event in events])

    def _contexts(self, context: mlmd.Context) -> list[int]:
        known = self._store.get_context_by_type_and_name(store.NODE_CONTEXT, context.name)
        return [known.id] if known else self._store.put_contexts([context])
