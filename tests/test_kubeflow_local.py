"""A compiled pipeline without a cluster: driver, launcher, cache, faults; small real processes."""

import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import yaml

from pipeline.events import NodeEvent, NodeFailed
from pipeline.kubeflow.compiled import Compiled, NotCompiled, read
from pipeline.kubeflow.local import driver, launcher
from pipeline.kubeflow.local.buckets import Bucket, BucketError, FolderBucket, S3Bucket
from pipeline.kubeflow.local.executions import Execution, Executions, Unrecordable
from pipeline.kubeflow.local.run import Place, execute

VERSION = "0.0.1"
ROOT_URI = "minio://bucket/root"
MAKE = """
import json, pathlib, sys
given, folder, word = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
print("making", word)
(folder / "deep").mkdir(parents=True)
(folder / "deep" / "word").write_text(word)
output = given["outputs"]
uri = output["artifacts"]["made"]["artifacts"][0]["uri"]
told = {"artifacts": {"made": {"artifacts": [{"uri": uri, "metadata": {"length": len(word)}}]}}}
pathlib.Path(output["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
pathlib.Path(output["outputFile"]).write_text(json.dumps(told))
"""
USE = """
import json, pathlib, sys
given, source, target = json.loads(sys.argv[1]), *map(pathlib.Path, sys.argv[2:4])
word = (source / "deep" / "word").read_text()
(artifact,) = given["inputs"]["artifacts"]["made"]["artifacts"]
assert artifact["type"] == {"instanceSchema": ""} and artifact["metadata"] == {"length": len(word)}
assert target.parent.is_dir() and not target.exists()
target.mkdir()
(target / "twice").write_text(word * int(sys.argv[4]))
"""
ARTIFACT = {"artifactType": {"instanceSchema": "title: tfx.Examples\n"}}


def task(name: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "taskInfo": {"name": name},
        "componentRef": {"name": name},
        "cachingOptions": {"enableCache": True},
        "inputs": {"parameters": parameters, "artifacts": more.pop("artifacts", {})},
        **more,
    }


def component(name: str, outputs: str, parameters: dict[str, str]) -> dict[str, Any]:
    kinds = {key: {"parameterType": kind} for key, kind in parameters.items()}
    return {
        "executorLabel": f"{name}_executor",
        "inputDefinitions": {"parameters": kinds},
        "outputDefinitions": {"artifacts": {outputs: ARTIFACT}},
    }


def container(script: str, *arguments: str) -> dict[str, Any]:
    command = ["python", "-c", script]
    return {"container": {"image": "image:1", "command": command, "args": list(arguments)}}


def two_tasks() -> dict[str, Any]:
    """`use`, named before `make`, takes what `make` makes and a number."""
    source = {"producerTask": "make", "outputArtifactKey": "made"}
    return {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "two", "description": f"mnist-tfx {VERSION}, profile smoke"},
        "root": {
            "inputDefinitions": {
                "parameters": {
                    "word": {"parameterType": "STRING", "defaultValue": "ab"},
                    "times": {"parameterType": "NUMBER_INTEGER", "defaultValue": 2},
                }
            },
            "dag": {
                "tasks": {
                    "a-use": task(
                        "a-use",
                        {"times": {"componentInputParameter": "times"}},
                        artifacts={"made": {"taskOutputArtifact": source}},
                        dependentTasks=["make"],
                    ),
                    "make": task(
                        "make",
                        {"word": {"componentInputParameter": "word"}},
                        retryPolicy={"maxRetryCount": 1, "backoffDuration": "0s"},
                    ),
                }
            },
        },
        "components": {
            "make": component("make", "made", {"word": "STRING"}),
            "a-use": component("a-use", "used", {"times": "NUMBER_INTEGER"}),
        },
        "deploymentSpec": {
            "executors": {
                "make_executor": container(
                    MAKE,
                    "{{$}}",
                    "{{$.outputs.artifacts['made'].path}}",
                    "{{$.inputs.parameters['word']}}",
                ),
                "a-use_executor": container(
                    USE,
                    "{{$}}",
                    "{{$.inputs.artifacts['made'].path}}",
                    "{{$.outputs.artifacts['used'].path}}",
                    "{{$.inputs.parameters['times']}}",
                ),
            }
        },
    }


