"""`CommittedSchema`: brings the schema that is kept with the source into the graph.

The schema's text is a property of the node, so an edited schema re-runs what depends on it (TFX's
ImportSchemaGen knows only the path).
"""

import os
import pathlib
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import io_utils

from components.channels import Artifacts

SCHEMA_FILE = pathlib.Path(__file__).parent / "schema" / "mnist.pbtxt"


class Executor(base_executor.BaseExecutor):
    """Writes `schema.pbtxt`."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the schema.

        Raises:
          ParseError: the text is not a schema.
        """
        schema = text_format.Parse(exec_properties["schema_text"], schema_pb2.Schema())
        folder = artifact_utils.get_single_uri(output_dict["schema"])
        io_utils.write_pbtxt_file(os.path.join(folder, "schema.pbtxt"), schema)


class CommittedSchemaSpec(types.ComponentSpec):
    """See `CommittedSchema`."""

    PARAMETERS = {name: ExecutionParameter(type=str) for name in ("schema_text", "code")}
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}


class CommittedSchema(base_component.BaseComponent):
    """Outputs `schema`."""

    SPEC_CLASS = CommittedSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, schema_text: str, code: str) -> None:
        """Takes the schema as text, and the code's digest."""
        channel = types.Channel(type=standard_artifacts.Schema)
        super().__init__(CommittedSchemaSpec(schema_text=schema_text, schema=channel, code=code))
