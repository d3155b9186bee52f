"""What Kubeflow's launcher does around a task's container: downloads, runs, uploads, merges.

Source: KFP's backend/src/v2/component/launcher_v2.go (`executeV2`, `getPlaceholders`).
"""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.kubeflow.executor_input import artifacts, local_path
from pipeline.kubeflow.local.buckets import Bucket, BucketError
from pipeline.kubeflow.local.processes import Processes

ROOT = pathlib.Path(__file__).resolve().parents[3]  # stands for the image's working directory
MOUNTS = "MNIST_TFX_MOUNTS"
LAST_WORDS = 5

Json = dict[str, Any]


class TaskFailed(RuntimeError):
    """A task's process did not end well, or what it needs or made could not be moved."""


@dataclasses.dataclass(frozen=True)
class Pod:
    """One attempt at a task.

    Attributes:
      mounts: the folder with the launcher's local copies, emptied before and after; the same for
        each attempt, as in a cluster, so that a task finds again what it kept under these paths.
      log: the file that gets all that the process says.
      on_line: called with each line of it.
      processes: start it.
    """

    mounts: pathlib.Path
    log: pathlib.Path
    on_line: Callable[[str], None]
    processes: Processes


def launch(container: Json, executor_input: Json, bucket: Bucket, pod: Pod) -> dict[str, Json]:
    """Runs a task and returns uri, metadata and files of each output.

    Raises:
      TaskFailed: see there; the message says what happened.
    """
    shutil.rmtree(pod.mounts, ignore_errors=True)
    try:
        _download(executor_input, bucket, pod.mounts)
        _prepare(executor_input, pod.mounts)
        command = [*container.get("command", []), *container.get("args", [])]
        places = placeholders(executor_input, pod.mounts)
        _execute([fill(word, places) for word in command], container.get("env", []), pod)
        return _collect(executor_input, bucket, pod.mounts)
    except BucketError as error:
        raise TaskFailed(str(error)) from error
    finally:
        shutil.rmtree(pod.mounts, ignore_errors=True)


def placeholders(executor_input: Json, mounts: pathlib.Path) -> dict[str, str]:
    """Returns what Kubeflow's launcher puts in the place of what."""
    found = {"{{$}}": json.dumps(executor_input)}
    for part in ("inputs", "outputs"):
        for key, artifact in artifacts(executor_input[part]):
            uri = artifact["uri"]
            found[f"{{{{$.{part}.artifacts['{key}'].uri}}}}"] = uri
            found[f"{{{{$.{part}.artifacts['{key}'].path}}}}"] = local_path(uri, str(mounts))
    for name, value in executor_input["inputs"]["parameterValues"].items():
        text = value if isinstance(value, str) else json.dumps(value)
        found[f"{{{{$.inputs.parameters['{name}']}}}}"] = text
    return found


def fill(word: str, places: Mapping[str, str]) -> str:
    """Returns a word of a command with every placeholder replaced."""
    for placeholder, value in places.items():
        word = word.replace(placeholder, value)
    return word


def _download(executor_input: Json, bucket: Bucket, mounts: pathlib.Path) -> None:
    for _, artifact in artifacts(executor_input["inputs"]):
        uri = artifact["uri"]
        bucket.download(uri, pathlib.Path(local_path(uri, str(mounts))))


def _prepare(executor_input: Json, mounts: pathlib.Path) -> None:
    """Makes the parent of each output's local path, and no more."""
    for _, artifact in artifacts(executor_input["outputs"]):
        path = pathlib.Path(local_path(artifact["uri"], str(mounts)))
        path.parent.mkdir(parents=True, exist_ok=True)


def _execute(command: Sequence[str], env: Sequence[Json], pod: Pod) -> None:
    """Runs the container's command and waits.

    Raises:
      TaskFailed: it cannot be started, or did not end with 0.
    """
    environment = {**os.environ, **{e["name"]: e["value"] for e in env}, MOUNTS: str(pod.mounts)}
    environment["PATH"] = f"{pathlib.Path(sys.executable).parent}:{environment.get('PATH', '')}"
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise TaskFailed(f"expected the container's command {command[0]!r} on this machine")
    words: list[str] = []
    with (
        pod.log.open("a", buffering=1) as log,
        pod.processes.started([program, *command[1:]], ROOT, environment) as process,
    ):
        for line in process.stdout:
            log.write(line)
            pod.on_line(line)
            words = [*words, line.strip()][-LAST_WORDS:]
    if process.returncode:
        raise TaskFailed(f"{_ending(process.returncode, words)}; its log: {pod.log}")


def _ending(code: int, words: Sequence[str]) -> str:
    """Returns how a process ended: by which signal, or with what as its last words."""
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    said = [word for word in words if word]
    return said[-1] if said else f"it ended with {code} and said nothing"


def _collect(executor_input: Json, bucket: Bucket, mounts: pathlib.Path) -> dict[str, Json]:
    """Uploads the outputs and merges what the executor wrote of them into what was planned."""
    file = pathlib.Path(executor_input["outputs"]["outputFile"])
    written = json.loads(file.read_text()) if file.is_file() else {}
    told = dict(artifacts(written))
    outputs = {}
    for key, planned in artifacts(executor_input["outputs"]):
        uri = told.get(key, {}).get("uri") or planned["uri"]
        metadata = {**planned.get("metadata", {}), **told.get(key, {}).get("metadata", {})}
        files = bucket.upload(pathlib.Path(local_path(uri, str(mounts))), uri)
        outputs[key] = {"uri": uri, "metadata": metadata, "files": files}
    return outputs
