"""Starts a model server in a clean process of its own, waits until it is ready, and ends it."""

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from components.serving_validator import guard

CODE = pathlib.Path(__file__).resolve().parents[2]  # holds `components` and `serving`
ENVIRONMENT = {
    "PYTHONPATH": str(CODE),
    "TF_USE_LEGACY_KERAS": "0",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # The trainings before hold the GPU's memory, and its TF32 would round the answers otherwise.
    "CUDA_VISIBLE_DEVICES": "-1",
    "HOME": "/tmp",  # asked for by TensorFlow; a user that /etc/passwd does not know has none
}
PYTHON = (sys.executable, "-P", "-m")
READY_SECONDS = 180.0
LOOK_SECONDS = 0.05
LAST_LINES = 3


class ServerFailed(RuntimeError):
    """The server did not start, did not answer, or ended; says with which last words."""


def server_command(bases: Mapping[str, pathlib.Path], ready_file: pathlib.Path) -> list[str]:
    """Returns the command that serves each base folder under its name, on free ports."""
    models = [
        word
        for name, base in bases.items()
        for word in ("--model-name", name, "--model-base-path", str(base))
    ]
    ports = ("--port", "0", "--grpc-port", "0")
    return [*PYTHON, "serving", *models, *ports, "--ready-file", str(ready_file)]


@contextmanager
def started(command: Sequence[str], log: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a command whose output is added to `log`; has ended it when the block is left."""
    guarded = [*PYTHON, guard.__name__, *command]
    with (
        log.open("ab") as output,
        subprocess.Popen(
            guarded,
            stdin=subprocess.PIPE,  # closed at the end, which tells the guard
            stdout=output,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            start_new_session=True,  # Ctrl-C is for us; we end it
        ) as process,
    ):
        yield process


def wait_until_ready(
    process: subprocess.Popen[bytes],
    ready_file: pathlib.Path,
    log: pathlib.Path,
    seconds: float = READY_SECONDS,
) -> int:
    """Returns the REST port that the server wrote when all its models had loaded or failed.

    Raises:
      ServerFailed: it ended, or was not ready in time.
    """
    deadline = time.monotonic() + seconds
    while not ready_file.is_file():
        if process.poll() is not None:
            words = f"the server ended with code {process.returncode} before it was ready"
            raise ServerFailed(f"{words}: {last_words(log)}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"the server was not ready in {seconds:g} s: {last_words(log)}")
        time.sleep(LOOK_SECONDS)
    return int(json.loads(ready_file.read_text())["rest_port"])


def last_words(log: pathlib.Path) -> str:
    """Returns the last lines of a log in one."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-LAST_LINES:]) or "it wrote nothing"
