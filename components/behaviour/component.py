"""`BehaviourTest`: asks the chosen model about digits of `test` that were changed in known ways."""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import path_utils

from components import data
from components.behaviour.judge import judge, write_behaviour
from components.channels import Artifacts
from components.training.dataset import read_split

DIGITS = 1_000  # of `test`: the 95% interval of 99% is then 0.6 points to each side
BATCH = 250


class ModelBehaviour(types.Artifact):
    """Holds `behaviour.json`: what the chosen model answers under each change."""

    TYPE_NAME = "mnist.ModelBehaviour"  # Kubeflow wants a name of two parts


class Executor(base_executor.BaseExecutor):
    """Changes digits and asks."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills `behaviour`, or leaves it empty where no model was chosen."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        folder = pathlib.Path(path_utils.serving_model_dir(model.uri))
        if not folder.is_dir():
            return
        digits = read_split(
            f"{artifact_utils.get_split_uri(input_dict['examples'], data.TEST)}/*"
        ).first(DIGITS)
        found = judge(predictor(folder), digits.images, digits.labels)
        write_behaviour(
            pathlib.Path(artifact_utils.get_single_uri(output_dict["behaviour"])), found
        )


def predictor(folder: pathlib.Path) -> Any:
    """Returns what asks a SavedModel: uint8 [n, 28, 28] to float32 [n, 10], on the CPU."""
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]

    def predict(images: np.ndarray) -> np.ndarray:
        with tf.device("/CPU:0"):
            parts = [
                signature(image=tf.constant(images[first : first + BATCH]))["probabilities"]
                for first in range(0, len(images), BATCH)
            ]
        return np.concatenate([part.numpy() for part in parts])

    return predict


class BehaviourTestSpec(types.ComponentSpec):
    """The chosen model and the examples; the code's digest."""

    PARAMETERS = {"code": ExecutionParameter(type=str)}
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"behaviour": ChannelParameter(type=ModelBehaviour)}


class BehaviourTest(base_component.BaseComponent):
    """Outputs `behaviour`, a ModelBehaviour."""

    SPEC_CLASS = BehaviourTestSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, model: types.BaseChannel, examples: types.BaseChannel, code: str) -> None:
        """Takes the chosen model, which may be empty, and the examples."""
        super().__init__(
            BehaviourTestSpec(
                model=model,
                examples=examples,
                code=code,
                behaviour=types.Channel(type=ModelBehaviour),
            )
        )
