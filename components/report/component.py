"""`Report`: the last node; writes what the run found as a page, as Markdown and as JSON."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components import pusher
from components.behaviour.component import ModelBehaviour
from components.channels import Artifacts, channel_inputs, keyed, taking_part, uri_of
from components.examples_facts import facts_of
from components.report import render
from components.report.gather import Sources, gather
from components.selector import COMPARISON_FILE, ModelComparison

INPUTS: dict[str, type[types.Artifact]] = {
    "comparison": ModelComparison,
    "pushed_model": standard_artifacts.PushedModel,
    "examples": standard_artifacts.Examples,
    "statistics": standard_artifacts.ExampleStatistics,
    "anomalies": standard_artifacts.ExampleAnomalies,
    "behaviour": ModelBehaviour,
}


class RunReport(types.Artifact):
    """Holds `index.html`, `report.md` and `report.json`."""

    TYPE_NAME = "mnist.Report"  # Kubeflow wants a name of two parts


class Executor(base_executor.BaseExecutor):
    """Gathers and writes."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills `report`."""
        names = taking_part(json.loads(exec_properties["names"]), "run", input_dict)
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        pushed = artifact_utils.get_single_instance(input_dict["pushed_model"])
        folders = {
            key: pathlib.Path(artifact_utils.get_single_uri(input_dict[key])) for key in INPUTS
        }
        sources = Sources(
            comparison=folders["comparison"] / COMPARISON_FILE,
            runs={name: pathlib.Path(uri_of("run", name, input_dict)) for name in names},
            examples=folders["examples"],
            statistics=folders["statistics"],
            anomalies=folders["anomalies"],
            behaviour=folders["behaviour"],
            data=facts_of(examples),
            pushed_version=version_of(pushed),
            code=json.loads(exec_properties["code_of_nodes"]),
        )
        target = pathlib.Path(artifact_utils.get_single_uri(output_dict["report"]))
        render.write(gather(sources), target)


def version_of(pushed: types.Artifact) -> int | None:
    """Returns the version that VersionPusher pushed, if it pushed."""
    if not pushed.has_custom_property(pusher.VERSION):
        return None
    return int(pushed.get_string_custom_property(pusher.VERSION))


class Report(base_component.BaseComponent):
    """Outputs `report`, a RunReport."""

    SPEC_CLASS = types.ComponentSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        inputs: Mapping[str, types.BaseChannel],
        runs: Mapping[str, types.BaseChannel],
        code_of_nodes: Mapping[str, str],
        code: str,
    ) -> None:
        """Takes the channels by key of INPUTS, and each model's training by name.

        Args:
          code_of_nodes: the digest of each node's code, for the report.
        """
        spec_class = type(
            "ReportSpec",
            (types.ComponentSpec,),
            {
                "PARAMETERS": {
                    name: ExecutionParameter(type=str)
                    for name in ("names", "code_of_nodes", "code")
                },
                "INPUTS": {
                    **{key: ChannelParameter(type=kind) for key, kind in INPUTS.items()},
                    **channel_inputs("run", standard_artifacts.ModelRun, runs),
                },
                "OUTPUTS": {"report": ChannelParameter(type=RunReport)},
            },
        )
        super().__init__(
            spec_class(
                names=json.dumps(list(runs)),
                code_of_nodes=json.dumps(dict(code_of_nodes)),
                code=code,
                report=types.Channel(type=RunReport),
                **inputs,
                **keyed("run", runs),
            )
        )
