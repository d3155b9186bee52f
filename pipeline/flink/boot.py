"""Starts one Python worker of a Beam job; a task manager runs this, as it would `boot` in an image.

Beam's own `boot` is a program in Go that comes in its images alone. What the worker needs is
installed here, so that nothing that a job brings along is installed.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import grpc
from apache_beam.portability.api import beam_provision_api_pb2 as provision
from apache_beam.portability.api import beam_provision_api_pb2_grpc as provision_grpc
from apache_beam.portability.api import endpoints_pb2
from google.protobuf import json_format, text_format

from pipeline.cli import ENVIRONMENT

PROVISION_SECONDS = 60
WORKER = "apache_beam.runners.worker.sdk_worker_main"
ENDPOINTS = ("logging", "artifact", "provision", "control")


def main(argv: Sequence[str] | None = None) -> None:
    """Becomes the worker that was asked for."""
    arguments = parse(argv)
    variables = worker_environment(arguments, provisioned(arguments))
    os.execve(sys.executable, [sys.executable, "-m", WORKER], {**os.environ, **variables})


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the arguments of Beam's container contract; unknown ones are left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", required=True)
    for name in ENDPOINTS:
        parser.add_argument(f"--{name}_endpoint", default="")
    return parser.parse_known_args(argv)[0]


def provisioned(arguments: argparse.Namespace) -> provision.ProvisionInfo:
    """Asks the runner for the job's options and for the addresses that the arguments lack."""
    with grpc.insecure_channel(arguments.provision_endpoint) as channel:
        return (
            provision_grpc.ProvisionServiceStub(channel)
            .GetProvisionInfo(
                provision.GetProvisionInfoRequest(),
                metadata=[("worker_id", arguments.id)],
                timeout=PROVISION_SECONDS,
            )
            .info
        )


def worker_environment(
    arguments: argparse.Namespace, info: provision.ProvisionInfo
) -> dict[str, str]:
    """Returns the variables that the worker reads."""
    logging = arguments.logging_endpoint or info.logging_endpoint.url
    control = arguments.control_endpoint or info.control_endpoint.url
    return {
        **ENVIRONMENT,
        "WORKER_ID": arguments.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(logging),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(control),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }


def _descriptor(url: str) -> str:
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))


if __name__ == "__main__":
    main()
