"""`StrictExampleValidator`: TFX's ExampleValidator, but an anomaly stops the run and says which."""

from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator import executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs

from components.channels import Artifacts
from components.code_property import with_code


class AnomaliesFound(ValueError):
    """The data does not fit the schema."""


class Executor(executor.Executor):
    """Collects the anomalies of every split while TFX's executor validates them."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> Any:
        """Validates.

        Raises:
          AnomaliesFound: names each anomaly of each split.
        """
        self._found: list[anomalies_pb2.Anomalies] = []
        output = super().Do(input_dict, output_dict, exec_properties)
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        names = artifact_utils.decode_split_names(statistics.split_names)
        words = [
            f"{name}: {w}" for name, a in zip(names, self._found, strict=True) for w in in_words(a)
        ]
        if words:
            raise AnomaliesFound(
                "the data does not fit components/schema/mnist.pbtxt: " + "; ".join(words)
            )
        return output

    def _Validate(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
        self._found.append(super()._Validate(inputs, outputs))
        return self._found[-1]


def in_words(anomalies: anomalies_pb2.Anomalies) -> list[str]:
    """Returns one sentence an anomaly, naming the feature."""
    words = [
        f"{name or 'features'}: {info.short_description} ({info.description})"
        for name, info in sorted(anomalies.anomaly_info.items())
    ]
    if anomalies.HasField("dataset_anomaly_info"):
        words.append(anomalies.dataset_anomaly_info.description)
    return words


class StrictExampleValidatorSpec(standard_component_specs.ExampleValidatorSpec):
    """TFX's, and the code's digest."""

    PARAMETERS = with_code(standard_component_specs.ExampleValidatorSpec)


class StrictExampleValidator(base_component.BaseComponent):
    """Outputs `anomalies` where there are none to speak of; else it fails."""

    SPEC_CLASS = StrictExampleValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, statistics: types.BaseChannel, schema: types.BaseChannel, code: str) -> None:
        """Takes the statistics of every split, and what they are to fit."""
        super().__init__(
            StrictExampleValidatorSpec(
                statistics=statistics,
                schema=schema,
                exclude_splits="[]",
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
                code=code,
            )
        )
