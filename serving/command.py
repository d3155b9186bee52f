"""The command line of the embedded server; what it does is imported when it runs."""

import dataclasses
import logging
import os
import pathlib
import sys
from typing import Any

import click

from serving.batching_file import BadBatchingFile, read_batching
from serving.errors import PortTaken
from serving.model_config import ConfigError
from serving.options import Limits, ModelSource, Options
from serving.token_file import read_token

BATCHING_FILE = pathlib.Path(__file__).parent / "tf_serving" / "batching.config"
FOLDER = click.Path(file_okay=False, path_type=pathlib.Path)
FILE = click.Path(dir_okay=False, path_type=pathlib.Path)
WRONG_CALL = 2
PORT = click.IntRange(0, 65_535)
COUNT = click.IntRange(1, 2**31 - 1)  # gRPC has no larger ones
SECONDS = click.FloatRange(0, min_open=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--model-name", multiple=True, help="With --model-base-path; both repeatable.")
@click.option("--model-base-path", multiple=True, type=FOLDER, help="Holds numbered versions.")
@click.option("--model-config-file", type=FILE, help="TF Serving's; read again when it changes.")
@click.option(
    "--batching-parameters-file",
    type=FILE,
    default=BATCHING_FILE,
    help="TF Serving's; default: the one that the real TF Serving is started with too.",
)
@click.option("--digit-contract", is_flag=True, help="Refuse models without this project's API.")
@click.option(
    "--batch-precision",
    type=click.Choice(("float32", "bfloat16")),
    default="float32",
    show_default=True,
    help="Of batches of 8 or more; bfloat16 is quicker on AMX and AVX512-BF16, and less exact.",
)
@click.option("--host", default=Options.host, show_default=True)
@click.option(
    "--port", type=PORT, default=Options.port, show_default=True, help="REST; 0: any free one."
)
@click.option("--grpc-port", type=PORT, default=Options.grpc_port, show_default=True)
@click.option("--ready-file", type=FILE, help="Written once the server answers.")
@click.option("--poll-seconds", type=SECONDS, default=Options.poll_seconds, show_default=True)
@click.option("--max-body-bytes", type=COUNT, default=Limits.body_bytes, show_default=True)
@click.option("--max-instances", type=COUNT, default=Limits.instances, show_default=True)
@click.option("--max-queue", type=COUNT, help="Batches that may wait.")
@click.option(
    "--read-timeout", type=SECONDS, default=Limits.read_seconds, show_default=True, help="Seconds."
)
@click.option("--token-file", type=FILE, help="Requests must bear the token in it.")
@click.option("--cors-origin", multiple=True, help="A page's origin that may ask; repeatable.")
@click.option("--log-requests", type=FOLDER, help="Folder for a sample of the requests.")
@click.option("--log-sample-rate", type=click.FloatRange(0, 1), default=1.0, show_default=True)
def main(**given: Any) -> None:
    """Serve SavedModels over TF Serving's REST and gRPC protocols."""
    sys.exit(run(given))


def run(given: dict[str, Any]) -> int:
    """Serves, and returns the exit code: 0 after SIGTERM or SIGINT, 2 for a wrong call."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        options = options_from(given)
        _serve(options)
    except (ConfigError, BadBatchingFile, PortTaken, click.UsageError) as error:
        print(getattr(error, "message", str(error)), file=sys.stderr)
        return WRONG_CALL
    return 0


def _serve(options: Options) -> None:
    """Imports TensorFlow, which takes seconds: a wrong call has ended before."""
    import uvloop

    from serving.server import serve

    uvloop.run(serve(options))


def options_from(given: dict[str, Any]) -> Options:
    """Returns the server's options from those of the command line.

    Raises:
      click.UsageError: they do not go together.
    """
    names, folders = given["model_name"], given["model_base_path"]
    if len(names) != len(folders) or len(set(names)) != len(names):
        raise click.UsageError(
            "expected one --model-name, each another, for each --model-base-path; got "
            f"{len(names)} and {len(folders)}"
        )
    config, ready = given["model_config_file"], given["ready_file"]
    if not names and not (config and config.is_file()):
        raise click.UsageError(
            "expected --model-name and --model-base-path, or a --model-config-file that is there; "
            f"got {config or 'neither'}"
        )
    if ready and not ready.parent.is_dir():
        raise click.UsageError(f"expected --ready-file in a folder that is there; got {ready}")
    batching = read_batching(given["batching_parameters_file"])
    if given["max_queue"]:
        batching = dataclasses.replace(batching, max_enqueued_batches=given["max_queue"])
    return Options(
        models=tuple(map(ModelSource, names, folders)),
        config_file=config,
        contract=given["digit_contract"],
        bfloat16_batches=given["batch_precision"] == "bfloat16",
        host=given["host"],
        port=given["port"],
        grpc_port=given["grpc_port"],
        poll_seconds=given["poll_seconds"],
        ready_file=ready,
        token=read_token(given["token_file"]),
        cors_origins=given["cors_origin"],
        log_folder=given["log_requests"],
        log_sample_rate=given["log_sample_rate"],
        limits=Limits(
            body_bytes=given["max_body_bytes"],
            buffered_bytes=max(Limits.buffered_bytes, given["max_body_bytes"]),
            instances=given["max_instances"],
            read_seconds=given["read_timeout"],
        ),
        batching=batching,
    )
