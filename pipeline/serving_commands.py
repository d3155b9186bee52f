"""The commands around the served model: serve, predict, versions, promote, rollback, drift.

Their options alone; what they do is imported when one runs.
"""

import pathlib
import sys
from typing import Any

import click

from pipeline.options_of_commands import workdir_option

MODEL = "mnist"
URL = "http://127.0.0.1:8501"

url_option = click.option("--url", default=URL, show_default=True, help="Of the model server.")
model_option = click.option("--model", default=MODEL, show_default=True, help="Its name there.")
token_option = click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
    help="File with the server's bearer token.",
)


@click.command(context_settings={"ignore_unknown_options": True})
@workdir_option
@click.option("--engine", type=click.Choice(("embedded", "tf-serving")), default="embedded")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(workdir: pathlib.Path, engine: str, arguments: tuple[str, ...]) -> None:
    """Answer over REST and gRPC with what the pipeline pushed, or with any SavedModels.

    All options of the server may follow, --port 8502 or --log-requests DIR say; `mnist-tfx serve --
    --help` lists them. The page for drawing is at http://127.0.0.1:8501.
    """
    from pipeline.serve import serve_with

    sys.exit(serve_with(workdir, engine, arguments))


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=pathlib.Path))
@url_option
@model_option
@token_option
@click.option("--version", type=int, help="Ask this version instead of the newest.")
@click.option("--label", help="Ask the version of this label, stable say.")
def predict(images: tuple[pathlib.Path, ...], **options: object) -> None:
    """Ask the served model which digits pictures show (PNG or JPEG of any size)."""
    from serving.client.command import predict_files

    sys.exit(predict_files(images, **options))  # type: ignore[arg-type]


@click.command()
@workdir_option
@url_option
@token_option
def versions(workdir: pathlib.Path, url: str, token_file: pathlib.Path | None) -> None:
    """List the versions that were pushed, their labels, and what serves now."""
    from pipeline.workdir import Workdir
    from serving.version_commands import show_versions

    sys.exit(show_versions(Workdir.at(workdir).serving, _server(url, token_file)))


@click.command()
@click.argument("version")
@workdir_option
@click.option("--label", type=click.Choice(("stable", "canary")), default="stable")
@url_option
@token_option
def promote(
    version: str, workdir: pathlib.Path, label: str, url: str, token_file: pathlib.Path | None
) -> None:
    """Let a label name VERSION, a number; or `latest`, to follow what is pushed again."""
    from pipeline.workdir import Workdir
    from serving.version_commands import promote_version

    sys.exit(promote_version(Workdir.at(workdir).serving, version, label, _server(url, token_file)))


@click.command()
@workdir_option
@url_option
@token_option
def rollback(workdir: pathlib.Path, url: str, token_file: pathlib.Path | None) -> None:
    """Serve the version before the one that serves now, and stay there."""
    from pipeline.workdir import Workdir
    from serving.version_commands import roll_back

    sys.exit(roll_back(Workdir.at(workdir).serving, _server(url, token_file)))


@click.command()
@workdir_option
@click.option(
    "--log",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    help="Folder that --log-requests wrote; default: <workdir>/requests.",
)
def drift(workdir: pathlib.Path, log: pathlib.Path | None) -> None:
    """Say whether the digits that were asked about differ from those of the training."""
    from pipeline.drift import show_drift

    sys.exit(show_drift(workdir, log))


def _server(url: str, token_file: pathlib.Path | None) -> Any:
    from serving.server_state import Server
    from serving.token_file import read_token

    return Server(url, read_token(token_file))


COMMANDS = (serve, predict, versions, promote, rollback, drift)
