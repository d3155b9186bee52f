"""`python -m pipeline.flink`: a Flink cluster on this machine; no work is done here."""

import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

import click

from pipeline.flink import cluster as clusters
from pipeline.flink import state
from pipeline.flink.fetch import Unavailable, fetch, fetched
from pipeline.flink.settings import ClusterSettings
from pipeline.flink.versions import PINNED, VersionMismatch, check_beam

EXPECTED = (Unavailable, VersionMismatch, state.ClusterError, OSError, subprocess.SubprocessError)
NO_CLUSTER = "--runner=FlinkRunner --job_endpoint=none-was-started"
NOT_TO_BE_HAD = 3  # of `fetch`: beside 1, that something failed

Result = TypeVar("Result")

folder_option = click.option(
    "--folder",
    default="runs/flink",
    show_default=True,
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    help="For packages, logs and what the cluster writes.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run Beam's jobs on a Flink session cluster of several processes on this machine.

    Meant for trying and testing: its job server listens on every address, whatever it is told, and
    runs what anybody asks it to. Use it where others cannot reach the machine.
    """


@main.command("fetch")
@folder_option
def fetch_command(folder: pathlib.Path) -> None:
    """Fetch Flink from a Python package index and Beam's runner from Maven Central; 0.2 GB.

    Exits with 3 where one of them, Java or Maven is not to be had.
    """
    _or_say(lambda: fetch(folder))
    click.echo(f"Flink {PINNED.flink}, Beam's runner {PINNED.runner}: {folder / 'packages'}")


@main.command("start")
@folder_option
@click.option("--task-managers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--slots", type=click.IntRange(1), default=2, show_default=True, help="Of each.")
def start_command(folder: pathlib.Path, task_managers: int, slots: int) -> None:
    """Start the cluster and say how to use it."""

    def start() -> state.Cluster:
        check_beam()
        settings = ClusterSettings(task_managers=task_managers, slots=slots)
        return clusters.start(folder, fetched(folder), settings)

    cluster = _or_say(start)
    click.echo(f"Flink {PINNED.flink}: http://{cluster.rest}, {cluster.slots} task slots")
    click.echo(f"job server: {cluster.job_endpoint}; logs: {cluster.folder / 'log'}")
    click.echo("it listens on every address and asks nobody who they are: keep others away from it")
    click.echo(f"mnist-tfx run -- $(python -m pipeline.flink args --folder {folder})")


@main.command("status")
@folder_option
def status_command(folder: pathlib.Path) -> None:
    """Say which processes run; exit with 1 unless all do."""
    running = _or_say(lambda: state.started(folder)).running()
    for name, runs in running.items():
        click.echo(f"{'runs' if runs else 'gone':<5} {name}")
    sys.exit(0 if all(running.values()) else 1)


@main.command("args")
@folder_option
def args_command(folder: pathlib.Path) -> None:
    """Print the Beam arguments that send a job to the cluster.

    Where there is none, print arguments that are refused: none at all would be a run in memory.
    """
    try:
        click.echo(" ".join(state.started(folder).beam_args))
    except state.ClusterError as error:
        click.echo(NO_CLUSTER)
        click.echo(str(error), err=True)
        sys.exit(1)


@main.command("stop")
@folder_option
def stop_command(folder: pathlib.Path) -> None:
    """Stop the cluster and its workers."""
    click.echo(f"stopped {_or_say(lambda: clusters.stop(folder))} processes")


def _or_say(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except EXPECTED as error:
        click.echo(str(error), err=True)
        sys.exit(NOT_TO_BE_HAD if isinstance(error, Unavailable) else 1)


if __name__ == "__main__":
    main()
