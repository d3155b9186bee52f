"""The entry point of every task: from Kubeflow's launcher to TFX's own executor and back."""

import argparse
import json
import logging
import os
import pathlib
import sys
import traceback
from typing import Any

from components.left_out import LEFT_OUT
from pipeline.interrupts import interrupted_by_sigterm, jobs_ended_by_interrupts
from pipeline.kubeflow import executor_input, layout
from pipeline.kubeflow.parameters import fold_in, take_submitted

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
STOPPED = 143  # as shells tell SIGTERM
SETTINGS = "custom_config"  # TFX's name for a Tuner's or Trainer's settings

Json = dict[str, Any]


def main(argv: list[str], mounts: str) -> int:
    """Runs one task and returns its exit code.

    Args:
      argv: as TFX compiles them: executor class, ExecutorInput, spec of the inputs, Beam's own.
      mounts: the folder that holds the launcher's folders, `/` in a cluster.
    """
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stdout, force=True)
    arguments, beam_args = _parser().parse_known_args(argv)
    try:
        _run(arguments, beam_args, mounts)
    except KeyboardInterrupt:
        print(f"{arguments.executor_class_path} was stopped", file=sys.stderr)
        return STOPPED
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        print(f"{arguments.executor_class_path} failed: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True)
    return parser


def _run(arguments: argparse.Namespace, beam_args: list[str], mounts: str) -> None:
    given: Json = json.loads(arguments.json_serialized_invocation_args)
    values: Json = given.setdefault("inputs", {}).setdefault("parameterValues", {})
    submitted = take_submitted(values)
    output_file = pathlib.Path(given["outputs"]["outputFile"])
    if not submitted.train:
        logging.info("the model was left out when the run was submitted")
        _write(executor_input.marked_outputs(given, LEFT_OUT), output_file)
        return
    if SETTINGS in values:
        values[SETTINGS] = fold_in(submitted, values[SETTINGS])
    if "pinned" in values:
        values["pinned"] = _pinned(values["serving_dir"])
    inputs_spec = json.loads(arguments.json_serialized_inputs_spec_args)
    uris = executor_input.localize(given, inputs_spec, mounts)
    arguments.json_serialized_invocation_args = json.dumps(given)
    _execute(arguments, beam_args)
    made: Json = json.loads(output_file.read_text())
    executor_input.restore(made, uris)
    _write(made, output_file)


def _execute(arguments: argparse.Namespace, beam_args: list[str]) -> None:
    """Runs TFX's own entry point, which knows our artifact types by then."""
    os.environ.setdefault("_KFP_RUNTIME", "true")  # KFP's SDK then imports its protos alone
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    compiler_utils.TITLE_TO_CLASS_PATH.update(layout.ARTIFACT_CLASSES)
    with interrupted_by_sigterm(), jobs_ended_by_interrupts():
        kubeflow_v2_run_executor.main((arguments, beam_args))


def _pinned(serving_dir: str) -> str:
    """Returns the version that the served folder is pinned to, as a local run finds it."""
    if "://" in serving_dir:
        return ""  # TF Serving's own configuration lies beside folders alone

    from pipeline.pushes import pinned

    return pinned(pathlib.Path(serving_dir))


def _write(executor_output: Json, file: pathlib.Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(executor_output))
