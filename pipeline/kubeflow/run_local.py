"""The command `kubeflow run-local`, from the user's options to an exit code."""

import dataclasses
import datetime
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from components import data
from components.training.user_log import LOGGER
from pipeline import conclusion, results, screen
from pipeline.conclusion import FAILED, STOPPED, WRONG_CALL
from pipeline.events import NodeFailed
from pipeline.kubeflow import layout
from pipeline.kubeflow.compiled import Compiled
from pipeline.kubeflow.local import buckets, driver
from pipeline.kubeflow.local.executions import Execution, Executions
from pipeline.kubeflow.local.run import Place, execute
from pipeline.kubeflow.parameters import DATA, DATA_SHA256, PUSH_DESTINATION, STATE_DIR
from pipeline.kubeflow.submit_file import read_upload
from pipeline.kubeflow.values import values_of
from pipeline.workdir import Workdir, WorkdirBusy, WorkdirUnusable, locked
from pipeline.wrong_call import WrongCall

PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"  # Kubeflow's own default
PROGRESS = f" {LOGGER.name}: "  # in a line of a task's log
WRONG_CALLS = (WrongCall, WorkdirBusy, WorkdirUnusable)


@dataclasses.dataclass(frozen=True)
class RunLocalOptions:
    """What the user asked for.

    Attributes:
      file: the compiled pipeline, or None to compile one first, as the next options say.
      models: names with commas between, or None for all.
      assignments: names and values of parameters; see `pipeline.kubeflow.parameters`.
      s3_endpoint: URL of an S3 server that is the bucket, or empty for a folder of the workdir.
      at_once: how many tasks may run at a time.
      retries: most retries of a task, or None for as many as the pipeline says.
    """

    file: pathlib.Path | None
    profile: str
    precision: str | None
    beam_args: tuple[str, ...]
    models: str | None
    workdir: pathlib.Path
    assignments: Sequence[tuple[str, str]]
    pipeline_root: str = PIPELINE_ROOT
    s3_endpoint: str = ""
    at_once: int = 1
    retries: int | None = None


def run_local(options: RunLocalOptions) -> int:
    """Runs, shows, and returns the exit code."""
    workdir = Workdir.at(options.workdir)
    console = screen.console_on(sys.stdout)
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        workdir.make(workdir.root, workdir.serving.parent, workdir.report, workdir.logs)
        with locked(workdir):
            return _run_locked(options, workdir, console)
    except (*WRONG_CALLS, data.DataError, OSError) as error:
        _say(console, f"[red]{escape(str(error))}[/]")
        return WRONG_CALL if isinstance(error, WRONG_CALLS) else FAILED
    except KeyboardInterrupt:
        _say(console, "Stopped. The next run goes on from what is done.")
        return STOPPED
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_locked(options: RunLocalOptions, workdir: Workdir, console: Console) -> int:
    begun = time.monotonic()
    found = read_upload(_file(options, workdir, console), _version()).pipeline
    models = options.models if options.file else None
    values = {
        **{name: defined.get("defaultValue") for name, defined in found.parameters.items()},
        PUSH_DESTINATION.name: str(workdir.serving),
        STATE_DIR.name: str(workdir.state),
        **values_of(options.assignments, models, found.parameters),
    }
    values = _with_digest(values)
    run = driver.Run(uuid.uuid4().hex, options.pipeline_root, values)
    logs = workdir.logs / f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    logs.mkdir()
    shown = screen.Screen(console)
    kept = _place(options, workdir, logs)
    try:
        with shown.listening():
            done = execute(found, run, kept, shown.on_node, _relay(shown, console))
    except NodeFailed as error:
        _say(console, f"[red]{escape(str(error))}[/]")
        _say(console, conclusion.after_failure(shown.done))
        return FAILED
    shutil.rmtree(workdir.state, ignore_errors=True)  # nothing goes on from there any more
    whole = _report(workdir, found, done, kept.bucket, shown.seconds, begun)
    place = values[PUSH_DESTINATION.name]
    elsewhere = "" if place == str(workdir.serving) else place
    return conclusion.show(console, workdir, whole, logs, elsewhere)


def _with_digest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values with the digest of data on this machine, by which the cache knows it."""
    place, digest = DATA.name, DATA_SHA256.name
    if digest not in values or values[digest] or not values[place]:
        return dict(values)
    return {**values, digest: data.summarize(values[place]).sha256}


def _file(options: RunLocalOptions, workdir: Workdir, console: Console) -> pathlib.Path:
    """Returns the compiled pipeline; compiles it, in a process of its own, where none is given."""
    if options.file:
        return options.file
    file = workdir.root / "pipeline.yaml"
    command = [sys.executable, "-m", "pipeline", "kubeflow", "compile", "--output", str(file)]
    command += ["--profile", options.profile, "--gpus", "0"]
    for name in ("models", "precision"):
        if getattr(options, name):
            command += [f"--{name}", getattr(options, name)]
    command += ["--", *options.beam_args]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise WrongCall((done.stdout + done.stderr).strip())
    _say(console, f"compiled {file}")
    return file


def _place(options: RunLocalOptions, workdir: Workdir, logs: pathlib.Path) -> Place:
    bucket = (
        buckets.S3Bucket(options.s3_endpoint)
        if options.s3_endpoint
        else buckets.FolderBucket(workdir.root / "bucket")
    )
    executions = Executions(workdir.root / "executions.json")
    pods = workdir.root / "pods"
    return Place(bucket, executions, pods, logs, options.at_once, options.retries)


def _report(
    workdir: Workdir,
    found: Compiled,
    done: Mapping[str, Execution],
    bucket: buckets.Bucket,
    seconds: Mapping[str, float],
    begun: float,
) -> dict[str, Any]:
    """Writes comparison and report as a local run does, from what lies in the bucket."""
    examples = done["MnistExampleGen"].outputs["examples"].metadata
    facts = {
        "profile": found.profile,
        "data": {
            "sha256": examples["input_fingerprint"],
            **{name: int(examples[f"{name}_images"]) for name in ("train", "eval", "test")},
        },
        "node_seconds": dict(seconds),
        "total_seconds": round(time.monotonic() - begun, 1),
    }
    pushed = done["VersionPusher"].outputs["pushed_model"].metadata.get("pushed_version")
    with tempfile.TemporaryDirectory() as folder:
        selected, report = pathlib.Path(folder, "selected"), pathlib.Path(folder, "report")
        bucket.download(done["ModelSelector"].outputs["comparison"].uri, selected)
        bucket.download(done["Report"].outputs["report"].uri, report)
        return results.write_results(workdir, facts, results.Found(selected, pushed, report))


def _relay(shown: screen.Screen, console: Console) -> Any:
    """Returns what shows a task's lines that the user wants to see."""

    def relay(line: str) -> None:
        _, mark, words = line.partition(PROGRESS)
        if mark:
            shown.show_progress(words.strip(), worth_a_line=False)
        elif line.endswith("attempts\n") or line.endswith("runs again\n"):
            _say(console, f"[yellow]{escape(line.strip())}[/]")

    return relay


def _stop(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version(layout.PROJECT)


def _say(console: Console, words: str) -> None:
    console.print(words, soft_wrap=True, highlight=False)
