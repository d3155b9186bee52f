"""How much of a cluster each node asks for, and how often it is tried again."""

import dataclasses
from typing import Any

from components.settings import MIRRORED, ONE_DEVICE
from pipeline.kubeflow import layout
from pipeline.wrong_call import WrongCall

GPU_NODES = TUNER, TRAINER = "Tuner", "Trainer"


@dataclasses.dataclass(frozen=True)
class Resources:
    """CPUs and gigabytes (10^9 bytes) of a container: what it is promised, and its limit."""

    cpu_request: float
    cpu_limit: float
    memory_request: float
    memory_limit: float


SMALL = Resources(0.5, 2, 1, 3)
DATA = Resources(1, 2, 2, 4)
SERVING = Resources(2, 2, 2, 6)
EVALUATION = Resources(2, 4, 4, 8)
TRAINING = Resources(2, 8, 8, 16)
BY_NODE = {
    "MnistExampleGen": DATA,
    "StatisticsGen": DATA,
    "Transform": DATA,
    "Tuner": TRAINING,
    "Trainer": TRAINING,
    "Evaluator": EVALUATION,
    "ServingValidator": SERVING,
    "BehaviourTest": SERVING,
    "Report": DATA,
}
RETRIES: dict[str, Any] = {
    "maxRetryCount": 2,
    "backoffDuration": "30s",
    "backoffFactor": 2.0,
    "backoffMaxDuration": "600s",
}


@dataclasses.dataclass(frozen=True)
class Gpus:
    """Of each Tuner and Trainer: `kind` is a resource of Kubernetes, a count of 0 means none.

    Attributes:
      count: of a Tuner, and of a Trainer where `of_trainer` is None.
      of_trainer: of a Trainer.
    """

    kind: str
    count: int
    of_trainer: int | None = None

    def of(self, task: str) -> int:
        """Returns how many a task asks for."""
        kind = layout.kind_and_model(task)[0]
        if kind not in GPU_NODES:
            return 0
        return self.count if kind == TUNER or self.of_trainer is None else self.of_trainer


def of_task(task: str) -> Resources:
    """Returns what a task asks for."""
    return BY_NODE.get(layout.kind_and_model(task)[0], SMALL)


def check_devices(devices: str, gpus: Gpus) -> None:
    """Checks that a Trainer asks for the GPUs that its trainings are to use.

    Raises:
      WrongCall: it asks for too few, or for some that would be idle.
    """
    count = gpus.of(TRAINER)
    if devices == MIRRORED and count < 2:
        raise WrongCall(
            f"expected at least 2 GPUs a Trainer with --devices {MIRRORED}; got {count}: say "
            "--gpus-per-trainer 2 or more"
        )
    if devices == ONE_DEVICE and count > 1:
        raise WrongCall(
            f"expected at most 1 GPU a Trainer with --devices {ONE_DEVICE}; got {count}, of which "
            "the others would be idle: say --gpus-per-trainer 1"
        )
