"""Runs of the program as a user starts it, in a process of its own, and what they left."""

import json
import pathlib
import subprocess
import sys
from typing import Any

PROGRAM = (sys.executable, "-m", "pipeline")
SMOKE = ("run", "--profile", "smoke")


def program(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, timeout=600)


def smoke(workdir: pathlib.Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the smoke profile with one model unless the options name others."""
    models = () if "--models" in options else ("--models", "sequential")
    return program(*SMOKE, "--workdir", str(workdir), *models, *options)


def states(output: str) -> dict[str, str]:
    """Returns the state of each node from what the run printed."""
    lines = (line.split() for line in output.splitlines())
    return {w[1]: w[0] for w in lines if len(w) > 2 and w[0] in ("done", "cached", "failed")}


def comparison(workdir: pathlib.Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workdir / "report" / "comparison.json").read_text())
    return found
