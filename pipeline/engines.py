"""Looks at the engine that Beam arguments name, before a run begins; no job is sent.

Beam itself waits without end for a job server that is not there.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import socket
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.wrong_call import WrongCall

FLINK, SPARK, PORTABLE = "FlinkRunner", "SparkRunner", "PortableRunner"
ENGINES = (FLINK, SPARK, PORTABLE)
IN_THIS_PROCESS = ("", "DirectRunner", "FnApiRunner")
IN_MEMORY, PROCESSES = "in_memory", "multi_processing"
MODES = (IN_MEMORY, "multi_threading", PROCESSES)
LOCAL_WORKERS = "--runner=pipeline.local_workers.LocalWorkersRunner"
EMBEDDED = "embed"  # Beam's word for a job server in the same process
NOT_AN_ADDRESS = ("[local]", "[auto]")
SECONDS = 3.0
# A worker of another process must import TFX before anything else of its family: TFDV imports a
# module that TFX-BSL has no more, and TFX puts a stand-in for it into the process.
PLUGIN = "--beam_plugin=tfx"
SEE = "docs/flink.md says how to start one"


def node_arguments(given: Iterable[str]) -> dict[str, list[str]]:
    """Reads `--node-beam-args`, each NODE=ARGS; one node may be named more than once.

    Raises:
      WrongCall: one is no such pair.
    """
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, words = text.partition("=")
        if not (name and equals):
            raise WrongCall(f"expected NODE=ARGS at --node-beam-args; got {text!r}")
        found.setdefault(name, []).extend(shlex.split(words))
    return {name: complete(arguments) for name, arguments in found.items()}


def give_arguments(nodes: Iterable[Any], given: Mapping[str, Sequence[str]]) -> None:
    """Gives the named Beam nodes arguments of their own, which win over those of all nodes.

    Raises:
      WrongCall: a name is no Beam node of the graph.
    """
    beam = {node.id: node for node in nodes if hasattr(node, "with_beam_pipeline_args")}
    for name, arguments in given.items():
        if name not in beam:
            known = ", ".join(sorted(beam))
            raise WrongCall(f"expected a Beam node of {known} at --node-beam-args; got {name!r}")
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
    known = _parse(arguments)
    if known.runner in IN_THIS_PROCESS:
        _check_workers(known)
    if known.runner not in ENGINES:
        return
    if known.job_endpoint not in ("", EMBEDDED):
        _check_listens(known.job_endpoint, "--job_endpoint", "Beam job server")
    elif known.runner == PORTABLE and not known.job_endpoint:
        raise WrongCall(f"expected --job_endpoint=HOST:PORT with --runner={PORTABLE}; {SEE}")
    elif known.runner == FLINK:
        _check_flink(known)
    _check_worker(known)


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


def _check_listens(address: str, option: str, what: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise WrongCall(f"expected {option}=HOST:PORT, of a {what}; got {address!r}")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS):
            return
    except OSError as error:
        raise WrongCall(
            f"expected a {what} at {option}={address}; nothing answers there ({_why(error)}): {SEE}"
        ) from None


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _check_flink(known: argparse.Namespace) -> None:
    """Checks a run that starts a job server of its own for a cluster."""
    jar = known.flink_job_server_jar
    if jar and "://" not in jar and not pathlib.Path(jar).is_file():
        raise WrongCall(f"expected a file at --flink_job_server_jar; {jar} is not there")
    if shutil.which("java") is None:
        raise WrongCall(
            f"expected Java on the path, for the job server of --runner={FLINK}; there is none: "
            "install it, or name a job server that runs with --job_endpoint=HOST:PORT"
        )
    address = known.flink_master
    if address and address not in NOT_AN_ADDRESS:
        _check_flink_version(address.partition("://")[2] or address, known.flink_version)


def _check_flink_version(address: str, wanted: str) -> None:
    _check_listens(address, "--flink_master", "Flink cluster")
    found: Any = None
    url = f"http://{address}/overview"
    with (
        contextlib.suppress(OSError, ValueError),
        urllib.request.urlopen(url, timeout=SECONDS) as answer,
    ):
        found = json.load(answer)
    version = found.get("flink-version") if isinstance(found, dict) else None
    if version is None:
        raise WrongCall(
            f"expected a Flink cluster at --flink_master={address}; what answers there is no "
            "Flink: give the address of its REST interface, port 8081 by default"
        )
    if wanted and str(version).split(".")[:2] != wanted.split("."):
        raise WrongCall(
            f"expected Flink {wanted} at --flink_master={address}, as --flink_version says; "
            f"it is {version}: the two must have the same first two numbers"
        )
    if not found.get("slots-total"):
        raise WrongCall(
            f"expected task slots at --flink_master={address}; it has none: start a task manager"
        )


def _check_worker(known: argparse.Namespace) -> None:
    """Checks the program of `--environment_type=PROCESS` where it is on this machine."""
    if known.environment_type != "PROCESS":
        return
    command = next(
        (o.partition("=")[2] for o in known.o or () if o.startswith("process_command=")), ""
    )
    if known.environment_config:
        try:
            command = json.loads(known.environment_config)["command"]
        except (ValueError, KeyError, TypeError):
            raise WrongCall(
                'expected --environment_config={"command": "..."}; '
                f"got {known.environment_config!r}"
            ) from None
    if not command:
        raise WrongCall(
            "expected --environment_option=process_command=FILE with --environment_type=PROCESS, "
            "the program that starts a worker"
        )
    if pathlib.Path(command).is_absolute() and not os.access(command, os.X_OK):
        raise WrongCall(f"expected a program that starts a worker; {command} cannot be executed")