class Local:
    """Runs a pipeline in a folder and remembers what was told."""

    def __init__(self, folder: pathlib.Path, bucket: Bucket | None = None) -> None:
        self.folder = folder
        self.bucket = bucket or FolderBucket(folder / "bucket")
        self.root = ROOT_URI
        self.at_once = 1
        self.events: list[NodeEvent] = []
        self.lines: list[str] = []

    def run(self, spec: dict[str, Any], retries: int | None = None, **values: Any) -> Any:
        compiled = Compiled(spec, {})
        (self.folder / "logs").mkdir(exist_ok=True)
        place = Place(
            self.bucket,
            Executions(self.folder / "executions.json"),
            self.folder / "pods",
            self.folder / "logs",
            self.at_once,
            retries,
        )
        self.events.clear()
        defaults = {name: p["defaultValue"] for name, p in compiled.parameters.items()}
        run = driver.Run("run1", self.root, defaults | values)
        return execute(compiled, run, place, self.events.append, self.lines.append)

    @property
    def states(self) -> dict[str, str]:
        return {e.node: e.state for e in self.events}

    def text(self, execution: Execution, key: str, file: str) -> str:
        target = self.folder / "downloaded"
        shutil.rmtree(target, ignore_errors=True)
        self.bucket.download(execution.outputs[key].uri, target)
        return (target / file).read_text()


@pytest.fixture
def local(tmp_path: pathlib.Path) -> Local:
    return Local(tmp_path)


def test_a_task_runs_after_what_it_depends_on(local: Local) -> None:
    done = local.run(two_tasks())
    assert [*done] == ["make", "a-use"]
    assert local.text(done["a-use"], "used", "twice") == "abab"
    assert local.states == {"make": "done", "a-use": "done"}


MEET = """
import pathlib, sys, time
here, there = map(pathlib.Path, sys.argv[1:])
here.touch()
end = time.monotonic() + 20
while not there.exists():
    assert time.monotonic() < end, "the other one does not run"
    time.sleep(0.01)
"""


def test_tasks_that_do_not_need_each_other_run_at_the_same_time(local: Local) -> None:
    spec = two_tasks()
    marks = [str(local.folder / name) for name in ("one", "other")]
    executors = spec["deploymentSpec"]["executors"]
    executors["make_executor"] = container(MEET, *marks)
    executors["a-use_executor"] = container(MEET, *reversed(marks))
    use = spec["root"]["dag"]["tasks"]["a-use"]
    use["dependentTasks"], use["inputs"]["artifacts"] = [], {}
    local.at_once = 2
    assert sorted(local.run(spec, retries=0)) == ["a-use", "make"]
    assert [event.state for event in local.events] == ["running", "running", "done", "done"]


def test_places_are_as_the_driver_makes_them(local: Local) -> None:
    artifact = local.run(two_tasks())["make"].outputs["made"]
    begin, salt, key = artifact.uri.rsplit("/", 2)
    assert (begin, len(salt), key) == (f"{ROOT_URI}/two/run1/make", 32, "made")
    assert artifact.metadata == {"length": 2}
    assert artifact.files == 1


def test_local_copies_are_gone_afterwards(local: Local) -> None:
    local.run(two_tasks())
    assert list((local.folder / "pods").iterdir()) == []


def test_what_a_task_says_is_told_and_logged(local: Local) -> None:
    local.run(two_tasks())
    assert local.lines == ["making ab\n"]
    assert (local.folder / "logs" / "make.log").read_text() == "making ab\n"


def test_a_second_run_finds_everything_in_the_cache(local: Local) -> None:
    first = local.run(two_tasks())
    assert local.run(two_tasks()) == first
    assert local.states == {"make": "cached", "a-use": "cached"}


def test_a_parameter_runs_again_what_depends_on_it_alone(local: Local) -> None:
    local.run(two_tasks())
    done = local.run(two_tasks(), times=3)
    assert local.states == {"make": "cached", "a-use": "done"}
    assert local.text(done["a-use"], "used", "twice") == "ababab"


def change_image(spec: dict[str, Any]) -> None:
    spec["deploymentSpec"]["executors"]["a-use_executor"]["container"]["image"] = "image:2"


def switch_cache_off(spec: dict[str, Any]) -> None:
    spec["root"]["dag"]["tasks"]["a-use"]["cachingOptions"] = {}


@pytest.mark.parametrize("change", [change_image, switch_cache_off])
def test_what_is_not_the_same_task_is_not_in_the_cache(
    local: Local, change: Callable[[dict[str, Any]], None]
) -> None:
    local.run(two_tasks())
    spec = two_tasks()
    change(spec)
    local.run(spec)
    assert local.states == {"make": "cached", "a-use": "done"}


def test_a_cached_artifact_that_is_gone_is_made_again(local: Local) -> None:
    first = local.run(two_tasks())
    shutil.rmtree(local.folder / "bucket")
    done = local.run(two_tasks())
    assert local.states == {"make": "done", "a-use": "done"}
    assert done["make"].outputs["made"].uri != first["make"].outputs["made"].uri
    assert any("is gone from the bucket, so the task runs again" in line for line in local.lines)


