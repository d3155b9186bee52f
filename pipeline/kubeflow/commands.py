"""The commands of `mnist-tfx kubeflow`; their options alone."""

import pathlib
import sys

import click

from pipeline.kubeflow.submit_command import submit
from pipeline.options_of_commands import (
    DEVICES,
    PROFILES,
    beam_args_argument,
    models_option,
    precision_option,
)

WORKDIR = "runs/kubeflow"


@click.group()
def kubeflow() -> None:
    """Compile the graph for Kubeflow Pipelines, run it without a cluster, submit it to one."""


@kubeflow.command()
@click.option("--profile", type=click.Choice(PROFILES), default="gpu", show_default=True)
@models_option
@precision_option
@click.option("--image", default="", help="Of every task; default: mnist-tfx:<version>.")
@click.option(
    "--gpus",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Of each Tuner and Trainer; 0: none.",
)
@click.option(
    "--gpus-per-trainer", type=click.IntRange(0), help="Of each Trainer; default: as --gpus."
)
@click.option(
    "--devices",
    type=click.Choice(DEVICES[:-1]),  # the pods of Kubeflow have no addresses to know beforehand
    default="auto",
    show_default=True,
    help="Of a Trainer: all its GPUs, the first, or at least two.",
)
@click.option("--gpu-type", default="nvidia.com/gpu", show_default=True, help="Its resource name.")
@click.option("--claim", default="mnist-tfx", show_default=True, help="PersistentVolumeClaim.")
@click.option("--s3-endpoint", default="", help="URL of the S3 server to push to, if to a bucket.")
@click.option("--s3-secret", default="", help="Secret with its accesskey and secretkey.")
@click.option(
    "--node-beam-args",
    multiple=True,
    metavar="NODE=ARGS",
    help="Beam's arguments of one node, 'StatisticsGen=--runner=FlinkRunner ...' say.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    default="kubeflow/mnist.yaml",
    show_default=True,
)
@beam_args_argument
def compile(**options: object) -> None:
    """Write the pipeline for Kubeflow Pipelines v2."""
    from pipeline.kubeflow.compile_command import compile_to_file

    sys.exit(compile_to_file(**options))  # type: ignore[arg-type]


@kubeflow.command("run-local")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="A compiled pipeline; without it, one is compiled first.",
)
@click.option("--profile", type=click.Choice(PROFILES), default="smoke", show_default=True)
@models_option
@precision_option
@click.option(
    "--workdir",
    default=WORKDIR,
    show_default=True,
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    help="Folder for the bucket, the volume and the report.",
)
@click.option("--data", default="", help="Folder with the four IDX files, or an .npz.")
@click.option("--images", type=click.IntRange(0), help="Images that each model is trained on.")
@click.option("--epochs", type=click.IntRange(0), help="Most epochs of each training.")
@click.option("--trials", type=click.IntRange(0), help="Trials of each search.")
@click.option("-P", "--parameter", multiple=True, metavar="NAME=VALUE", help="Any parameter.")
@click.option("--s3-endpoint", default="", help="URL of an S3 server in place of a folder.")
@click.option("--pipeline-root", default="", help="minio://, s3:// or gs:// and a bucket.")
@click.option(
    "--at-once", type=click.IntRange(1), default=2, show_default=True, help="Tasks at a time."
)
@click.option("--retries", type=click.IntRange(0), help="Of a task; default: the pipeline's own.")
@beam_args_argument
def run_local(**options: object) -> None:
    """Execute a compiled pipeline on this machine, task by task, as Kubeflow would.

    Without --file it is compiled first: profile, precision and Beam's arguments are of that.
    """
    from pipeline.kubeflow.run_local_command import run_compiled

    sys.exit(run_compiled(**options))  # type: ignore[arg-type]


kubeflow.add_command(submit)
