"""What the user sees while a run goes on and at its end; the libraries' own words go to a file."""

import logging
import pathlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from components.training.user_log import LOGGER

MARKS = {
    "done": "[green]done  [/]",
    "cached": "[cyan]cached[/]",
    "failed": "[red]failed[/]",
}
TABLE_WIDTH = 150
FORMS = (  # of the cells of a model
    *("{name}", "{params:,}", "{input}", "{batch_size}", "{learning_rate:.2g}"),
    *("{train_images:,} x {epochs}", "{train_seconds:.0f} s", "{eval_accuracy:.2%}"),
    *("{test_accuracy:.2%}", "{latency_ms:.1f} ms", "{megabytes:.0f} MB", "{status}"),
)
SHOWN = (  # keys of a row of the comparison that these need
    *("name", "params", "input_shape", "batch_size", "learning_rate", "train_images", "epochs"),
    *("train_seconds", "eval_accuracy", "test_accuracy", "latency_ms", "model_bytes", "status"),
)
SECONDS_OF_SILENCE = 20.0  # of a training, where the output is no terminal


class Screen(logging.Handler):
    """Shows nodes and trainings: live on a terminal, else a line at the end of each step."""

    def __init__(self, console: Console) -> None:
        """Takes the console of the real output."""
        super().__init__(logging.INFO)
        self._console = console
        self._status: Status | None = None
        self._printed = 0.0
        self._turn = threading.RLock()  # tasks of Kubeflow's graph run side by side
        self.seconds: dict[str, float] = {}
        self.done: set[str] = set()

    def on_node(self, event: Any) -> None:
        """Shows a `pipeline.events.NodeEvent`."""
        if event.state == "running":
            self._live(event.node)
            self._printed = time.monotonic()
            return
        self._still()
        self.seconds[event.node] = round(event.seconds, 2)
        if event.state != "failed":
            self.done.add(event.node)
        made = "" if event.state == "cached" else self._made(event.outputs)
        line = f"{event.node:<23} {event.seconds:6.1f} s  {escape(made)}".rstrip()
        self._console.print(MARKS[event.state], line, highlight=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Shows what a training tells its user: mostly a `TrainingProgress`."""
        progress = getattr(record, "progress", None)
        if progress is None:
            self.show_progress(record.getMessage(), worth_a_line=True)
        else:
            self.show_progress(str(progress), _ends_an_epoch(progress))

    def show_progress(self, words: str, worth_a_line: bool) -> None:
        """Shows how far a training is; a line now and then, where the output is no terminal."""
        if self._console.is_terminal:
            self._live(words)
        elif worth_a_line or time.monotonic() - self._printed > SECONDS_OF_SILENCE:
            self._printed = time.monotonic()
            self._console.print(f"       {escape(words)}", highlight=False)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Shows trainings while it is open."""
        before = LOGGER.level, LOGGER.propagate
        LOGGER.setLevel(logging.INFO)
        LOGGER.propagate = False
        LOGGER.addHandler(self)
        try:
            yield
        finally:
            LOGGER.removeHandler(self)
            LOGGER.level, LOGGER.propagate = before
            self._still()

    def _live(self, words: str) -> None:
        if not self._console.is_terminal:
            return
        with self._turn:
            if self._status is None:
                self._status = self._console.status(words)
                self._status.start()
            self._status.update(escape(words))

    def _still(self) -> None:
        with self._turn:
            if self._status is not None:
                self._status.stop()
                self._status = None

    def _made(self, outputs: Mapping[str, str]) -> str:
        """Returns where the outputs are: key and number, below the node's folder."""
        return ", ".join("/".join(pathlib.Path(uri).parts[-2:]) for uri in outputs.values())


def _ends_an_epoch(progress: Any) -> bool:
    return bool(progress.images % (progress.total_images // progress.epochs) == 0)


def console_on(file: TextIO) -> Console:
    """Returns a console wide enough for the table of models, whatever the terminal says."""
    console = Console(file=file)
    console.width = max(console.width, TABLE_WIDTH)
    return console


def comparison_table(comparison: Mapping[str, Any]) -> Table:
    """Returns the table of models for the end of a run."""
    table = Table(title=f"Models, profile {comparison.get('profile', 'unknown')}", box=box.SIMPLE)
    table.add_column("model")
    for heading in ("parameters", "input", "batch", "rate", "images x epochs", "trained"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("eval", "test", "one digit", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("status")
    for row in comparison["models"]:
        table.add_row(*_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the cells of a model; of what is not known it says so."""
    written = (_written(row, form) for form in FORMS)
    return tuple(written)


def _written(row: Mapping[str, Any], form: str) -> str:
    known = {**row, "input": "x".join(str(n) for n in row.get("input_shape", ()))}
    if "{latency_ms" in form and row.get("latency_ms", 0) is None:
        return ""
    known |= {"megabytes": row["model_bytes"] / 1e6} if "model_bytes" in row else {}
    try:
        return form.format(**known)
    except (KeyError, TypeError, ValueError):
        return "?"
