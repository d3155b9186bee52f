"""Ctrl-C and SIGTERM end what a command has started elsewhere, too."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock


@contextlib.contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Raises KeyboardInterrupt in the block where SIGTERM comes, as Ctrl-C does.

    Python lets only the main thread set handlers: in any other one, SIGTERM does what it did.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextlib.contextmanager
def jobs_ended_by_interrupts() -> Iterator[None]:
    """Cancels the job that is waited for in the block at KeyboardInterrupt; Beam lets it go on."""
    import apache_beam as beam

    leave = beam.Pipeline.__exit__

    def leave_or_cancel(self: Any, *raised: Any) -> Any:
        try:
            return leave(self, *raised)
        except KeyboardInterrupt:
            if result := getattr(self, "result", None):
                result.cancel()
            raise

    with mock.patch.object(beam.Pipeline, "__exit__", leave_or_cancel):
        yield
