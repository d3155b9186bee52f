"""Executes the tasks of a compiled pipeline, each as soon as it can, and tells of each."""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from typing import Any

from pipeline.events import Listener, NodeEvent, NodeFailed, State
from pipeline.kubeflow.compiled import Compiled
from pipeline.kubeflow.local import driver, launcher
from pipeline.kubeflow.local.buckets import Bucket
from pipeline.kubeflow.local.executions import Execution, Executions, Unrecordable
from pipeline.kubeflow.local.processes import Processes

LONGEST_WAIT = 1.0  # seconds; Kubeflow waits as the retry policy says
Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run keeps what.

    Attributes:
      pods: folder for the local copies of the tasks that run.
      logs: folder for one log a task.
      at_once: how many tasks may run at a time.
      retries: most retries of a task, or None for as many as the pipeline says.
    """

    bucket: Bucket
    executions: Executions
    pods: pathlib.Path
    logs: pathlib.Path
    at_once: int = 1
    retries: int | None = None
    processes: Processes = dataclasses.field(default_factory=Processes)


def execute(
    compiled: Compiled,
    run: driver.Run,
    place: Place,
    listener: Listener,
    on_line: Callable[[str], None],
) -> dict[str, Execution]:
    """Runs every task as soon as those that it depends on are done; returns what each made.

    Args:
      listener: called when a task begins and ends, `on_line` with each line that its process says;
        from several threads.

    Raises:
      NodeFailed: the first task that failed at every attempt. Those that run meanwhile end, and are
        kept; no other is started.
    """
    done: dict[str, Execution] = {}

    def run_task(name: str) -> Execution:
        return _told(compiled, name, run, place, done, listener, on_line)

    order = TopologicalSorter({n: t.get("dependentTasks", []) for n, t in compiled.tasks.items()})
    order.prepare()
    running: dict[Future[Execution], str] = {}
    with ThreadPoolExecutor(place.at_once) as threads:
        try:
            while order.is_active():
                running |= {threads.submit(run_task, n): n for n in sorted(order.get_ready())}
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    done[name] = future.result()
                    order.done(name)
        except NodeFailed:
            threads.shutdown(cancel_futures=True)
            raise
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            place.processes.stop()
            raise
    return done


def _told(
    compiled: Compiled,
    name: str,
    run: driver.Run,
    place: Place,
    done: Mapping[str, Execution],
    listener: Listener,
    on_line: Callable[[str], None],
) -> Execution:
    """Runs one task and tells the listener."""
    begun = time.monotonic()
    listener(NodeEvent(name, "running"))
    try:
        execution, cached = _task(compiled, name, run, place, done, on_line)
    except (driver.Unresolved, launcher.TaskFailed, Unrecordable, OSError, ValueError) as error:
        listener(NodeEvent(name, "failed", time.monotonic() - begun, error=str(error)))
        raise NodeFailed(name, error) from error
    outputs = {key: artifact.uri for key, artifact in execution.outputs.items()}
    state: State = "cached" if cached else "done"
    listener(NodeEvent(name, state, time.monotonic() - begun, outputs))
    return execution


def _task(
    compiled: Compiled,
    name: str,
    run: driver.Run,
    place: Place,
    done: Mapping[str, Execution],
    on_line: Callable[[str], None],
) -> tuple[Execution, bool]:
    """Returns what a task made, and whether that was in the cache."""
    inputs = driver.resolve_inputs(compiled, name, run, done)
    key = driver.fingerprint(compiled, name, inputs)
    found = place.executions.cached(key)
    if found:
        gone = _gone(found, place.bucket)
        if not gone:
            return found, True
        on_line(f"{name}: {gone} is gone from the bucket, so the task runs again\n")
    _check_inputs(name, compiled.tasks[name], done, place.bucket)
    outputs = _attempts(compiled, name, run, inputs, place, on_line)
    return place.executions.record(name, key, outputs), False


def _attempts(
    compiled: Compiled,
    name: str,
    run: driver.Run,
    inputs: Json,
    place: Place,
    on_line: Callable[[str], None],
) -> dict[str, Json]:
    """Tries a task until it succeeds, as often as its retry policy allows."""
    policy = compiled.tasks[name].get("retryPolicy", {})
    retries = policy.get("maxRetryCount", 0) if place.retries is None else place.retries
    log = place.logs / f"{name}.log"
    mounts = place.pods / name
    for left in range(retries, -1, -1):
        outputs = driver.provision_outputs(compiled, name, run, str(mounts))
        pod = launcher.Pod(mounts, log, on_line, place.processes)
        try:
            return launcher.launch(
                compiled.container(compiled.tasks[name]),
                {"inputs": inputs, "outputs": outputs},
                place.bucket,
                pod,
            )
        except launcher.TaskFailed as error:
            if not left:
                raise
            on_line(f"{name}: {error}; {left} more attempts\n")
            time.sleep(min(LONGEST_WAIT, float(policy.get("backoffDuration", "0s").rstrip("s"))))
    raise AssertionError("unreachable")


def _gone(execution: Execution, bucket: Bucket) -> str:
    """Returns the URI of an artifact that the bucket no longer has whole, or nothing."""
    artifacts = execution.outputs.values()
    return next((a.uri for a in artifacts if bucket.count(a.uri) < a.files), "")


def _check_inputs(name: str, task: Json, done: Mapping[str, Execution], bucket: Bucket) -> None:
    """Raises TaskFailed where an input is no longer in the bucket; an empty one never was."""
    for source in task.get("inputs", {}).get("artifacts", {}).values():
        output = source["taskOutputArtifact"]
        artifact = done[output["producerTask"]].outputs[output["outputArtifactKey"]]
        found = bucket.count(artifact.uri)
        if found < artifact.files:
            raise launcher.TaskFailed(
                f"expected {artifact.files} files of {output['producerTask']} at {artifact.uri}; "
                f"{found} are there: somebody removed them; run again to make them again"
            )