def test_an_input_that_is_gone_in_the_middle_of_a_run_is_named(local: Local) -> None:
    class Forgetful(FolderBucket):
        def upload(self, folder: pathlib.Path, uri: str) -> int:
            files = super().upload(folder, uri)
            shutil.rmtree(local.folder / "bucket")
            return files

    local.bucket = Forgetful(local.folder / "bucket")
    with pytest.raises(
        NodeFailed, match=r"a-use failed: expected 1 files of make at minio://.*; 0"
    ):
        local.run(two_tasks())


def test_a_full_bucket_is_named_and_what_is_done_is_kept(local: Local) -> None:
    class Full(FolderBucket):
        def upload(self, folder: pathlib.Path, uri: str) -> int:
            if "a-use" in uri:
                raise BucketError(f"uploading to {uri} failed after 0 files: No space left")
            return super().upload(folder, uri)

    local.bucket = Full(local.folder / "bucket")
    with pytest.raises(NodeFailed, match=r"a-use failed: uploading .* No space left"):
        local.run(two_tasks())
    local.bucket = FolderBucket(local.folder / "bucket")
    local.run(two_tasks())
    assert local.states == {"make": "cached", "a-use": "done"}


def test_a_bucket_that_cannot_be_written_says_so(tmp_path: pathlib.Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("x")
    (tmp_path / "bucket").write_text("no folder")
    with pytest.raises(BucketError, match=r"uploading to minio://b/k failed after 0 files"):
        FolderBucket(tmp_path / "bucket").upload(tmp_path / "source", "minio://b/k")


def make_with(script: str) -> dict[str, Any]:
    spec = two_tasks()
    spec["deploymentSpec"]["executors"]["make_executor"]["container"]["command"][2] = script
    return spec


def killed_unless(file: pathlib.Path) -> str:
    """A script that is killed the first time, and then works."""
    return (
        f"import os, pathlib\nmark = pathlib.Path({str(file)!r})\n"
        "if not mark.exists():\n"
        "    mark.touch(); os.kill(os.getpid(), 9)\n" + MAKE
    )


def test_a_task_that_was_killed_is_tried_again(local: Local) -> None:
    done = local.run(make_with(killed_unless(local.folder / "mark")))
    assert local.text(done["make"], "made", "deep/word") == "ab"
    assert any("it was ended by SIGKILL" in line and "1 more" in line for line in local.lines)


def test_without_retries_a_task_that_was_killed_ends_the_run(local: Local) -> None:
    with pytest.raises(NodeFailed, match="make failed: it was ended by SIGKILL"):
        local.run(make_with(killed_unless(local.folder / "mark")), retries=0)
    assert local.states == {"make": "failed"}


def test_a_task_that_fails_says_its_last_words(local: Local) -> None:
    with pytest.raises(NodeFailed, match=r"make failed: no digits here; its log: .*make\.log"):
        local.run(make_with("import sys; sys.exit('no digits here')"), retries=0)


def test_a_command_that_is_not_there_is_named(local: Local) -> None:
    spec = two_tasks()
    spec["deploymentSpec"]["executors"]["make_executor"]["container"]["command"] = ["nothing-here"]
    with pytest.raises(NodeFailed, match="expected the container's command 'nothing-here'"):
        local.run(spec, retries=0)


def test_metadata_of_null_is_refused_as_the_backend_does(local: Local) -> None:
    with pytest.raises(NodeFailed, match="got None for make: length"):
        local.run(make_with(MAKE.replace("len(word)", "None")), retries=0)


def test_lists_and_truths_come_back_as_ml_metadata_keeps_them(tmp_path: pathlib.Path) -> None:
    made = {"uri": "minio://b/k", "metadata": {"a": True, "b": [1], "c": {"d": 1}}, "files": 0}
    kept = Executions(tmp_path / "executions.json").record("make", "", {"made": made})
    assert kept.outputs["made"].metadata == {"a": 1, "b": {"list": [1]}, "c": {"struct": {"d": 1}}}


def test_metadata_of_an_unknown_type_is_refused(tmp_path: pathlib.Path) -> None:
    made = {"uri": "minio://b/k", "metadata": {"a": None}, "files": 0}
    with pytest.raises(Unrecordable, match="got None for make: a"):
        Executions(tmp_path / "executions.json").record("make", "", {"made": made})


def test_a_value_of_another_type_is_refused_as_the_driver_does(local: Local) -> None:
    compiled = Compiled(two_tasks(), {})
    run = driver.Run("r", ROOT_URI, {"word": "x", "times": "three"})
    done = local.run(two_tasks())
    with pytest.raises(driver.Unresolved, match="expected NUMBER_INTEGER for a-use: times"):
        driver.resolve_inputs(compiled, "a-use", run, done)


def test_a_placeholder_is_filled_wherever_it_is() -> None:
    given = {
        "inputs": {"parameterValues": {"n": 3, "on": True, "w": "x"}, "artifacts": {}},
        "outputs": {"artifacts": {"o": {"artifacts": [{"uri": "s3://b/o"}]}}},
    }
    places = launcher.placeholders(given, pathlib.Path("/pod"))
    word = "-{{$.inputs.parameters['n']}}-{{$.inputs.parameters['on']}}-"
    assert launcher.fill(word, places) == "-3-true-"
    assert launcher.fill("{{$.outputs.artifacts['o'].uri}}", places) == "s3://b/o"
    assert launcher.fill("{{$.outputs.artifacts['o'].path}}", places) == "/pod/s3/b/o"
    assert json.loads(launcher.fill("{{$}}", places)) == given


def written(folder: pathlib.Path, text: str) -> pathlib.Path:
    file = folder / "compiled.yaml"
    file.write_text(text)
    return file


def test_a_compiled_file_is_read_with_its_platform(tmp_path: pathlib.Path) -> None:
    mounts = {"make_executor": {"pvcMount": [{"constant": "claim"}]}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": mounts}}}}
    file = written(tmp_path, yaml.safe_dump_all([two_tasks(), platform]))
    compiled = read(file, VERSION)
    assert [*compiled.tasks] == ["make", "a-use"]
    assert compiled.claims(compiled.tasks["make"]) == ["claim"]
    assert compiled.claims(compiled.tasks["a-use"]) == []
    assert (compiled.name, compiled.profile) == ("two", "smoke")


WITHOUT_EXECUTORS = {**two_tasks(), "deploymentSpec": {"executors": {}}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "expected YAML in .*compiled.yaml; got"),
        ("", "got 0 YAML documents"),
        ("just words", "expected a pipeline spec"),
        ("schemaVersion: 2.0.0", "expected a pipeline spec of schemaVersion 2.1.0 .* got 2.0.0"),
        (yaml.safe_dump(two_tasks())[:900], "expected"),
        (yaml.safe_dump(WITHOUT_EXECUTORS), "expected whole tasks .* 'make_executor' is missing"),
    ],
)
def test_what_is_no_compiled_pipeline_is_refused_in_words(
    tmp_path: pathlib.Path, text: str, words: str
) -> None:
    with pytest.raises(NotCompiled, match=words):
        read(written(tmp_path, text), VERSION)


