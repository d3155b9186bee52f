"""Several trials of a search at a time: this process is KerasTuner's chief, workers train.

The chief keeps the one state of the search, so what survives a kill is the same as without workers.
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import keras_tuner
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine.trial import Trial
from tfx.components.trainer.fn_args_utils import FnArgs

from components.settings import TuneSettings, to_config
from components.training import devices
from components.training.stopping import TrainingStopped, stoppable
from components.tuning.probe import GPUS
from components.tuning.processes import DEATHS, NoTrials, Worker, run_workers
from components.tuning.worker import MESSAGE

HOST = "127.0.0.1"
ENDED = ("COMPLETED", "FAILED")


def search(tuner: keras_tuner.Tuner, fn_args: FnArgs, at_once: int, deaths: int = DEATHS) -> None:
    """Runs the trials that a search still lacks.

    Args:
      fn_args: what the tuner was made from.
      at_once: how many trials, each in a process of its own; at most as many as are lacking.
      deaths: of workers in one trial, after which it fails.

    Raises:
      TrainingStopped: SIGTERM came.
      ValueError: there are GPUs, but fewer than that.
      WorkerDied: a worker died too often outside of trials.
    """
    ended = sum(trial.status in ENDED for trial in tuner.oracle.trials.values())
    count = min(at_once, tuner.oracle.max_trials - ended)
    shares = shares_of(count, devices.describe_gpus(), len(os.sched_getaffinity(0)))
    with chief(tuner.oracle) as port, stoppable() as stop:
        workers = [
            _worker(f"worker-{number}", tuner, fn_args, {**_address(port), **share})
            for number, share in enumerate(shares)
        ]
        try:
            run_workers(workers, stop, _Trials(tuner.oracle), deaths)
        except TrainingStopped as error:
            raise TrainingStopped(
                f"{tuner.hypermodel.name} was {error}; completed trials are kept: "
                "the same command goes on"
            ) from error


def shares_of(count: int, gpus: Sequence[str], cores: int) -> list[dict[str, str]]:
    """Returns the variables that give each worker its part of the machine.

    Raises:
      ValueError: there are GPUs, but fewer than workers.
    """
    if gpus and count > len(gpus):
        raise ValueError(
            f"expected at most {len(gpus)} parallel trials, one for each GPU; got {count}: two on "
            "a GPU run out of its memory"
        )
    threads = str(max(1, cores // max(1, count)))
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    shares = [dict.fromkeys(names, threads) for _ in range(count)]
    if gpus:
        visible = os.environ.get(GPUS) or ",".join(str(n) for n in range(len(gpus)))
        for share, gpu in zip(shares, visible.split(","), strict=False):
            share[GPUS] = gpu
    return shares


@contextmanager
def chief(oracle: keras_tuner.Oracle) -> Iterator[int]:
    """Lets workers ask an oracle for trials, on a free port of this machine; yields the port.

    KerasTuner's own `start_server` must be told a port, which another may have taken by then, and
    shares it with whoever has; at the end it sleeps for 20 seconds.
    """
    server = grpc.server(futures.ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(_Chief(oracle), server)
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


class _Chief(OracleServicer):
    """KerasTuner's servant of the workers, but it keeps why a trial failed."""

    def EndTrial(self, request: Any, context: grpc.ServicerContext) -> Any:
        trial = Trial.from_proto(request.trial)
        said = dict(context.invocation_metadata()).get(MESSAGE, b"")
        trial.message = said.decode(errors="replace") or None
        self.oracle.end_trial(trial)
        return protos.get_service().EndTrialResponse()


class _Trials(NoTrials):
    """Those of an oracle."""

    def __init__(self, oracle: keras_tuner.Oracle) -> None:
        self._oracle = oracle

    def of(self, worker: str) -> str | None:
        trial = self._oracle.ongoing_trials.get(worker)
        return trial.trial_id if trial else None

    def fail(self, trial: str, message: str) -> None:
        failed = self._oracle.trials[trial]
        failed.status, failed.message = "FAILED", message
        self._oracle.end_trial(failed)


def _address(port: int) -> dict[str, str]:
    return {
        "KERASTUNER_ORACLE_IP": HOST,
        "KERASTUNER_ORACLE_PORT": str(port),
        "no_grpc_proxy": HOST,  # gRPC would take a proxy that `http_proxy` names
    }


def _worker(
    name: str, tuner: keras_tuner.Tuner, fn_args: FnArgs, environment: dict[str, str]
) -> Worker:
    """Returns a worker with a folder of its own: in that of the search, only the chief writes."""
    settings = TuneSettings.from_config(fn_args.custom_config)
    settings = dataclasses.replace(settings, state_dir=os.path.join(tuner.project_dir, name))
    what = {**told(fn_args), "custom_config": to_config(settings)}
    return Worker(name, what, {**environment, "KERASTUNER_TUNER_ID": name})


def told(fn_args: FnArgs) -> dict[str, Any]:
    """Returns what another process is told, so that its entry point of the Tuner does the same."""
    return {
        "custom_config": fn_args.custom_config,
        "train_files": list(fn_args.train_files),
        "eval_files": list(fn_args.eval_files),
        "transform_graph_path": fn_args.transform_graph_path,
    }
