"""How large a cluster is, and the command lines and files that its processes start from."""

import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Mapping

HOST = "127.0.0.1"  # nothing of it asks who calls, so that it is for this machine alone
OPENED = (
    "java.lang java.lang.reflect java.net java.io java.nio sun.nio.ch java.text java.time "
    "java.util java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks"
)
EXPORTED = "java.base/sun.net.util java.rmi/sun.rmi.registry"
# What Flink's own start scripts pass to a Java that is newer than 11.
MODULE_OPTIONS = (
    *(f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTED.split()),
    *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED.split()),
)
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %-5p %c - %m%n
"""


@dataclasses.dataclass(frozen=True)
class ClusterSettings:
    """The size of a cluster: enough for `smoke`, with a task manager to spare.

    Attributes:
      task_managers: processes that run tasks; `slots` at a time each.
      *_mb: memory in MiB of one process; workers in Python come on top.
      shuffle_buffers: network buffers of 32 KiB that each result between two stages holds at least.
        Flink's default is 512, and one of StatisticsGen's tasks has more than 20 such results.
      restarts: how often a job is started again after it lost a task manager.
      restart_seconds: how long it waits before, for the loss to be noticed everywhere.
      slot_seconds: how long a job waits for slots that other jobs have.
    """

    task_managers: int = 2
    slots: int = 2
    task_heap_mb: int = 512
    network_mb: int = 256
    shuffle_buffers: int = 16
    managed_mb: int = 128
    job_manager_mb: int = 512
    job_server_mb: int = 768
    restarts: int = 3
    restart_seconds: int = 5
    slot_seconds: int = 300


@dataclasses.dataclass(frozen=True)
class Ports:
    """Where the processes listen, on loopback."""

    rest: int
    rpc: int
    job: int
    artifacts: int
    expansion: int


def configuration(settings: ClusterSettings, ports: Ports, scratch: pathlib.Path) -> str:
    """Returns Flink's configuration file."""
    entries: Mapping[str, object] = {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": ports.rpc,
        "jobmanager.bind-host": HOST,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": ports.rest,
        "io.tmp.dirs": scratch,
        "taskmanager.numberOfTaskSlots": settings.slots,
        "taskmanager.cpu.cores": float(settings.slots),
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "64m",
        "taskmanager.memory.task.heap.size": f"{settings.task_heap_mb}m",
        "taskmanager.memory.task.off-heap.size": "64m",
        "taskmanager.memory.managed.size": f"{settings.managed_mb}m",
        "taskmanager.memory.network.min": f"{settings.network_mb}m",
        "taskmanager.memory.network.max": f"{settings.network_mb}m",
        "taskmanager.network.sort-shuffle.min-buffers": settings.shuffle_buffers,
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.memory.jvm-overhead.max": "128m",
        # The runner is on every class path: loaded from there, it keeps a job's workers from one
        # stage to the next (--environment_cache_millis); loaded from the job, it starts new ones.
        "classloader.resolve-order": "parent-first",
        "taskmanager.load-balance.mode": "SLOTS",  # one slot of each, not all of one
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": settings.restarts,
        "restart-strategy.fixed-delay.delay": f"{settings.restart_seconds} s",
        "slot.request.timeout": 1000 * settings.slot_seconds,
        # A task manager that is gone is noticed within seconds, one that is slow has the usual 50.
        "heartbeat.interval": 3000,
        "heartbeat.timeout": 50000,
        "heartbeat.rpc-failure-threshold": 2,
        # The defaults of 10 s are too short for a machine that is busy with something else.
        "pekko.startup-timeout": "120 s",
        "pekko.ask.timeout": "60 s",
    }
    return "".join(f"{key}: {value}\n" for key, value in entries.items())


def commands(
    settings: ClusterSettings, ports: Ports, java: str, class_path: str, folder: pathlib.Path
) -> dict[str, list[str]]:
    """Returns the command line of each process by its name, in the order to start them.

    Args:
      folder: where the configuration is.
    """

    def start(megabytes: int, main: str, *arguments: str) -> list[str]:
        memory = [f"-Xmx{megabytes}m", f"-XX:MaxDirectMemorySize={settings.network_mb + 256}m"]
        log = f"-Dlog4j.configurationFile={folder / 'log4j.properties'}"
        options = [*memory, "-XX:+UseSerialGC", *MODULE_OPTIONS, log, "-cp", class_path]
        return [java, *options, main, *arguments]

    heap = settings.task_heap_mb + 128
    workers = {
        f"taskmanager-{number}": start(heap, TASK_MANAGER, "--configDir", str(folder))
        for number in range(1, settings.task_managers + 1)
    }
    server = (
        f"--flink-master={HOST}:{ports.rest}",
        f"--flink-conf-dir={folder}",
        f"--job-host={HOST}",
        f"--job-port={ports.job}",
        f"--artifact-port={ports.artifacts}",
        f"--expansion-port={ports.expansion}",
        f"--artifacts-dir={folder / 'artifacts'}",
    )
    manager = start(settings.job_manager_mb, JOB_MANAGER, "--configDir", str(folder))
    return {
        "jobmanager": manager,
        **workers,
        "jobserver": start(settings.job_server_mb, JOB_SERVER, *server),
    }


def worker_script() -> str:
    """Returns the program that a task manager starts for each worker: this Python, this package."""
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pipeline.flink.boot "$@"\n'
