"""Looks at a job server, a Flink cluster or a worker's program; no job is sent.

Beam itself waits for minutes for a job server that is not there, and then says nothing of it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import urllib.request
from typing import Any

import grpc

from pipeline.beam_arguments import FLINK, PORTABLE
from pipeline.wrong_call import WrongCall

EMBEDDED = "embed"  # Beam's word for a job server in the same process
NOT_AN_ADDRESS = ("[local]", "[auto]")
SECONDS = 3.0
SECONDS_OF_A_CALL = 15.0  # of a job server that has just started
SEE = "docs/flink.md says how to start one"
# The first thing that Beam asks a job server. An empty message of protocol buffers has no bytes.
DESCRIBE = "/org.apache.beam.model.job_management.v1.JobService/DescribePipelineOptions"


def check(known: argparse.Namespace) -> None:
    """Looks whether an engine outside of this process is there and fits.

    Raises:
      WrongCall: it is not there, is another program, or is of another release.
    """
    if known.job_endpoint not in ("", EMBEDDED):
        _check_job_server(known.job_endpoint)
    elif known.runner == PORTABLE and not known.job_endpoint:
        raise WrongCall(f"expected --job_endpoint=HOST:PORT with --runner={PORTABLE}; {SEE}")
    elif known.runner == FLINK:
        _check_flink(known)
    _check_worker(known)


def _check_job_server(address: str) -> None:
    _check_listens(address, "--job_endpoint", "Beam job server")
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(DESCRIBE)(b"", timeout=SECONDS_OF_A_CALL)
        except grpc.RpcError as error:
            raise WrongCall(
                f"expected a Beam job server at --job_endpoint={address}; what answers there is "
                f"none ({error.code().name}): {SEE}"
            ) from None


def _check_listens(address: str, option: str, what: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise WrongCall(f"expected {option}=HOST:PORT, of a {what}; got {address!r}: {SEE}")
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
        wanted = known.flink_version or _default_flink_version()
        _check_flink_version(address.partition("://")[2] or address, wanted)


def _default_flink_version() -> str:
    from apache_beam.options.pipeline_options import FlinkRunnerOptions

    return str(FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS[-1])


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
    if str(version).split(".")[:2] != wanted.split("."):
        raise WrongCall(
            f"expected Flink {wanted} at --flink_master={address}, as --flink_version says or "
            f"Beam's default is; it is {version}: the two must have the same first two numbers"
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
