"""How much of a cluster each node asks for, and how often it is tried again."""

import dataclasses
from typing import Any

from pipeline.kubeflow import layout

GPU_NODES = ("Tuner", "Trainer")


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
    """Of each Tuner and Trainer: `kind` is a resource of Kubernetes, `count` 0 means none."""

    kind: str
    count: int


def of_task(task: str) -> Resources:
    """Returns what a task asks for."""
    return BY_NODE.get(layout.kind_and_model(task)[0], SMALL)


def wants_gpu(task: str) -> bool:
    """Whether a task computes on GPUs where there are some."""
    return layout.kind_and_model(task)[0] in GPU_NODES
