"""The Tuner's node outside of a graph: its examples, what its function is told, its executor."""

import json
import os
import pathlib
from typing import Any

from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils

from components.settings import TuneSettings, to_config
from components.tuning.component import Executor
from tests.bright_rows import bright_rows
from tests.digit_files import write_digits

IMAGES, EVAL_IMAGES = 48, 20


def write_examples(folder: pathlib.Path) -> standard_artifacts.Examples:
    """Returns examples with the splits `train` (IMAGES digits) and `eval` (EVAL_IMAGES)."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(["train", "eval"])
    write_digits(folder / "Split-train", bright_rows(IMAGES))
    write_digits(folder / "Split-eval", bright_rows(EVAL_IMAGES))
    return artifact


def told(
    examples: standard_artifacts.Examples, transform_output: Any, asked: TuneSettings
) -> FnArgs:
    """Returns what the node tells its function."""
    return FnArgs(
        train_files=[f"{examples.uri}/Split-train/*"],
        eval_files=[f"{examples.uri}/Split-eval/*"],
        transform_graph_path=os.path.dirname(transform_output.transform_savedmodel_dir),
        custom_config=json.loads(json.dumps(to_config(asked))),
    )


def run_node(
    examples: standard_artifacts.Examples,
    arguments: FnArgs,
    folder: pathlib.Path,
    **properties: str,
) -> tuple[pathlib.Path, pathlib.Path]:
    """Runs the node; returns the folders of its best hyperparameters and of its results."""
    graph = standard_artifacts.TransformGraph()
    graph.uri = arguments.transform_graph_path
    best, results = standard_artifacts.HyperParameters(), standard_artifacts.TunerResults()
    best.uri, results.uri = str(folder / "best"), str(folder / "results")
    for artifact in (best, results):
        os.makedirs(artifact.uri)
    Executor(BaseExecutor.Context(tmp_dir=str(folder / "tmp"), unique_id="1")).Do(
        {"examples": [examples], "transform_graph": [graph]},
        {"best_hyperparameters": [best], "tuner_results": [results]},
        {
            "tuner_fn": "components.tuning.run.tuner_fn",
            "train_args": '{"splits": ["train"]}',
            "eval_args": '{"splits": ["eval"]}',
            "custom_config": json_utils.dumps(arguments.custom_config),
            **properties,
        },
    )
    return pathlib.Path(best.uri), pathlib.Path(results.uri)