def test_another_versions_file_and_a_missing_one_are_refused(tmp_path: pathlib.Path) -> None:
    file = written(tmp_path, yaml.safe_dump(two_tasks()))
    with pytest.raises(
        NotCompiled, match=r"that mnist-tfx 9\.9 compiled; .* is of mnist-tfx 0\.0\.1"
    ):
        read(file, "9.9")
    with pytest.raises(NotCompiled, match="there is none"):
        read(tmp_path / "nothing.yaml", VERSION)


SLOW_TASK = """
import pathlib, signal, sys, time
mark = pathlib.Path(sys.argv[3])
signal.signal(signal.SIGTERM, lambda *_: (mark.with_suffix(".stopped").touch(), sys.exit(1)))
mark.touch()
time.sleep(60)
"""
RUN = """
import pathlib, signal, sys
sys.path[:0] = [sys.argv[1]]
from test_kubeflow_local import Local, SLOW_TASK, make_with
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
folder = pathlib.Path(sys.argv[2])
Local(folder).run(make_with(SLOW_TASK), retries=0, word=str(folder / "mark"))
"""


@pytest.mark.parametrize(("number", "gently"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_a_task_ends_with_the_run(tmp_path: pathlib.Path, number: int, gently: bool) -> None:
    here = pathlib.Path(__file__).parent
    command = [sys.executable, "-c", RUN, str(here), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_until((tmp_path / "mark").exists)
        (child,) = children_of(process.pid)
        process.send_signal(number)
        process.wait(20)
    wait_until(lambda: not pathlib.Path(f"/proc/{child}").exists())
    assert (tmp_path / "mark.stopped").exists() == gently


def children_of(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children()]


def wait_until(is_true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_run_over_a_real_s3_server(tmp_path: pathlib.Path, s3_server: str) -> None:
    local = Local(tmp_path, S3Bucket(s3_server))
    local.root = "s3://bucket/root"
    done = local.run(two_tasks())
    assert local.text(done["a-use"], "used", "twice") == "abab"
    local.run(two_tasks())
    assert local.states == {"make": "cached", "a-use": "cached"}


def test_a_bucket_that_the_server_lacks_is_named(tmp_path: pathlib.Path, s3_server: str) -> None:
    local = Local(tmp_path, S3Bucket(s3_server))
    local.root = "s3://missing/root"
    with pytest.raises(NodeFailed, match=rf"uploading to s3://missing/.* at {s3_server} failed"):
        local.run(two_tasks(), retries=0)


def test_a_server_that_is_not_there_is_named(tmp_path: pathlib.Path, s3_server: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BucketError, match=f"at {url} failed"):
        S3Bucket(url).count("s3://bucket/key")
