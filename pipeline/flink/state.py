"""What is known of a cluster that was started: processes, ports, the Beam arguments for it."""

import contextlib
import dataclasses
import json
import pathlib

import psutil

from pipeline.flink.settings import HOST, Ports
from pipeline.workdir import write_json

STATE = "cluster.json"


class ClusterError(RuntimeError):
    """The cluster cannot be started, or is not there; the message says why."""


@dataclasses.dataclass(frozen=True)
class Process:
    """A process by what no other process has: its number and when it was made."""

    pid: int
    created: float

    def find(self) -> psutil.Process | None:
        """Returns it if it still runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid)
            if found.create_time() == self.created and runs(found):
                return found
        return None


def runs(process: psutil.Process) -> bool:
    """Returns whether a process does; a dead one that its parent has not asked after does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster that was started, as its file describes it.

    Attributes:
      processes: by name: `jobmanager`, `taskmanager-1` and so on, `jobserver`.
    """

    folder: pathlib.Path
    ports: Ports
    slots: int
    processes: dict[str, Process]

    @property
    def rest(self) -> str:
        """Flink's address, HOST:PORT."""
        return f"{HOST}:{self.ports.rest}"

    @property
    def job_endpoint(self) -> str:
        """The job server's address, HOST:PORT."""
        return f"{HOST}:{self.ports.job}"

    @property
    def beam_args(self) -> list[str]:
        """What sends a node's Beam job here, for after `--`."""
        return [
            "--runner=FlinkRunner",
            f"--job_endpoint={self.job_endpoint}",
            f"--parallelism={min(2, self.slots)}",
            "--environment_type=PROCESS",
            f"--environment_option=process_command={self.folder / 'worker.sh'}",
            "--environment_cache_millis=60000",
            # Never used here. Without an image or a package of its own, TFX packs itself into a
            # source distribution for the workers at the start of every Beam node.
            "--sdk_container_image=none",
        ]

    def running(self) -> dict[str, bool]:
        """Returns by name which processes still run."""
        return {name: bool(process.find()) for name, process in self.processes.items()}


def started(folder: pathlib.Path) -> Cluster:
    """Returns the cluster of a folder.

    Raises:
      ClusterError: none was started there.
    """
    folder = folder.resolve() / "cluster"
    try:
        state = json.loads((folder / STATE).read_text())
        processes = {name: Process(**values) for name, values in state["processes"].items()}
        return Cluster(folder, Ports(**state["ports"]), state["slots"], processes)
    except OSError:
        raise ClusterError(
            f"expected a cluster in {folder}; none was started: run python -m pipeline.flink start"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ClusterError(
            f"expected a whole {folder / STATE}; it is damaged: end the processes of the cluster "
            "by hand (`ps -ef | grep flink`) and remove that file"
        ) from None


def write(cluster: Cluster) -> None:
    """Writes it for `started`, as far as it was started yet."""
    state = {
        "ports": dataclasses.asdict(cluster.ports),
        "slots": cluster.slots,
        "processes": {n: dataclasses.asdict(p) for n, p in cluster.processes.items()},
    }
    write_json(cluster.folder / STATE, state)


def last_words(folder: pathlib.Path, name: str) -> str:
    """Returns the last line of a process's log that is no line of a stack trace."""
    text = (folder / "log" / f"{name}.log").read_text(errors="replace")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("\t")]
    return lines[-1][:300] if lines else "it said nothing"
