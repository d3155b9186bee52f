"""Options that several commands share."""

import pathlib

import click

WORKDIR = "runs/mnist"
PROFILES = ("smoke", "laptop", "paper", "gpu")

workdir_option = click.option(
    "--workdir",
    default=WORKDIR,
    show_default=True,
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    help="Folder for all that a run makes.",
)

models_option = click.option(
    "--models", help="Names with commas between; default: sequential,alexnet,vgg16."
)
