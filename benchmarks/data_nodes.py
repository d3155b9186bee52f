"""Measures one data node of the graph in a process of its own: its seconds, and its memory.

Other benchmarks import this; what runs in the process is `one_data_node.py`.
"""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import time

import psutil

from pipeline.flink.state import Cluster

NODES = ("MnistExampleGen", "StatisticsGen", "StrictExampleValidator", "Transform", "Evaluator")
PROGRAM = pathlib.Path(__file__).with_name("one_data_node.py")
WORKER = "apache_beam.runners.worker.sdk_worker_main"
PAUSE = 0.2  # seconds between two looks at the memory
ERROR_LINES = 30


@dataclasses.dataclass(frozen=True)
class Given:
    """What the nodes are told.

    Attributes:
      workdir: where artifacts and their records are; nodes find there what earlier ones made.
      data: as `--data` of `mnist-tfx run`.
      model: a folder of versions; Evaluator takes the newest.
    """

    workdir: pathlib.Path
    data: str
    model: pathlib.Path
    beam_args: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a node took; memory is resident, in bytes, the most that was seen.

    Attributes:
      process: of the process that runs the node.
      worker: of the largest worker in another process, 0 where there is none.
      java: of all of Flink's processes together, 0 without Flink.
    """

    seconds: float
    process: int
    worker: int
    java: int


def measure(node: str, given: Given, cluster: Cluster | None = None) -> Measured:
    """Runs a node; those that it needs must have run in this workdir, or they run in it as well.

    Raises:
      RuntimeError: it failed; the message is the end of its log.
    """
    given.workdir.mkdir(parents=True, exist_ok=True)
    out = given.workdir / f"{node}.json"
    out.unlink(missing_ok=True)
    told = json.dumps(dataclasses.asdict(given), default=str)
    command = [sys.executable, str(PROGRAM), node, told]
    log = given.workdir / f"{node}.log"
    with log.open("wb") as to, subprocess.Popen(command, stdout=to, stderr=to) as process:
        most = _watch(process, cluster)
    if process.returncode or not out.exists():
        lines = log.read_text(errors="replace").splitlines()
        raise RuntimeError("\n".join([f"{node} failed, see {log}", *lines[-ERROR_LINES:]]))
    return Measured(json.loads(out.read_text())["seconds"], *most)


def _watch(process: "subprocess.Popen[bytes]", cluster: Cluster | None) -> tuple[int, int, int]:
    """Waits for the end; returns the most memory of the process, of a worker, of Flink's own."""
    own, largest, java = 0, 0, 0
    flink = [found for p in cluster.processes.values() if (found := p.find())] if cluster else []
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        own = max(own, _resident(watched))
        others = [worker for parent in (watched, *flink) for worker in _workers(parent)]
        largest = max([largest, *map(_resident, others)])
        java = max(java, sum(map(_resident, flink)))
        time.sleep(PAUSE)
    return own, largest, java


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def _workers(process: psutil.Process) -> list[psutil.Process]:
    """Returns the workers of Beam that a process started."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found += [child] if WORKER in " ".join(child.cmdline()) else []
    return found


def base_of_versions(folder: pathlib.Path) -> pathlib.Path:
    """Returns a folder that holds at least one pushed version.

    Raises:
      SystemExit: it holds none.
    """
    if not any(folder.glob("[0-9]*/saved_model.pb")):
        sys.exit(f"expected numbered versions with a saved_model.pb in {folder}; pass --model DIR")
    return folder.resolve()
