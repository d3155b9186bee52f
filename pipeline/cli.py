"""The program `mnist-tfx`. Nothing heavy is imported before a command runs."""

import os
import pathlib
import sys

import click

from pipeline.bulk_command import bulk
from pipeline.kubeflow.commands import kubeflow
from pipeline.options_of_commands import (
    DEVICES,
    PROFILES,
    beam_args_argument,
    models_option,
    precision_option,
    workdir_option,
)
from pipeline.serving_commands import COMMANDS
from pipeline.worker_command import worker

ENVIRONMENT = {
    # tensorflow_transform turns Keras 2 on where this is unset, by the order of imports.
    "TF_USE_LEGACY_KERAS": "0",
    # On AMD, TensorFlow leaves oneDNN off: small convolutions are then up to 40 times slower.
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mnist-tfx")
def main() -> None:
    """Tune, train, compare and push three Keras models of MNIST digits with one TFX pipeline."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@main.command()
@click.option("--profile", type=click.Choice(PROFILES), default="laptop", show_default=True)
@models_option
@workdir_option
@click.option(
    "--data",
    default="",
    help="Folder with the four IDX files, or an .npz; default: the MNIST that is installed.",
)
@click.option("--dag-runner", type=click.Choice(("local", "beam")), default="local")
@precision_option
@click.option("--no-tune", is_flag=True, help="Use the hyperparameters that were found before.")
@click.option(
    "--parallel-trials",
    type=int,
    default=1,
    show_default=True,
    help="Trials of a search at a time, each in a process of its own.",
)
@click.option(
    "--devices",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Of a training: all GPUs here, the first, at least two, or the machines of TF_CONFIG.",
)
@click.option(
    "--node-beam-args",
    multiple=True,
    metavar="NODE=ARGS",
    help="Beam's arguments of one node, 'StatisticsGen=--runner=FlinkRunner ...' say.",
)
@beam_args_argument
def run(**options: object) -> None:
    """Run the pipeline.

    Exits with 0 when a model was blessed and pushed, 3 when none was good enough, 1 when a node
    failed, 2 for a wrong call.
    """
    from pipeline.options import Options
    from pipeline.run import run_pipeline

    sys.exit(run_pipeline(Options(**options)))  # type: ignore[arg-type]


@main.command()
@workdir_option
def doctor(workdir: pathlib.Path) -> None:
    """Check whether this machine can run everything, and say what to do where it cannot."""
    from rich.console import Console
    from rich.markup import escape

    from pipeline.doctor import run_checks

    console = Console()
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    checks = run_checks(workdir)
    for check in checks:
        console.print(f"[{colours[check.state]}]{check.state:<5}[/] {check.name}: ", end="")
        console.print(escape(check.found), highlight=False, soft_wrap=True)
        if check.advice:
            console.print(f"      {escape(check.advice)}", highlight=False, soft_wrap=True)
    sys.exit(1 if any(check.state == "fail" for check in checks) else 0)


@main.command()
@workdir_option
@click.option("--open", "open_it", is_flag=True, help="Show the page in a browser.")
def report(workdir: pathlib.Path, open_it: bool) -> None:
    """Show the comparison that the last run wrote, and where its page is."""
    from pipeline.show_report import show_report

    sys.exit(show_report(workdir, open_it))


@main.command()
@click.argument("version", required=False, type=click.IntRange(min=1))
@workdir_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def lineage(version: int | None, workdir: pathlib.Path, as_json: bool) -> None:
    """Say which data, code, search and evaluation made VERSION, or the version that serves.

    Exits with 2 where that is not known.
    """
    from pipeline.show_lineage import show_lineage

    sys.exit(show_lineage(workdir, version, as_json))


for command in (*COMMANDS, bulk, kubeflow, worker):
    main.add_command(command)
