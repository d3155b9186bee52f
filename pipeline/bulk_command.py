"""The options of the command `bulk`; what it does is imported when it runs."""

import pathlib
import sys

import click

from pipeline.options_of_commands import beam_args_argument, workdir_option

FORMATS = ("parquet", "jsonl")
FOLDER = click.Path(file_okay=False, path_type=pathlib.Path)
COUNT = click.IntRange(min=1)


@click.command()
@click.argument("given", metavar="INPUT", type=click.Path(path_type=pathlib.Path))
@click.option("--output", required=True, type=FOLDER, help="A new folder, or one to go on with.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="parquet", show_default=True)
@workdir_option
@click.option(
    "--model-dir",
    type=FOLDER,
    help="A SavedModel, or a folder of versions; default: what the workdir serves.",
)
@click.option("--model-version", type=COUNT, help="Default: the one that is served.")
@click.option(
    "--prepare",
    is_flag=True,
    help="Make digits of PNGs of any size first, as `predict` does; else they have 28x28 pixels.",
)
@click.option(
    "--max-bad",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="More bad records than this share: exit code 1.",
)
@click.option(
    "--shard-size", type=COUNT, default=4096, show_default=True, help="Records of one part."
)
@click.option(
    "--batch-size", type=COUNT, default=256, show_default=True, help="Digits of one model call."
)
@beam_args_argument
def bulk(**options: object) -> None:
    """Predict all digits of INPUT: PNGs, IDX files or TFRecords, one file or a folder.

    Writes predictions/, bad/ and summary.json into the output folder. A run that was stopped goes
    on where it was when the same command is given again; each record is predicted exactly once.
    Exits with 0 when all was predicted, 1 for a failure or too many bad records, 2 for a wrong
    call.
    """
    from pipeline.bulk import Options, predict_in_bulk

    sys.exit(predict_in_bulk(Options(**options)))  # type: ignore[arg-type]
