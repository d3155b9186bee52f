"""The command `report`: the table of the last run, where its page is, and what is missing."""

import json
import pathlib
import sys
import webbrowser
from typing import Any

from rich.console import Console

from pipeline import report, results, screen
from pipeline.conclusion import PUSHED, WRONG_CALL
from pipeline.workdir import Workdir

NEEDED: dict[str, Any] = {"models": [], "winner": None, "reason": "no reason is on record"}


def show_report(path: pathlib.Path, open_it: bool) -> int:
    """Prints what the last run found; returns the exit code.

    Args:
      open_it: whether to show the page in a browser.
    """
    workdir = Workdir.at(path)
    console = screen.console_on(sys.stdout)
    file = workdir.report / results.FILE
    if not file.is_file():
        _say(console, f"expected {file}; there is none: {_why_none(workdir)}")
        return WRONG_CALL
    try:
        comparison = _read(file)
    except ValueError as error:
        _say(console, f"expected a comparison in {file}; got {error}: run `mnist-tfx run` again")
        return WRONG_CALL
    whole = {**NEEDED, **comparison}
    console.print(screen.comparison_table(whole))
    _say(console, f"{whole['winner'] or 'none'}: {whole['reason']}\n{file}")
    for words in missing(comparison):
        _say(console, f"missing: {words}")
    page = report.page_of(workdir, comparison)
    _say(console, str(page))
    if open_it and not webbrowser.open(page.as_uri()):
        _say(console, "No browser was found: open the file yourself.")
    return PUSHED


def _read(file: pathlib.Path) -> dict[str, Any]:
    """Raises ValueError where the file holds no object of JSON."""
    found = json.loads(file.read_text())
    if not isinstance(found, dict):
        raise ValueError(f"a {type(found).__name__}")
    return found


def missing(comparison: dict[str, Any]) -> list[str]:
    """Returns what a comparison does not say, as one of another version or of a broken run."""
    words = [f"{key} (the file is of another version)" for key in NEEDED if key not in comparison]
    for row in comparison.get("models", []):
        absent = [key for key in screen.SHOWN if key not in row]
        if "test_accuracy" in absent:
            words.append(f"{row.get('name')} was never evaluated")
            absent = [key for key in absent if key != "test_accuracy"]
        if absent:
            words.append(f"{', '.join(absent)} of {row.get('name')}")
    return words


def _why_none(workdir: Workdir) -> str:
    """Returns what a workdir without a comparison holds instead, and what to do."""
    if not workdir.metadata.is_file():
        return "run `mnist-tfx run` first"
    from pipeline import store

    try:
        done = store.finished_nodes(store.connect_to_read(workdir.metadata))
    except store.UNREADABLE as error:
        return f"a run was begun, and its ML Metadata cannot be read ({error}): run it again"
    nodes = f"{len(done)} nodes are done ({', '.join(done)})" if done else "no node is done"
    return f"a run was begun but did not end, {nodes}: the next `mnist-tfx run` goes on from there"


def _say(console: Console, words: str) -> None:
    console.print(words, soft_wrap=True, markup=False, highlight=False)
