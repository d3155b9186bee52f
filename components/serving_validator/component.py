"""`ServingValidator`: whether each candidate may be served, how quick it is, its warm-up file."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import path_utils

from components import data
from components.channels import Artifacts, channel_inputs, keyed, taking_part, uri_of
from components.serving_validator.questions import read_questions
from components.serving_validator.report import (
    LOG_FILE,
    WARMUP_FILE,
    ServingValidation,
    write_validations,
)
from components.serving_validator.validate import validate
from components.serving_validator.warmup import BATCH_SIZES, write_warmup


class Executor(base_executor.BaseExecutor):
    """Serves the candidates and asks them."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills `validation`.

        Raises:
          ServerFailed: the server fails whichever model it is given.
        """
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["validation"]))
        questions = read_questions(
            f"{artifact_utils.get_split_uri(input_dict['examples'], data.EVAL)}/*",
            max(BATCH_SIZES),
        )
        write_warmup(folder / WARMUP_FILE, questions)
        models = {
            name: pathlib.Path(path_utils.serving_model_path(uri_of("model", name, input_dict)))
            for name in taking_part(json.loads(exec_properties["names"]), "model", input_dict)
        }
        found = validate(models, folder / WARMUP_FILE, questions, folder / LOG_FILE)
        if not any(validation.fault for validation in found.values()):
            (folder / LOG_FILE).unlink()
        write_validations(folder, found)


class ServingValidator(base_component.BaseComponent):
    """Outputs `validation`, a ServingValidation."""

    SPEC_CLASS = types.ComponentSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, examples: types.BaseChannel, models: Mapping[str, types.BaseChannel], code: str
    ) -> None:
        """Takes the examples, for digits of `eval`, and the candidates by name."""
        spec_class = type(
            "ServingValidatorSpec",
            (types.ComponentSpec,),
            {
                "PARAMETERS": {
                    "names": ExecutionParameter(type=str),
                    "code": ExecutionParameter(type=str),
                },
                "INPUTS": {
                    "examples": ChannelParameter(type=standard_artifacts.Examples),
                    **channel_inputs("model", standard_artifacts.Model, models),
                },
                "OUTPUTS": {"validation": ChannelParameter(type=ServingValidation)},
            },
        )
        super().__init__(
            spec_class(
                names=json.dumps(list(models)),
                code=code,
                examples=examples,
                validation=types.Channel(type=ServingValidation),
                **keyed("model", models),
            )
        )
