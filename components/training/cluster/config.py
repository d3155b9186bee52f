"""Which machines train together: what TensorFlow's variable TF_CONFIG says. No TensorFlow here."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

TF_CONFIG = "TF_CONFIG"
CHIEF, WORKER = "chief", "worker"
FORM = (
    '{"cluster": {"worker": ["host0:port", "host1:port"]}, "task": {"type": "worker", "index": 0}}'
)


class BadCluster(ValueError):
    """TF_CONFIG is missing, or does not say which machines train together."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The machines of a training.

    Attributes:
      addresses: host:port of each, the chief's first.
      place: that of this machine among them.
      chiefs: 1 where the chief is a task of its own kind, 0 where it is the worker 0.
    """

    addresses: tuple[str, ...]
    place: int
    chiefs: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this machine is the chief: the task `chief`, or without one the worker 0."""
        return self.place == 0

    @property
    def workers(self) -> tuple[str, ...]:
        """The addresses of those that are not the chief."""
        return self.addresses[1:]

    def place_of(self, kind: str, index: int) -> int:
        """Returns the place of a task by TensorFlow's name for it."""
        return index + (self.chiefs if kind == WORKER else 0)


def cluster_of(environment: Mapping[str, str]) -> Cluster:
    """Returns the machines that TF_CONFIG names.

    Raises:
      BadCluster: in one sentence, what was expected and what came.
    """
    text = environment.get(TF_CONFIG, "")
    if not text:
        raise BadCluster(f"expected the variable {TF_CONFIG} to name the machines; set it: {FORM}")
    try:
        config = json.loads(text)
        return _cluster(config["cluster"], config["task"])
    except (ValueError, KeyError, TypeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise BadCluster(f"expected {TF_CONFIG} like {FORM}; got {text!r}: {why}") from error


def as_chief(environment: Mapping[str, str]) -> Cluster:
    """Returns the machines; for the one that runs the pipeline.

    Raises:
      BadCluster: TF_CONFIG is wrong, or makes this machine a worker.
    """
    cluster = cluster_of(environment)
    if not cluster.is_chief:
        raise BadCluster(
            f"expected {TF_CONFIG} to make this machine the chief (worker 0), which runs the "
            f"pipeline; it is {cluster.addresses[cluster.place]}: run `mnist-tfx worker` here"
        )
    return cluster


def as_worker(environment: Mapping[str, str]) -> Cluster:
    """Returns the machines; for one that follows the chief.

    Raises:
      BadCluster: TF_CONFIG is wrong, or makes this machine the chief.
    """
    cluster = cluster_of(environment)
    if cluster.is_chief:
        raise BadCluster(
            f"expected {TF_CONFIG} to make this machine a worker; it is the chief (worker 0): run "
            "`mnist-tfx run --devices multi-worker` here"
        )
    return cluster


def _cluster(jobs: Mapping[str, Any], task: Mapping[str, Any]) -> Cluster:
    if unknown := sorted(set(jobs) - {CHIEF, WORKER}):
        raise ValueError(f"a cluster of chief and workers has no {', '.join(unknown)}")
    addresses = (*jobs.get(CHIEF, ()), *jobs.get(WORKER, ()))
    for address in addresses:
        _check(address)
    if len(set(addresses)) < max(2, len(addresses)):
        raise ValueError("at least two machines are needed, each with an address of its own")
    kind, index = task["type"], task["index"]
    of_kind = jobs.get(kind, ())
    if not isinstance(index, int) or not 0 <= index < len(of_kind):
        raise ValueError(f"the cluster has no task {kind} {index}")
    chiefs = len(jobs.get(CHIEF, ()))
    return Cluster(addresses, index + (chiefs if kind == WORKER else 0), chiefs)


def _check(address: Any) -> None:
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError(f"{address!r} is not host:port")
