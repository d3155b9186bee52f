"""The command `mnist-tfx kubeflow submit`: its options alone."""

import os
import pathlib
import sys

import click

from pipeline.kubeflow import layout

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "http://localhost:8080"
TOKEN_VARIABLE = "KF_PIPELINES_TOKEN"

existing_file = click.Path(exists=True, dir_okay=False, path_type=pathlib.Path)


@click.command()
@click.argument("file", type=click.Path(path_type=pathlib.Path), default=ROOT / layout.COMPILED)
@click.option(
    "--host",
    envvar="KF_PIPELINES_ENDPOINT",
    default=HOST,
    show_default=True,
    show_envvar=True,
    help="URL of Kubeflow Pipelines.",
)
@click.option("--namespace", help="Where Kubeflow has one for each user or team.")
@click.option("--experiment", default=layout.PROJECT, show_default=True, help="Made where missing.")
@click.option("--run-name", help="Default: the pipeline's name and the time.")
@click.option("--models", help="Names with commas between; default: all that are in FILE.")
@click.option("--data", help="Folder or .npz on the volume; default: the MNIST in the image.")
@click.option("--data-sha256", help="Of the data; without it they are read anew in every run.")
@click.option("--images", metavar="N", help="Images that each model is trained on.")
@click.option("--epochs", metavar="N", help="Most epochs of each training.")
@click.option("--trials", metavar="N", help="Trials of each search.")
@click.option("--push-destination", help="Folder of versions that TF Serving watches.")
@click.option(
    "-P",
    "--parameter",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any parameter of the pipeline; may be repeated.",
)
@click.option("--no-cache", is_flag=True, help="Run every task anew.")
@click.option("--wait/--no-wait", help="Stay until the run has ended.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait at most.")
@click.option(
    "--token-file",
    type=existing_file,
    help=f"File with a bearer token; else the environment variable {TOKEN_VARIABLE}.",
)
@click.option("--ssl-ca-cert", type=existing_file, help="CA of the server's certificate.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@click.option("--force", is_flag=True, help="Take a FILE of another version.")
def submit(**options: object) -> None:
    """Upload the compiled pipeline to Kubeflow Pipelines v2 and start a run of it.

    FILE is what `kubeflow compile` wrote, kubeflow/mnist.yaml by default. Exits with 0 when the run
    was started, or with --wait when it succeeded, 1 when something failed, 2 for a wrong call.
    """
    from pipeline.kubeflow.submit import submit_pipeline
    from pipeline.kubeflow.submit_plan import SubmitOptions

    token = os.environ.get(TOKEN_VARIABLE)
    sys.exit(submit_pipeline(SubmitOptions(**options, environment_token=token)))  # type: ignore[arg-type]
