"""SIGTERM asks a training to stop, as Kubernetes does 30 seconds before it kills a pod."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TrainingStopped(RuntimeError):
    """A training ended early because it was asked to stop."""


class Stop:
    """Whether a stop was asked for.

    A plain attribute, for a handler may be interrupted by itself: the lock in a `threading.Event`
    would then never be free again.
    """

    def __init__(self) -> None:
        """Nothing was asked for yet."""
        self.asked = False

    def ask(self, *_: object) -> None:
        """Asks for a stop; takes what a signal handler is given."""
        self.asked = True


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turns SIGTERM into `Stop.asked` inside the block; afterwards the handler is the one before.

    A signal that was not answered with `TrainingStopped` is sent again at the end, so none is lost.
    Python lets only the main thread set handlers: in any other one, SIGTERM does what it did.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before, obeyed = signal.signal(signal.SIGTERM, stop.ask), False
    try:
        yield stop
    except TrainingStopped:
        obeyed = True
        raise
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
        if stop.asked and not obeyed:
            signal.raise_signal(signal.SIGTERM)
