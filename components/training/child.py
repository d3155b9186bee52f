"""A training in a process of its own: it ends with its parent, and its progress is passed on."""

import dataclasses
import json
import logging
import os
import signal
import sys
from typing import IO, TextIO

from components.training.user_log import LOGGER


def end_with_the_parent() -> None:
    """Reads standard input until the other end is closed, as the kernel does for a dead process."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def standard_output() -> TextIO:
    """Returns standard output, and sends to standard error what others print from now on."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "w")


class Reports(logging.Handler):
    """Writes each `TrainingProgress` as a line of JSON."""

    def __init__(self, file: TextIO) -> None:
        """Takes what `standard_output` returned."""
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the progress in a record, if there is any."""
        progress = getattr(record, "progress", None)
        if progress is not None:
            print(json.dumps(dataclasses.asdict(progress)), file=self._file, flush=True)


def log_to_standard_error(name: str, level: int = logging.INFO) -> None:
    """Sets up a child's log; `name` says which process a line is from."""
    form = f"%(asctime)s %(levelname)s {name} %(name)s: %(message)s"
    logging.basicConfig(level=level, format=form, stream=sys.stderr, force=True)


def relay(lines: IO[str]) -> None:
    """Logs a child's progress as if the training were in this process."""
    from components.training import progress  # a child must be able to begin without Keras

    with lines:
        for line in lines:
            if line.endswith("\n"):  # else the child died while it wrote
                state = progress.TrainingProgress(**json.loads(line))
                LOGGER.info("%s", state, extra={"progress": state})
