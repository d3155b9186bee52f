"""Runs one data node of the graph and writes its seconds; `data_nodes.py` starts this and measures.

The node runs as in `mnist-tfx run`: on LocalDagRunner, with what it needs from the cache.
"""

import json
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # pipeline.py here hides the package

from data_nodes import NODES, Given

MODEL = "sequential"
BEFORE = {"MnistExampleGen": (), "StrictExampleValidator": NODES[:2]}  # others need NODES[0] alone


def run(node: str, given: Given) -> float:
    """Runs a node in this process and returns its seconds."""
    from pipeline import runner

    took: dict[str, tuple[str, float]] = {}

    def listen(event: Any) -> None:
        if event.state != "running":
            took[event.node] = (event.state, event.seconds)

    runner.run(_pipeline(node, given), "local", listen)
    name = f"{node}.{MODEL}" if node in ("Transform", "Evaluator") else node
    state, seconds = took[name]
    if state != "done":
        raise RuntimeError(f"expected {name} to run; it is {state}: use a new workdir")
    return seconds


def _pipeline(last: str, given: Given) -> Any:
    """Returns the graph of a data node and of those that it needs."""
    from tfx.orchestration import metadata, pipeline

    from pipeline.workdir import PIPELINE_NAME, Workdir

    workdir = Workdir.at(given.workdir)
    workdir.open()
    return pipeline.Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=str(workdir.artifacts),
        components=_components(last, given),
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(workdir.metadata)
        ),
        beam_pipeline_args=list(given.beam_args),
    )


def _components(last: str, given: Given) -> list[Any]:
    from tfx.components import Transform
    from tfx.proto import transform_pb2

    from components import data, schema_gen
    from components.example_gen import MnistExampleGen
    from components.example_validator import StrictExampleValidator
    from components.statistics_gen import StatisticsGen

    example_gen = MnistExampleGen(given.data, "", dict.fromkeys(data.SPLITS, 0), "")
    schema = schema_gen.CommittedSchema(schema_gen.SCHEMA_FILE.read_text(), "")
    examples, schema_out = example_gen.outputs["examples"], schema.outputs["schema"]
    statistics = StatisticsGen(examples, schema_out, "")
    validator = StrictExampleValidator(statistics.outputs["statistics"], schema_out, "")
    transform = Transform(
        examples=examples,
        schema=schema_out,
        preprocessing_fn="components.features.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=[data.TRAIN]),
        materialize=False,
        disable_statistics=True,
        custom_config={"input_shape": [28, 28, 1]},
    ).with_id(f"Transform.{MODEL}")
    made: dict[str, list[Any]] = {
        "MnistExampleGen": [example_gen, schema],
        "StatisticsGen": [statistics],
        "StrictExampleValidator": [validator],
        "Transform": [transform],
    }
    if last == "Evaluator":
        made[last] = _evaluation(given, examples, schema_out)
    return [node for name in (*BEFORE.get(last, NODES[:1]), last) for node in made[name]]


def _evaluation(given: Given, examples: Any, schema: Any) -> list[Any]:
    """Returns Evaluator and what it needs: a model that is there, and no baseline."""
    from components.baseline import BaselineFinder
    from components.evaluator import ComparingEvaluator, evaluation_config

    served = BaselineFinder({}, str(given.model), "", "", "").with_id("Model")
    nothing = BaselineFinder({}, str(given.workdir / "nothing"), "", "", "")
    model, none = served.outputs["model"], nothing.outputs["model"]
    evaluator = ComparingEvaluator(
        *(examples, schema, model, none),
        evaluation_config(floor=0.0),
        code="",
    ).with_id(f"Evaluator.{MODEL}")
    return [served, nothing, evaluator]


def main() -> None:
    """Runs the node that the command line names and writes its seconds."""
    node, told = sys.argv[1:]
    found = json.loads(told)
    paths = {name: pathlib.Path(found[name]) for name in ("workdir", "model")}
    given = Given(**{**found, **paths, "beam_args": tuple(found["beam_args"])})
    seconds = run(node, given)
    (given.workdir / f"{node}.json").write_text(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
