"""`StatisticsGen`: TFX's (TFDV), which reads a split with all workers of an engine."""

from typing import Any

from tfx import types
from tfx.components.statistics_gen import executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts, standard_component_specs

from components.channels import Artifacts
from components.code_property import with_code
from components.spread_reading import spread_reading


class Executor(executor.Executor):
    """Runs TFX's executor."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `statistics`."""
        with spread_reading():
            super().Do(input_dict, output_dict, exec_properties)


class StatisticsGenSpec(standard_component_specs.StatisticsGenSpec):
    """TFX's, and the code's digest."""

    PARAMETERS = with_code(standard_component_specs.StatisticsGenSpec)


class StatisticsGen(base_beam_component.BaseBeamComponent):
    """Outputs `statistics` of every split."""

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, examples: types.BaseChannel, schema: types.BaseChannel, code: str) -> None:
        """Takes the examples and what types their features have."""
        super().__init__(
            StatisticsGenSpec(
                examples=examples,
                schema=schema,
                exclude_splits="[]",
                statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
                code=code,
            )
        )
