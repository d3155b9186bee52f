"""`ComparingEvaluator`: TFX's Evaluator (TFMA), told what a first run is: no baseline yet."""

from typing import Any
from unittest import mock

import tensorflow_model_analysis as tfma
from google.protobuf import json_format, text_format
from tfx import types
from tfx.components.evaluator import executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.utils import json_utils
from tfx_bsl.coders import batch_util

from components import baseline, data
from components.channels import Artifacts
from components.code_property import with_code
from components.examples_facts import facts_of
from components.features import LABEL
from components.spread_reading import spread_reading
from components.unbatching import freed_batches

ACCURACY = "sparse_categorical_accuracy"
LOSS = "sparse_categorical_crossentropy"
COUNT = "example_count"  # TFMA's own name
CANDIDATE = "candidate"
BASELINE = "baseline"
TWO_SIDED_95 = 1.96
TYPICAL_ACCURACY = 0.99
# Digits that the model is asked about at once. Left alone, TFX-BSL tries sizes of up to 1,000, of
# which the first layers of `sequential` have 200 MB each, and varies them to the end: with one size
# an evaluation of 100,000 digits took 88 s where it had taken 98 with sizes of up to 256.
BATCH = 256


def evaluation_config(floor: float) -> tfma.EvalConfig:
    """Returns what is measured on `test`, overall and by digit, and what blesses a model.

    How much worse than the served model it may be is set by `with_margin`, which knows the data.

    Args:
      floor: the least accuracy.
    """
    specs = "".join(
        f'model_specs {{ name: "{name}" signature_name: "examples" label_key: "{LABEL}" '
        f'prediction_key: "probabilities" is_baseline: {str(name == BASELINE).lower()} }}\n'
        for name in (CANDIDATE, BASELINE)
    )
    text = f"""
      {specs}
      slicing_specs {{}}
      slicing_specs {{ feature_keys: "{LABEL}" }}
      metrics_specs {{
        metrics {{ class_name: "ExampleCount" }}
        metrics {{ class_name: "SparseCategoricalCrossentropy" config: '"name": "{LOSS}"' }}
        metrics {{
          class_name: "SparseCategoricalAccuracy" config: '"name": "{ACCURACY}"'
          per_slice_thresholds {{
            slicing_specs {{}}  # overall; a plain threshold would apply to every digit as well
            threshold {{
              value_threshold {{ lower_bound {{ value: {floor} }} }}
              change_threshold {{ direction: HIGHER_IS_BETTER absolute {{ value: 0 }} }}
            }}
          }}
        }}
      }}
    """
    return text_format.Parse(text, tfma.EvalConfig())


def with_margin(config: str, images: int) -> str:
    """Returns an evaluation's configuration for so many images.

    Args:
      config: a `tfma.EvalConfig` as JSON.
      images: of `test`; the more, the smaller a loss that chance explains.
    """
    changed = json_format.Parse(config, tfma.EvalConfig())
    for metric in (metric for spec in changed.metrics_specs for metric in spec.metrics):
        for slices in metric.per_slice_thresholds:
            slices.threshold.change_threshold.absolute.value = -chance_margin(images)
    return str(json_format.MessageToJson(changed, preserving_proto_field_name=True))


def chance_margin(images: int) -> float:
    """Returns the difference of two accuracies near 99% that chance explains on so many images."""
    variance = TYPICAL_ACCURACY * (1 - TYPICAL_ACCURACY) / images
    return float(TWO_SIDED_95 * (2 * variance) ** 0.5)


class Executor(executor.Executor):
    """Runs TFX's executor, without a baseline that is empty, in batches of one size."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `evaluation` and `blessing`."""
        key = standard_component_specs.BASELINE_MODEL_KEY
        if baseline.is_empty(artifact_utils.get_single_instance(input_dict[key])):
            input_dict = {k: v for k, v in input_dict.items() if k != key}
        images = facts_of(artifact_utils.get_single_instance(input_dict["examples"]))[data.TEST]
        config = with_margin(exec_properties["eval_config"], images)
        exec_properties = {**exec_properties, "eval_config": config}
        sizes = {"min_batch_size": BATCH, "max_batch_size": BATCH}
        with (  # none of these has an option
            mock.patch.object(batch_util, "GetBatchElementsKwargs", return_value=sizes),
            spread_reading(),
            freed_batches(),
        ):
            super().Do(input_dict, output_dict, exec_properties)


class ComparingEvaluatorSpec(standard_component_specs.EvaluatorSpec):
    """TFX's, and the code's digest."""

    PARAMETERS = with_code(standard_component_specs.EvaluatorSpec)


class ComparingEvaluator(base_beam_component.BaseBeamComponent):
    """Outputs `evaluation` and `blessing`."""

    SPEC_CLASS = ComparingEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        config: tfma.EvalConfig,
        code: str,
    ) -> None:
        """Takes a candidate, and a baseline that may be empty."""
        super().__init__(
            ComparingEvaluatorSpec(
                examples=examples,
                schema=schema,
                model=model,
                baseline_model=baseline_model,
                eval_config=config,
                example_splits=json_utils.dumps([data.TEST]),
                fairness_indicator_thresholds="null",
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                code=code,
            )
        )
