"""The processes of the tasks that run now, which end when this program does."""

import ctypes
import functools
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRACE_SECONDS = 30.0  # Kubernetes' own default between SIGTERM and SIGKILL
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class Stopped(RuntimeError):
    """The run was stopped, so nothing may be started any more."""


class Processes:
    """Starts processes, from any thread, and stops them all at once."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self.stopped = False
        _libc()  # not first in a child of a program with several threads

    @contextmanager
    def started(
        self, command: list[str], folder: Path, environment: Mapping[str, str]
    ) -> Iterator[Any]:
        """Starts a process, whose output is one stream of text, and waits for its end.

        It is killed when this thread or the program ends before it.

        Raises:
          Stopped: the run was stopped.
        """
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=_die_with_parent,
        ) as process:
            with self._lock:
                self._running.add(process)
                too_late = self.stopped
            if too_late:
                process.terminate()
            yield process
            process.wait()
            with self._lock:
                self._running.discard(process)
        if self.stopped:
            raise Stopped

    def stop(self) -> None:
        """Ends all processes: gently, then, after the grace that Kubernetes gives, at once."""
        with self._lock:
            self.stopped = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc().prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
