"""The command `serve`: the embedded server, or the real TF Serving, on what a run pushed."""

import pathlib
import sys

import click
from click.core import ParameterSource

from pipeline.workdir import SERVED_NAME, Workdir

MODELS = {"model_name", "model_base_path", "model_config_file", "digit_contract"}
FOR_BOTH = {*MODELS, "port", "grpc_port"}


def serve_with(path: pathlib.Path, engine: str, arguments: tuple[str, ...]) -> int:
    """Serves until it is stopped; returns the exit code.

    Args:
      path: the workdir, whose pushed model is served unless `arguments` name models.
      engine: `embedded` or `tf-serving`.
      arguments: options of the server; see `mnist-tfx serve --help`.
    """
    from serving import command
    from serving.model_config import ConfigError

    names_models = any(a.startswith(("--model-", "-h", "--help")) for a in arguments)
    try:
        added = () if names_models else workdir_options(Workdir.at(path))
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        context = command.main.make_context("mnist-tfx serve", [*added, *arguments])
    except click.exceptions.Exit as asked_for_help:
        return asked_for_help.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    if engine == "embedded":
        return command.run(context.params)
    not_for_it = _options_for_embedded(context)
    if names_models or not_for_it:
        print(
            "expected --engine tf-serving to serve a workdir, with --port and --grpc-port alone; "
            f"got {', '.join(not_for_it) or 'models'}",
            file=sys.stderr,
        )
        return 2
    from serving import tf_serving_engine

    base = Workdir.at(path).serving
    return tf_serving_engine.serve(base, context.params["port"], context.params["grpc_port"])


def _options_for_embedded(context: click.Context) -> list[str]:
    """Returns the options that were given and that TF Serving would not heed, a token say."""
    return [
        f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in FOR_BOTH
        and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]


def workdir_options(workdir: Workdir) -> tuple[str, ...]:
    """Returns the server's options for what a workdir's runs push.

    A configuration that names another place, since the workdir was moved, is written anew.
    """
    from serving.model_config import ensure_file, file_of

    config = file_of(workdir.serving)
    if config.exists():
        ensure_file(workdir.serving)
    return (
        *("--model-name", SERVED_NAME, "--model-base-path", str(workdir.serving)),
        *("--model-config-file", str(config), "--digit-contract"),
    )
