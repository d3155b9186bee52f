"""`VersionPusher`: TFX's Pusher, but atomic; numbers only grow; nothing is pushed twice."""

import pathlib
from typing import Any

from tfx import types
from tfx.components.pusher import executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components import saved_model
from components.channels import Artifacts
from components.served import Served, served_at

PUSHED = "pushed"
VERSION = "pushed_version"


class Executor(executor.Executor):
    """Pushes a blessed model to the folder that is served."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills `pushed_model` with where the model went, or that it went nowhere."""
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        place = exec_properties["serving_dir"]
        version = push_once(pathlib.Path(self.GetModelPath(input_dict)), served_at(place))
        self._MarkPushed(pushed, f"{place}/{version}", str(version))


def push_once(model: pathlib.Path, served: Served) -> int:
    """Pushes a model unless it is what the newest version already holds; returns the version."""
    newest = served.latest()
    if newest and served.digest(newest) == saved_model.digest(model):
        return newest
    return served.push(model)


class VersionPusherSpec(types.ComponentSpec):
    """As TFX's, with the folder as a plain property, and the code's digest."""

    PARAMETERS = {
        "serving_dir": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}


class VersionPusher(base_component.BaseComponent):
    """Outputs `pushed_model`, whose properties name the version."""

    SPEC_CLASS = VersionPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        blessing: types.BaseChannel,
        serving_dir: str,
        code: str,
    ) -> None:
        """Takes the winner, whether it is blessed, and the folder that is served."""
        super().__init__(
            VersionPusherSpec(
                model=model,
                model_blessing=blessing,
                serving_dir=serving_dir,
                pushed_model=types.Channel(type=standard_artifacts.PushedModel),
                code=code,
            )
        )
