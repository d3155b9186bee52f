"""The processes of a parallel search's workers: started, replaced where they die, always ended."""

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from components.training.child import relay
from components.training.stopping import Stop, TrainingStopped

LOGGER = logging.getLogger(__name__)
DEATHS = 3  # of one worker, after which the search is given up
SECONDS_BETWEEN_LOOKS = 0.1


class WorkerDied(RuntimeError):
    """A worker died as often as it may."""


@dataclasses.dataclass
class Worker:
    """One worker, and the process that it is now.

    Attributes:
      name: KerasTuner's id of it, under which its successor is given the same trial.
      fn_args: see `components.tuning.worker.work`.
      environment: variables beside those of this process.
      trial: the number of the trial in which the last one that died was, None for none.
      deaths: how many of its processes died in that trial.
    """

    name: str
    fn_args: Mapping[str, Any]
    environment: Mapping[str, str]
    process: subprocess.Popen[str] | None = None
    trial: str | None = None
    deaths: int = 0

    def start(self) -> None:
        """Starts a process that ends with this one, however this one ends."""
        self.process = subprocess.Popen(
            # With -P the current folder is not searched for modules, as it is not here.
            [sys.executable, "-P", "-m", "components.tuning.worker", json.dumps(self.fn_args)],
            stdin=subprocess.PIPE,  # never written to; the worker ends when it is closed
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **self.environment},
            start_new_session=True,  # Ctrl-C goes to this process alone, which then ends them all
        )
        threading.Thread(target=relay, args=(self.process.stdout,), daemon=True).start()

    def end(self) -> None:
        """Ends its process at once: what it trains now is lost in any case."""
        if self.process:
            self.process.kill()
            self.process.wait()
            if self.process.stdin:
                self.process.stdin.close()


class NoTrials:
    """What is known of the trials where nobody keeps any."""

    def of(self, worker: str) -> str | None:
        """Returns the number of the trial that a worker has, None for none."""

    def fail(self, trial: str, message: str) -> None:
        """Ends a trial."""


def run_workers(
    workers: Sequence[Worker], stop: Stop, trials: NoTrials | None = None, deaths: int = DEATHS
) -> None:
    """Runs workers until all of them have ended well.

    Args:
      stop: looked at all the time.
      trials: which worker has which, and how to fail one whose processes keep dying.
      deaths: in one trial, after which that fails; outside of trials, after which all is given up.

    Raises:
      TrainingStopped: `stop` asked for it.
      WorkerDied: a worker died too often.
    """
    try:
        for worker in workers:
            worker.start()
        running = list(workers)
        while running:
            if stop.asked:
                raise TrainingStopped("stopped by SIGTERM")
            running = [w for w in running if _goes_on(w, trials or NoTrials(), deaths)]
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        for worker in workers:
            worker.end()


def _goes_on(worker: Worker, trials: NoTrials, deaths: int) -> bool:
    """Returns whether a worker still has work to do; starts it again where it died."""
    code = worker.process.poll() if worker.process else 0
    if not code:
        return code is None
    trial = trials.of(worker.name)
    worker.deaths = worker.deaths + 1 if trial == worker.trial else 1
    worker.trial = trial
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    if worker.deaths >= deaths and trial is not None:
        trials.fail(
            trial,
            f"the processes that trained it died {worker.deaths} times, at last by {how} (SIGKILL: "
            "mostly because memory ran out)",
        )
    elif worker.deaths >= deaths:
        raise WorkerDied(
            f"expected {worker.name} to train its trials; it died {worker.deaths} times, at last "
            f"by {how}: its own words are in the log; completed trials are kept, and fewer "
            "parallel trials need less memory"
        )
    LOGGER.warning("%s died by %s and is started again", worker.name, how)
    worker.end()
    worker.start()
    return True
