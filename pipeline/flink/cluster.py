"""Starts and stops a Flink session cluster and a Beam job server on loopback."""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

import psutil

from pipeline.flink.fetch import Packages, check_java
from pipeline.flink.listening import answers, free_ports, overview
from pipeline.flink.settings import (
    HOST,
    LOG4J,
    ClusterSettings,
    Ports,
    commands,
    configuration,
    worker_script,
)
from pipeline.flink.state import (
    STATE,
    Cluster,
    ClusterError,
    Process,
    last_words,
    runs,
    started,
    write,
)

READY_SECONDS = 180.0  # Java on a machine that does something else
STOP_SECONDS = 20.0
SECONDS_BETWEEN_LOOKS = 0.2
PORTS = "ports.json"


def start(folder: pathlib.Path, packages: Packages, settings: ClusterSettings) -> Cluster:
    """Starts the cluster of a folder and waits until it takes jobs.

    Raises:
      ClusterError: one runs there, or a process ended or was not ready in time; nothing is left
        running.
    """
    _refuse_a_second(folder)
    if " " in str(folder.resolve()):
        raise ClusterError(
            "expected a folder without spaces, at which a shell takes Beam's arguments apart; got "
            f"{folder.resolve()}: name another one"
        )
    java = check_java()
    at = folder.resolve() / "cluster"
    shutil.rmtree(at, ignore_errors=True)
    ports = _ports(folder.resolve() / PORTS)
    _write_files(at, settings, ports)
    class_path = ":".join(map(str, packages.jars))
    slots = settings.task_managers * settings.slots
    processes: dict[str, Process] = {}
    cluster = Cluster(at, ports, slots, processes)
    try:
        for name, command in commands(settings, ports, java, class_path, at).items():
            processes[name] = _spawn(name, command, at)
            write(cluster)
        _wait(cluster, "its task slots", lambda: overview(cluster.rest)["slots-total"] >= slots)
        _wait(cluster, "the job server", lambda: answers(HOST, ports.job))
    except BaseException:
        _end(cluster)
        raise
    return cluster


def stop(folder: pathlib.Path) -> int:
    """Stops what runs of the cluster, workers included; returns how many processes that were."""
    return _end(started(folder))


def _end(cluster: Cluster) -> int:
    alive = [p for process in cluster.processes.values() if (p := process.find())]
    workers = [child for process in alive for child in _children(process)]
    for process in [*alive, *workers]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    until = time.monotonic() + STOP_SECONDS
    while (left := [p for p in [*alive, *workers] if runs(p)]) and time.monotonic() < until:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    (cluster.folder / STATE).unlink(missing_ok=True)
    return len(alive) + len(workers)


def _ports(file: pathlib.Path) -> Ports:
    """Returns those of the last start if they are free: Beam's arguments are part of cache keys."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        last = Ports(**json.loads(file.read_text()))
        if not any(answers(HOST, port) for port in dataclasses.astuple(last)):
            return last
    ports = Ports(*free_ports(len(dataclasses.fields(Ports))))
    file.write_text(json.dumps(dataclasses.asdict(ports)))
    return ports


def _refuse_a_second(folder: pathlib.Path) -> None:
    try:
        running = started(folder).running()
    except ClusterError:
        return
    if any(running.values()):
        names = ", ".join(name for name, runs in running.items() if runs)
        raise ClusterError(
            f"expected no cluster in {folder}; one runs there ({names}): python -m "
            f"pipeline.flink stop --folder {folder} ends it"
        )


def _write_files(at: pathlib.Path, settings: ClusterSettings, ports: Ports) -> None:
    for name in ("log", "scratch", "artifacts"):
        (at / name).mkdir(parents=True)
    (at / "flink-conf.yaml").write_text(configuration(settings, ports, at / "scratch"))
    (at / "log4j.properties").write_text(LOG4J)
    worker = at / "worker.sh"
    worker.write_text(worker_script())
    worker.chmod(0o755)


def _spawn(name: str, command: Sequence[str], at: pathlib.Path) -> Process:
    with (at / "log" / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=at,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(process.pid, psutil.Process(process.pid).create_time())


def _wait(cluster: Cluster, what: str, ready: Callable[[], bool]) -> None:
    """Waits until it is so.

    Raises:
      ClusterError: a process ended, or it took too long.
    """
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        for name, alive in cluster.running().items():
            if not alive:
                raise ClusterError(f"{name} ended at its start: {last_words(cluster.folder, name)}")
        with contextlib.suppress(OSError, ValueError):
            if ready():
                return
        time.sleep(SECONDS_BETWEEN_LOOKS)
    raise ClusterError(
        f"expected {what} within {READY_SECONDS:.0f} s; it is not there: "
        f"see {cluster.folder / 'log'}"
    )


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []
