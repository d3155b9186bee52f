"""The end of a run: the table, where everything is, and the exit code."""

import pathlib
import shlex
import sys
from collections.abc import Container, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from components.report.files import PAGE_FILE
from pipeline import pushes, screen
from pipeline.workdir import Workdir

PUSHED, FAILED, WRONG_CALL, NOTHING_GOOD, STOPPED = 0, 1, 2, 3, 130


def after_failure(done: Container[str]) -> str:
    """Returns what to say of the push, and of what is done, when a node failed.

    Args:
      done: the nodes that ended well.
    """
    if "VersionPusher" in done:
        return "What the selector chose was pushed, if anything; the rest is kept for the next run."
    return "Nothing was pushed by this run; what is done is kept for the next one."


def show(
    console: Console,
    workdir: Workdir,
    comparison: Mapping[str, Any],
    log: pathlib.Path,
    elsewhere: str = "",
) -> int:
    """Shows what `results.write_results` returned; returns the exit code.

    Args:
      log: where the libraries' words are.
      elsewhere: where versions are pushed to, if not to the workdir's folder.
    """

    def say(words: str) -> None:
        console.print(words, soft_wrap=True, highlight=False)

    console.print(screen.comparison_table(comparison))
    say(f"[bold]{comparison['winner'] or 'No winner'}[/]: {escape(comparison['reason'])}")
    say(f"report:  {escape(str(workdir.report / PAGE_FILE))}")
    if comparison["pushed_version"] is None:
        say(f"Nothing was pushed; {escape(elsewhere or str(workdir.serving))} is as it was.")
        return NOTHING_GOOD
    version = comparison["pushed_version"]
    pushed = [f"pushed:  {elsewhere}/{version}"]
    for line in pushed if elsewhere else pushes.words_on_serving(workdir, version):
        say(escape(line))
    bin_ = pathlib.Path(sys.executable).parent
    say(f"total:   {comparison['total_seconds']:.1f} s, log {escape(str(log))}")
    if elsewhere:
        return PUSHED
    if workdir.metadata.exists():
        say(escape(f"curves:  {_command(bin_ / 'tensorboard', '--logdir', workdir.artifacts)}"))
    say(escape(f"next:    {_command(bin_ / 'mnist-tfx', 'serve', '--workdir', workdir.root)}"))
    return PUSHED


def _command(*words: str | pathlib.Path) -> str:
    """Returns words as they can be pasted into a shell."""
    return shlex.join(map(str, words))
