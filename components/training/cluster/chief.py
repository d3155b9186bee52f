"""A training on several machines as the Trainer sees it: waits for workers, then for its end."""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from components.training.cluster.config import CHIEF, as_chief
from components.training.cluster.member import STOPPED
from components.training.cluster.process import take_part
from components.training.stopping import Stop, TrainingStopped, stoppable
from components.training.user_log import LOGGER

SECONDS_FOR_WORKERS = 600.0  # images of containers are pulled meanwhile
SECONDS_BETWEEN_TRIES = 0.5
FIELDS = (
    *("custom_config", "hyperparameters", "transform_output"),
    *("train_files", "eval_files", "serving_model_dir", "model_run_dir"),
)


class TrainingBroken(RuntimeError):
    """A training on several machines ended before its time; the next one goes on from there."""


def lead(fn_args: Any) -> None:
    """Trains with the machines that TF_CONFIG names, and writes what a Trainer writes.

    Args:
      fn_args: TFX's `FnArgs` of a Trainer.

    Raises:
      BadCluster: TF_CONFIG is wrong.
      TrainingBroken: a machine is gone, or what the training itself raised.
      TrainingStopped: SIGTERM came.
    """
    cluster = as_chief(os.environ)
    told = {name: getattr(fn_args, name) for name in FIELDS}
    with stoppable() as stop:
        wait_for(cluster.workers, stop)
        code, words = take_part(CHIEF, cluster, {"fn_args": told}, stop)
        if code == STOPPED or (code and stop.asked):
            raise TrainingStopped(words)
        if code:
            raise TrainingBroken(words)


def wait_for(workers: Sequence[str], stop: Stop, seconds: float = SECONDS_FOR_WORKERS) -> None:
    """Returns when something listens at each address.

    Raises:
      TrainingBroken: nothing does in time.
      TrainingStopped: `stop` asked for it.
    """
    until, missing = time.monotonic() + seconds, _missing(workers)
    if missing:
        LOGGER.info("waiting for the workers at %s", ", ".join(missing))
    while missing := _missing(missing):
        if stop.asked:
            raise TrainingStopped("stopped by SIGTERM while waiting for the workers")
        if time.monotonic() > until:
            raise TrainingBroken(
                f"expected workers at {', '.join(workers)} within {seconds:.0f} s; nothing "
                f"listens at {', '.join(missing)}: start `mnist-tfx worker` there"
            )
        time.sleep(SECONDS_BETWEEN_TRIES)


def _missing(addresses: Sequence[str]) -> list[str]:
    return [address for address in addresses if not _listens(address)]


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
    except OSError:
        return False
    return True
