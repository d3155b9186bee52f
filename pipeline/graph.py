"""The one graph that every runner runs: from raw digits to a served version."""

import dataclasses
from collections.abc import Mapping

from tfx.components import Trainer, Transform
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata, pipeline
from tfx.proto import trainer_pb2, transform_pb2
from tfx.types import BaseChannel

from components import data
from components.baseline import BaselineFinder
from components.behaviour.component import BehaviourTest
from components.code import code_digest
from components.evaluator import ComparingEvaluator, evaluation_config
from components.example_gen import MnistExampleGen
from components.example_validator import StrictExampleValidator
from components.pusher import VersionPusher
from components.schema_gen import CommittedSchema
from components.selector import ModelSelector
from components.serving_validator.component import ServingValidator
from components.settings import TrainSettings, TuneSettings, to_config
from components.statistics_gen import StatisticsGen
from components.tuning.component import RecordingTuner, tune_args
from pipeline.report_node import report_node
from pipeline.workdir import PIPELINE_NAME, Workdir


@dataclasses.dataclass(frozen=True)
class ModelNodes:
    """What the nodes of one model are told; `tune` is None where hyperparameters are given."""

    train: TrainSettings
    tune: TuneSettings | None
    parallel_trials: int = 1


@dataclasses.dataclass(frozen=True)
class GraphSettings:
    """All that the graph depends on.

    Attributes:
      data: where the data is, `sha256` its digest, `images` how many of each split (0: all).
      models: by name, in the order of the report.
      served_state: as `pinned`, see `BaselineFinder`.
      schema_text: the committed schema.
    """

    workdir: Workdir
    data: str
    sha256: str
    images: Mapping[str, int]
    models: Mapping[str, ModelNodes]
    accuracy_floor: float
    served_state: str
    pinned: str
    schema_text: str
    beam_args: tuple[str, ...]


def create_pipeline(settings: GraphSettings) -> pipeline.Pipeline:
    """Returns the pipeline of all nodes, caching on."""
    examples, schema, checked = _data_nodes(settings)
    per_model = {
        name: _training_nodes(name, nodes, examples, schema, checked)
        for name, nodes in settings.models.items()
    }
    nodes: list[BaseNode] = [*checked, *(n for made in per_model.values() for n in made.values())]
    nodes += _choosing_nodes(settings, per_model, examples, schema)
    nodes.append(report_node(nodes, list(settings.models)))
    return pipeline.Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=str(settings.workdir.artifacts),
        components=nodes,
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(settings.workdir.metadata)
        ),
        beam_pipeline_args=list(settings.beam_args),
    )


def _data_nodes(settings: GraphSettings) -> tuple[BaseChannel, BaseChannel, list[BaseNode]]:
    """Returns examples, schema, and the nodes that make and check them, the check last."""
    example_gen = MnistExampleGen(
        settings.data, settings.sha256, dict(settings.images), code_digest("components.example_gen")
    )
    schema_gen = CommittedSchema(settings.schema_text, code_digest("components.schema_gen"))
    examples, schema = example_gen.outputs["examples"], schema_gen.outputs["schema"]
    statistics = StatisticsGen(examples, schema, code_digest("components.statistics_gen"))
    validator = StrictExampleValidator(
        statistics.outputs["statistics"], schema, code_digest("components.example_validator")
    )
    return examples, schema, [example_gen, schema_gen, statistics, validator]


def _training_nodes(
    name: str,
    nodes: ModelNodes,
    examples: BaseChannel,
    schema: BaseChannel,
    checked: list[BaseNode],
) -> dict[str, BaseNode]:
    """Returns Transform, Tuner (unless hyperparameters are given) and Trainer of one model."""
    transform = Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="components.features.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=[data.TRAIN]),
        materialize=False,
        disable_statistics=True,
        custom_config={
            "input_shape": list(nodes.train.model.input_shape),
            "code": code_digest("components.features"),
        },
    ).with_id(f"Transform.{name}")
    transform.add_upstream_node(checked[-1])
    graph = transform.outputs["transform_graph"]
    made: dict[str, BaseNode] = {"Transform": transform}
    if nodes.tune:
        made["Tuner"] = RecordingTuner(
            examples=examples,
            transform_graph=graph,
            tuner_fn="components.tuning.run.tuner_fn",
            tune_args=tune_args(nodes.parallel_trials),
            custom_config=to_config(nodes.tune),
        ).with_id(f"Tuner.{name}")
    made["Trainer"] = Trainer(
        examples=examples,
        transform_graph=graph,
        run_fn="components.training.run.run_fn",
        hyperparameters=made["Tuner"].outputs["best_hyperparameters"] if nodes.tune else None,
        train_args=trainer_pb2.TrainArgs(splits=[data.TRAIN]),
        eval_args=trainer_pb2.EvalArgs(splits=[data.EVAL]),
        custom_config=to_config(nodes.train),
    ).with_id(f"Trainer.{name}")
    return made


def _evaluators(
    settings: GraphSettings,
    models: Mapping[str, BaseChannel],
    baseline: BaseChannel,
    examples: BaseChannel,
    schema: BaseChannel,
) -> dict[str, BaseNode]:
    """Returns the Evaluator of each model."""
    return {
        name: ComparingEvaluator(
            examples=examples,
            schema=schema,
            model=model,
            baseline_model=baseline,
            config=evaluation_config(settings.accuracy_floor),
            code=code_digest("components.evaluator"),
        ).with_id(f"Evaluator.{name}")
        for name, model in models.items()
    }


def _selector(
    per_model: Mapping[str, Mapping[str, BaseNode]],
    evaluators: Mapping[str, BaseNode],
    validator: BaseNode,
    examples: BaseChannel,
) -> BaseNode:
    """Returns the node that chooses among what was trained, from what was found out about it."""
    return ModelSelector(
        {
            "model": {name: made["Trainer"].outputs["model"] for name, made in per_model.items()},
            "run": {name: made["Trainer"].outputs["model_run"] for name, made in per_model.items()},
            "evaluation": {name: e.outputs["evaluation"] for name, e in evaluators.items()},
            "blessing": {name: e.outputs["blessing"] for name, e in evaluators.items()},
            "trials": {
                name: made["Tuner"].outputs["tuner_results"]
                for name, made in per_model.items()
                if "Tuner" in made
            },
        },
        validator.outputs["validation"],
        examples,
        list(per_model),
        code_digest("components.selector"),
    )


def _choosing_nodes(
    settings: GraphSettings,
    per_model: Mapping[str, Mapping[str, BaseNode]],
    examples: BaseChannel,
    schema: BaseChannel,
) -> list[BaseNode]:
    """Returns the Evaluators, the node that serves the candidates, the selector, the Pusher."""
    serving = str(settings.workdir.serving)
    models = {name: made["Trainer"].outputs["model"] for name, made in per_model.items()}
    state, pinned = settings.served_state, settings.pinned
    finder = BaselineFinder(models, serving, state, pinned, code_digest("components.baseline"))
    evaluators = _evaluators(settings, models, finder.outputs["model"], examples, schema)
    validator = ServingValidator(
        examples,
        models,
        code_digest("components.serving_validator.component", "serving.__main__"),
    )
    selector = _selector(per_model, evaluators, validator, examples)
    pusher = VersionPusher(
        selector.outputs["model"],
        selector.outputs["blessing"],
        serving,
        code_digest("components.pusher"),
    )
    behaviour = BehaviourTest(
        selector.outputs["model"], examples, code_digest("components.behaviour.component")
    )
    return [finder, *evaluators.values(), validator, selector, behaviour, pusher]
