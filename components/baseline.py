"""`BaselineFinder`: brings the model that is served now into the graph, or says that there is none.

It takes the place of TFX's Resolver, which open-source Kubeflow refuses. Its inputs are the
candidates: it looks again only when one of them is new, so a run with nothing changed stays cached
although the run before it pushed a model. Where the folder is pinned to a version, that one is
served, whatever is pushed.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import path_utils

from components import versions
from components.channels import Artifacts, channel_inputs, keyed
from components.served import served_at

VERSION = "served_version"


class Executor(base_executor.BaseExecutor):
    """Copies the pinned version, else the newest complete one, if there is one."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills `model`, or leaves it empty on a first run."""
        served = served_at(exec_properties["serving_dir"])
        model = artifact_utils.get_single_instance(output_dict["model"])
        pinned = exec_properties["pinned"]
        version = int(pinned) if pinned else served.latest()
        model.set_int_custom_property(VERSION, version)
        if version:
            served.fetch(version, pathlib.Path(path_utils.serving_model_dir(model.uri)))


def is_empty(model: types.Artifact) -> bool:
    """Whether a baseline artifact holds no model, as on a first run."""
    folder = pathlib.Path(path_utils.serving_model_dir(model.uri))
    return not (folder / versions.SAVED_MODEL).is_file()


class BaselineFinder(base_component.BaseComponent):
    """Outputs `model`, empty where nothing is served."""

    SPEC_CLASS = types.ComponentSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        candidates: Mapping[str, types.BaseChannel],
        serving_dir: str,
        served_state: str,
        pinned: str,
        code: str,
    ) -> None:
        """Takes the candidates by name and the folder that is served.

        Args:
          pinned: the version that serves whatever is pushed, 0 for none; empty where the newest
            serves.
          served_state: what the caller knows of changes to the folder from outside; another value
            makes the node look again.
        """
        spec_class = type(
            "BaselineFinderSpec",
            (types.ComponentSpec,),
            {
                "PARAMETERS": {
                    "serving_dir": ExecutionParameter(type=str),
                    "served_state": ExecutionParameter(type=str),
                    "pinned": ExecutionParameter(type=str),
                    "code": ExecutionParameter(type=str),
                },
                "INPUTS": channel_inputs("model", standard_artifacts.Model, candidates),
                "OUTPUTS": {"model": ChannelParameter(type=standard_artifacts.Model)},
            },
        )
        super().__init__(
            spec_class(
                serving_dir=serving_dir,
                served_state=served_state,
                pinned=pinned,
                code=code,
                model=types.Channel(type=standard_artifacts.Model),
                **keyed("model", candidates),
            )
        )
