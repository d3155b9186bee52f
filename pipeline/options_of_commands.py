"""Options that several commands share."""

import pathlib

import click

WORKDIR = "runs/mnist"
PROFILES = ("smoke", "laptop", "paper", "gpu")
DEVICES = ("auto", "one", "mirrored", "multi-worker")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")

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

precision_option = click.option(
    "--precision", type=click.Choice(PRECISIONS), help="Default: what is fastest there."
)
beam_args_argument = click.argument(
    "beam_args", nargs=-1, type=click.UNPROCESSED, metavar="[-- BEAM ARGS]"
)
