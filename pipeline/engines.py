"""Beam's arguments of all nodes and of single ones: taken apart, completed, checked."""

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline import engine_checks
from pipeline.beam_arguments import DIRECT, FLINK, PORTABLE, SPARK, with_runner
from pipeline.wrong_call import WrongCall

ENGINES = (FLINK, SPARK, PORTABLE)
IN_THIS_PROCESS = ("", DIRECT, "FnApiRunner")
IN_MEMORY, PROCESSES = "in_memory", "multi_processing"
MODES = (IN_MEMORY, "multi_threading", PROCESSES)
LOCAL_WORKERS = "--runner=pipeline.local_workers.LocalWorkersRunner"
# A worker of another process must import TFX before anything else of its family: TFDV imports a
# module that TFX-BSL has no more, and TFX puts a stand-in for it into the process.
PLUGIN = "--beam_plugin=tfx"
PER_MODEL = ("Transform", "Evaluator")  # of the Beam nodes, those that each model has


def beam_nodes(models: Iterable[str]) -> list[str]:
    """Returns the names of the graph's Beam nodes."""
    return ["MnistExampleGen", "StatisticsGen", *(f"{n}.{m}" for n in PER_MODEL for m in models)]


def node_arguments(given: Iterable[str]) -> dict[str, list[str]]:
    """Reads `--node-beam-args`, each NODE=ARGS; one node may be named more than once.

    Raises:
      WrongCall: one is no such pair, or names a runner that is none.
    """
    found: dict[str, list[str]] = {}
    for text in given:
        name, _, words = text.partition("=")
        if not (name and words.strip()):
            raise WrongCall(f"expected NODE=ARGS at --node-beam-args; got {text!r}")
        try:
            found.setdefault(name, []).extend(shlex.split(words))
        except ValueError as error:
            raise WrongCall(
                f"expected NODE=ARGS at --node-beam-args; got {text!r}: {error}"
            ) from None
    return {name: complete(with_runner(arguments)) for name, arguments in found.items()}


def check_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Checks which nodes `--node-beam-args` names.

    Raises:
      WrongCall: one is no Beam node of the graph.
    """
    known = sorted(known)
    for name in names:
        if name not in known:
            raise WrongCall(
                f"expected a Beam node of {', '.join(known)} at --node-beam-args; got {name!r}"
            )


def give_arguments(nodes: Iterable[Any], given: Mapping[str, Sequence[str]]) -> None:
    """Gives the named Beam nodes arguments of their own, which win over those of all nodes.

    Raises:
      WrongCall: a name is no Beam node of the graph.
    """
    beam = {node.id: node for node in nodes if hasattr(node, "with_beam_pipeline_args")}
    check_names(given, beam)
    for name, arguments in given.items():
        beam[name].with_beam_pipeline_args(list(arguments))


def complete(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments with what workers in other processes than this one need."""
    known = _parse(arguments)
    made = [*arguments]
    if known.runner in IN_THIS_PROCESS:
        if known.direct_running_mode != PROCESSES:
            return made
        made.append(LOCAL_WORKERS)
    return made if PLUGIN in made else [*made, PLUGIN]


def check(arguments: Sequence[str]) -> None:
    """Looks whether the engine is there and fits, if the arguments name one.

    Raises:
      WrongCall: it is not there, is another program, or is of another release; or Beam's own
        runner is asked for workers that it would not have.
    """
    known = _parse(with_runner(arguments))
    if known.runner in IN_THIS_PROCESS:
        _check_workers(known)
    if known.runner in ENGINES:
        engine_checks.check(known)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("runner", "job_endpoint", "flink_master", "flink_version"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--direct_num_workers", type=int, default=1)
    parser.add_argument("--direct_running_mode", choices=MODES, default=IN_MEMORY)
    parser.add_argument("--flink_job_server_jar", default="")
    parser.add_argument("--environment_type", default="")
    parser.add_argument("--environment_config", default="")
    parser.add_argument("--environment_option", "--environment_options", dest="o", action="append")
    try:
        return parser.parse_known_args([*arguments])[0]
    except argparse.ArgumentError as error:
        raise WrongCall(f"expected Beam's arguments after --; {error}") from None


def _check_workers(known: argparse.Namespace) -> None:
    workers = known.direct_num_workers
    if workers < 0:
        raise WrongCall(
            f"expected --direct_num_workers of 0 (one for each processor) or more; got {workers}"
        )
    if workers != 1 and known.direct_running_mode == IN_MEMORY:
        raise WrongCall(
            f"expected --direct_running_mode={PROCESSES} with --direct_num_workers={workers}; "
            f"{IN_MEMORY} is one worker, this process, whatever their number"
        )
