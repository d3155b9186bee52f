"""What the user of `bulk` sees: how far it is, on a terminal alone, and what came of it."""

import pathlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from components.bulk.parts import Output
from components.bulk.pieces import Piece

PAUSE = 0.5  # seconds between two looks at what is done


@contextmanager
def progress(output: Output, pieces: Sequence[Piece], real: TextIO) -> Iterator[None]:
    """Shows how many records are done while it is open; nothing where there is no terminal.

    It looks at the parts in the folder, so that it is right for every runner.
    """
    console = Console(file=real)
    if not console.is_terminal:
        yield
        return
    columns = (TextColumn("predicting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    ended = threading.Event()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=sum(piece.records for piece in pieces))
        watch = threading.Thread(target=_watch, args=(output, pieces, bar, task, ended))
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()


def _watch(
    output: Output, pieces: Sequence[Piece], bar: Progress, task: Any, ended: threading.Event
) -> None:
    missing = {output.marker(piece.number): piece.records for piece in pieces}
    while not ended.wait(PAUSE):
        for marker in [file for file in missing if file.exists()]:
            bar.advance(task, missing.pop(marker))


def show(summary: Mapping[str, Any], folder: pathlib.Path, real: TextIO) -> None:
    """Says what a finished prediction is."""
    digits = ", ".join(f"{count:,} x {digit}" for digit, count in summary["digits"].items())
    seconds = summary["seconds"]
    speed = f", {summary['images_per_second']:,.0f} a second" if seconds["predicting"] else ""
    lines = [
        f"{summary['predicted']:,} digits by version {summary['model_version']}: {digits}",
        f"bad:     {_bad(summary, folder)}",
        f"written: {folder / 'predictions'}, {summary['parts']} parts"
        + (f", {summary['parts_before']} of them before" if summary["parts_before"] else ""),
        f"took:    {seconds['whole']:.1f} s, {seconds['predicting']:.1f} s of it predicting{speed}",
    ]
    print("\n".join(lines), file=real)


def _bad(summary: Mapping[str, Any], folder: pathlib.Path) -> str:
    if not summary["bad"]:
        return "none"
    source, index, reason = summary["first_bad"]
    return f"{summary['bad']:,} in {folder / 'bad'}, the first: {source}, {index}: {reason}"
