"""What checks are made of: `Check`, its guard, how a program is asked; no check itself."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["ok", "warn", "fail"]

REINSTALL: Final = "Run `rm -f .venv/.complete && make setup` in the project's folder."


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, what was there, and, unless it is ok, what to do."""

    name: str
    state: State
    found: str
    advice: str = ""


def guarded(name: str, check: Callable[[], Check], worst: State = "fail") -> Check:
    """What `check` says, or, when it raises, state `worst` with the exception's words."""
    try:
        return check()
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        return Check(name, worst, words, "The check itself failed: report these words.")


def run_command(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Its output, whatever its exit code; raises `TimeoutExpired` after `seconds`."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The last line on standard error, where a program that fails says why."""
    return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
