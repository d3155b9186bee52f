"""Where the libraries' words go while a command runs: a file, on a disk that may be full."""

import contextlib
import dataclasses
import logging
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import TextIO


@dataclasses.dataclass(frozen=True)
class Real:
    """The output and the error stream that the user sees."""

    output: TextIO
    errors: TextIO


@contextlib.contextmanager
def logs_in(file: pathlib.Path) -> Iterator[Real]:
    """Sends all that is written to standard output and error to a file; yields the real ones.

    TensorFlow writes to the descriptors themselves, so these are moved. What the disk refuses of
    the log is lost, and stops nothing. Say inside what the user is to read: threads of libraries
    may still write when the descriptors are back.

    Raises:
      OSError: the file cannot be made.
    """
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _flush()
    kept = [os.dup(1), os.dup(2)]
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    try:
        with (
            os.fdopen(os.dup(kept[0]), "w", 1, errors="backslashreplace") as output,
            os.fdopen(os.dup(kept[1]), "w", 1, errors="backslashreplace") as errors,
        ):
            yield Real(output, errors)
    finally:
        _flush()
        for descriptor, copy in enumerate(kept, start=1):
            os.dup2(copy, descriptor)
            os.close(copy)


def _flush() -> None:
    for descriptor, stream in enumerate((sys.stdout, sys.stderr), start=1):
        try:
            stream.flush()
        except OSError:  # it keeps what was refused, and would say so again at every flush
            with open(os.devnull, "wb") as nothing:
                os.dup2(nothing.fileno(), descriptor)
                stream.flush()


@contextlib.contextmanager
def libraries_logged() -> Iterator[None]:
    """Writes what libraries log to standard error, and stops again at the end."""
    logger, handler = logging.getLogger(), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
