"""`mnist-tfx kubeflow submit` against a server that holds each request to KFP's published API.

That API is read from `kfp_server_api`, which KFP generates from it: paths, query parameters, and
the fields and types of bodies. What is not in there is refused, in requests and in answers.
"""

import copy
import datetime
import email.parser
import email.policy
import functools
import importlib.metadata
import inspect
import ipaddress
import json
import logging
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kfp_server_api
import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline.kubeflow import layout, submit_server, submit_wait
from pipeline.kubeflow.submit_command import submit

ROOT = Path(__file__).resolve().parents[1]
CHECKED_IN = ROOT / layout.COMPILED
VERSION = importlib.metadata.version("mnist-tfx")
TOKEN = "s3cret.Token-of_nobody"
SHA256 = "0123456789abcdef" * 4
NEXT_TO_NOTHING = 0.01  # seconds between two looks at a run


def definition(kind: str, default: Any) -> dict[str, Any]:
    return {"parameterType": kind, "defaultValue": default, "isOptional": True}


TASKS = ("MnistExampleGen", "Trainer")
PLACES = {"MnistExampleGen": "data", "Trainer": "push_destination"}


def task(name: str) -> dict[str, Any]:
    return {
        "taskInfo": {"name": name},
        "componentRef": {"name": name},
        "cachingOptions": {"enableCache": True},
        "inputs": {"parameters": {"place": {"componentInputParameter": PLACES[name]}}},
    }


SPEC: dict[str, Any] = {
    "pipelineInfo": {
        "name": "mnist",
        "description": f"mnist-tfx {VERSION}, profile gpu, image mnist-tfx:{VERSION}",
    },
    "schemaVersion": "2.1.0",
    "sdkVersion": "tfx-1.21.0",
    "components": {name: {"executorLabel": f"{name}_executor"} for name in TASKS},
    "deploymentSpec": {
        "executors": {f"{n}_executor": {"container": {"image": "mnist-tfx"}} for n in TASKS}
    },
    "root": {
        "dag": {"tasks": {name: task(name) for name in TASKS}},
        "inputDefinitions": {
            "parameters": {
                "data": definition("STRING", ""),
                "data_sha256": definition("STRING", ""),
                "images": definition("NUMBER_INTEGER", 0),
                "epochs": definition("NUMBER_INTEGER", 0),
                "trials": definition("NUMBER_INTEGER", 0),
                "push_destination": definition("STRING", "/mnt/mnist-tfx/serving/mnist"),
                "train_sequential": definition("BOOLEAN", True),
                "train_alexnet_book": definition("BOOLEAN", True),
            }
        },
    },
}
MOUNT = {"constant": "mnist-tfx", "mountPath": "/mnt/mnist-tfx"}
PLATFORM = {
    "platforms": {
        "kubernetes": {
            "deploymentSpec": {
                "executors": {f"{n}_executor": {"pvcMount": [{**MOUNT}]} for n in TASKS}
            }
        }
    }
}


# KFP's published API


@dataclass(frozen=True)
class Operation:
    """One call of the API; `body` and `answer` are names of models."""

    method: str
    path: re.Pattern[str]
    query: frozenset[str]
    body: str | None
    answer: str
    upload: bool


def operation(source: str) -> Operation | None:
    found = re.search(r"'(/apis/[^']+)', '(\w+)'", source)
    answer = re.search(r"response_type='(\w+)'", source)
    if not found or not answer:
        return None
    parts = re.split(r"\{[\w.]+\}", found[1])
    body = re.search(r"body_params = local_var_params\['(\w+)'\]", source)
    kind = re.search(rf":type {body[1]}: (\w+)", source) if body else None
    return Operation(
        found[2],
        re.compile("[^/:]+".join(map(re.escape, parts))),
        frozenset(re.findall(r"query_params\.append\(\('(\w+)'", source)),
        kind[1] if kind else None,
        answer[1],
        "local_var_files['uploadfile']" in source,
    )


@functools.cache
def published() -> list[Operation]:
    """Returns the API's calls, from the source of the client that is generated from it."""
    services = [c for n, c in vars(kfp_server_api).items() if n.endswith("ServiceApi")]
    calls = [f for s in services for n, f in vars(s).items() if n.endswith("_with_http_info")]
    found = [operation(inspect.getsource(call)) for call in calls]
    return [each for each in found if each]


def conforms(value: Any, kind: str, where: str = "") -> None:
    """Raises AssertionError where a value is not what the API has."""
    if several := re.fullmatch(r"list\[(.+)\]", kind):
        assert isinstance(value, list), f"{where}: {value!r} is no list"
        for each in value:
            conforms(each, several[1], where)
    elif mapped := re.fullmatch(r"dict\(str, (.+)\)", kind):
        assert isinstance(value, dict), f"{where}: {value!r} is no object"
        for name, each in value.items():
            conforms(each, mapped[1], f"{where}.{name}")
    elif kind in ("str", "int", "bool", "object", "datetime"):
        types = {"str": str, "int": int, "bool": bool, "object": object, "datetime": str}
        assert type(value) is types[kind] or kind == "object", f"{where}: {value!r} is no {kind}"
    else:
        conforms_to_model(value, getattr(kfp_server_api, kind), where)


def conforms_to_model(value: Any, model: Any, where: str) -> None:
    if allowed := getattr(model, "allowable_values", None):
        assert value in allowed, f"{where}: {value!r} is none of {allowed}"
        return
    kinds = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    assert isinstance(value, dict), f"{where}: {value!r} is no {model.__name__}"
    for name, each in value.items():
        assert name in kinds, f"{where}: {model.__name__} has no {name}"
        conforms(each, kinds[name], f"{where}.{name}")


# A server of it


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str | None


@dataclass
class Fault:
    """What is answered instead, to requests whose method and path match, so many times."""

    pattern: str
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1_000


class Kfp(ThreadingHTTPServer):
    """Keeps pipelines, versions, experiments and runs; a run goes through `states`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.operations = published()
        self.scheme = "http"
        self.requests: list[Request] = []
        self.problems: list[str] = []
        self.faults: list[Fault] = []
        self.multi_user = False
        self.pipelines: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.uploads: list[str] = []
        self.states = ["PENDING", "RUNNING", "SUCCEEDED"]
        self.at_the_end: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def sent(self, method: str, path: str) -> list[Request]:
        """Returns the requests of that method, and of a path with this end."""
        return [r for r in self.requests if r.method == method and r.path.endswith(path)]

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the run that was made last."""
        return self.runs[-1]["runtime_config"]["parameters"]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no news; all else is."""
        if not isinstance(sys.exception(), ConnectionError):
            self.problems.append(repr(sys.exception()))

    def answer(self, request: Request) -> dict[str, Any]:
        parts = request.path.removeprefix("/apis/v2beta1/").split("/")
        if parts == ["healthz"]:
            return {"multi_user": self.multi_user}
        if request.method == "GET" and parts[0] == "runs":
            return self.run_of(parts[1])
        if request.method == "GET" and parts[-1] == "versions":
            versions = [each for each in self.versions if each["pipeline_id"] == parts[1]]
            return {"pipeline_versions": list(self.filtered(versions, request))}
        if request.method == "GET":
            rows = {"pipelines": self.pipelines, "experiments": self.experiments}[parts[0]]
            return {parts[0]: list(self.filtered(rows, request))}
        return self.made(parts, request)

    def filtered(self, rows: list[dict[str, Any]], request: Request) -> Iterator[dict[str, Any]]:
        asked = json.loads(urllib.parse.unquote_plus(request.query["filter"]))
        conforms(asked, "V2beta1Filter", "filter")
        (predicate,) = asked["predicates"]
        assert predicate["operation"] == "EQUALS"
        for row in rows:
            same_place = row.get("namespace") == request.query.get("namespace")
            if row[predicate["key"]] == predicate["string_value"] and same_place:
                yield row

    def made(self, parts: list[str], request: Request) -> dict[str, Any]:
        if parts == ["pipelines", "upload_version"]:
            name, pipeline = request.query["name"], request.query["pipelineid"]
            assert pipeline in [each["pipeline_id"] for each in self.pipelines]
            self.uploads.append(request.body)
            row = {"pipeline_id": pipeline, "display_name": name, "name": name}
            return self.added(self.versions, "pipeline_version_id", row)
        rows, identity = {
            "pipelines": (self.pipelines, "pipeline_id"),
            "experiments": (self.experiments, "experiment_id"),
            "runs": (self.runs, "run_id"),
        }[parts[0]]
        if parts[0] == "runs":
            assert request.body["experiment_id"] in [e["experiment_id"] for e in self.experiments]
            wanted = request.body["pipeline_version_reference"].items()
            assert any(wanted <= version.items() for version in self.versions)
        return self.added(rows, identity, request.body)

    def added(self, rows: list[dict[str, Any]], identity: str, row: Any) -> dict[str, Any]:
        rows.append({**row, identity: f"{identity}-{len(rows) + 1}"})
        return rows[-1]

    def run_of(self, run: str) -> dict[str, Any]:
        (found,) = [each for each in self.runs if each["run_id"] == run]
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {**found, "state": state, **(self.at_the_end if len(self.states) == 1 else {})}


class Handler(BaseHTTPRequestHandler):
    server: Kfp

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = dict(
            urllib.parse.parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
            if url.query
            else ()
        )
        token = self.headers.get("Authorization")
        request = Request(self.command, url.path, query, content, token)
        self.server.requests.append(request)
        for fault in self.server.faults:
            if fault.times and re.search(fault.pattern, f"{self.command} {url.path}"):
                fault.times -= 1
                self.reply(fault.status, fault.body, fault.headers)
                return
        try:
            answer = json.dumps(self.checked(request, content)).encode()
        except Exception as error:
            self.server.problems.append(f"{self.command} {self.path}: {error!r}")
            self.reply(400, b"{}")
        else:
            self.reply(200, answer)

    do_POST = do_GET  # noqa: N815

    def checked(self, request: Request, content: bytes) -> dict[str, Any]:
        """Holds a request to the API, answers, and holds the answer to it too."""
        fitting = [
            each
            for each in self.server.operations
            if each.method == request.method and each.path.fullmatch(request.path)
        ]
        fitting = [e for e in fitting if e.upload == ("multipart" in self.headers["Content-Type"])]
        assert len(fitting) == 1, f"{len(fitting)} operations"
        unknown = set(request.query) - fitting[0].query
        assert not unknown, f"the query has {unknown}"
        if fitting[0].upload:
            request.body = uploaded(self.headers["Content-Type"], content)
        elif fitting[0].body:
            request.body = json.loads(content)
            conforms(request.body, fitting[0].body, "body")
        else:
            assert not content
        answer = self.server.answer(request)
        conforms(answer, fitting[0].answer, "answer")
        return answer

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


def uploaded(content_type: str, content: bytes) -> str:
    """Returns the file of a form, which is one that KFP reads: two YAML documents at most."""
    whole = f"Content-Type: {content_type}\r\n\r\n".encode() + content
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(whole)
    (part,) = form.iter_parts()
    assert part.get_param("name", header="Content-Disposition") == "uploadfile"
    assert (part.get_filename() or "").endswith(".yaml")
    text = part.get_payload(decode=True).decode()
    assert len(list(yaml.safe_load_all(text))) <= 2
    return str(text)


@pytest.fixture
def kfp() -> Iterator[Kfp]:
    with Kfp() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    assert server.problems == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "mnist.yaml")


def written(path: Path, spec: Any = SPEC, platform: Any = PLATFORM) -> Path:
    path.write_text("# Made by a compiler.\n" + yaml.safe_dump_all([spec, platform]))
    return path


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    spec = copy.deepcopy(SPEC)
    change(spec)
    return spec


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks at a run, and two tries, follow each other at once."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, NEXT_TO_NOTHING)))


@pytest.fixture(autouse=True)
def no_word_of_the_token(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield
    assert TOKEN not in caplog.text


def call(*arguments: object, token: str | None = None) -> Result:
    """Calls the command; what it prints, raises and logs never has the token."""
    environment = {"KF_PIPELINES_TOKEN": token, "KF_PIPELINES_ENDPOINT": None}
    result = CliRunner().invoke(submit, [str(each) for each in arguments], env=environment)
    assert TOKEN not in result.output + repr(result.exception)
    assert isinstance(result.exception, SystemExit | None), result.exc_info
    return result


def submitted(kfp: Kfp, file: Path, *arguments: object, token: str | None = None) -> Result:
    result = call(file, "--host", kfp.url, *arguments, token=token)
    assert result.exit_code == 0, result.output
    return result


# What is sent


def test_the_first_run_uploads_the_file_as_it_is_and_prints_the_runs_address(
    kfp: Kfp, file: Path
) -> None:
    done = submitted(kfp, file, "--run-name", "first")
    assert kfp.uploads == [file.read_text()]
    (pipeline,), (version,), (experiment,), (run,) = (
        *(kfp.pipelines, kfp.versions),
        *(kfp.experiments, kfp.runs),
    )
    assert pipeline["display_name"] == "mnist"
    assert re.fullmatch(rf"mnist-{re.escape(VERSION)}-[0-9a-f]{{12}}", version["display_name"])
    assert experiment["display_name"] == "mnist-tfx"
    assert run["display_name"] == "first"
    assert run["runtime_config"] == {"parameters": {}}
    assert done.output == (
        "pipeline:   mnist (new)\n"
        f"version:    {version['display_name']} (new)\n"
        "experiment: mnist-tfx (new)\n"
        f"run:        {kfp.url}/#/runs/details/run_id-1\n"
    )


def test_the_checked_in_pipeline_is_taken_and_is_what_kfps_own_messages_take(kfp: Kfp) -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    submitted(kfp, CHECKED_IN, "--no-cache", "--models", "sequential", "--images", "100")
    assert kfp.parameters["train_sequential"]
    assert not kfp.parameters["train_vgg16"]
    spec, platform = yaml.safe_load_all(kfp.uploads[0])
    parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    assert not any(task.caching_options.enable_cache for task in parsed.root.dag.tasks.values())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())


def test_a_second_run_uses_what_is_there(kfp: Kfp, file: Path) -> None:
    submitted(kfp, file)
    done = submitted(kfp, file)
    assert [len(each) for each in (kfp.pipelines, kfp.uploads, kfp.experiments)] == [1, 1, 1]
    assert len(kfp.runs) == 2
    assert done.output.count("(was there)") == 3


def test_the_address_that_a_browser_shows_may_be_given(kfp: Kfp, file: Path) -> None:
    done = call(file, "--host", f"{kfp.url}/?ns=a#/pipelines")
    assert done.exit_code == 0
    assert f"run:        {kfp.url}/#/runs/details/run_id-1\n" in done.output


def test_another_content_is_another_version(kfp: Kfp, file: Path) -> None:
    submitted(kfp, file)
    file.write_text(file.read_text() + "# another\n")
    submitted(kfp, file)
    assert [len(kfp.pipelines), len(kfp.uploads)] == [1, 2]
    assert len({version["display_name"] for version in kfp.versions}) == 2


def test_a_version_whose_upload_failed_is_uploaded_by_the_next_call(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("upload_version", 500, times=1)]
    assert call(file, "--host", kfp.url).exit_code == 1
    submitted(kfp, file)
    assert [len(kfp.pipelines), len(kfp.versions), len(kfp.runs)] == [1, 1, 1]


def test_options_become_parameters_of_the_files_types(kfp: Kfp, file: Path) -> None:
    numbers = ("--images", "1000", "--epochs", "2", "--trials", "0")
    texts = ("--data", "/mnt/x", "--data-sha256", SHA256, "-P", "push_destination=/mnt/a=b")
    submitted(kfp, file, *numbers, *texts)
    assert kfp.parameters == {
        "data": "/mnt/x",
        "data_sha256": SHA256,
        "images": 1000,
        "epochs": 2,
        "trials": 0,
        "push_destination": "/mnt/a=b",
    }


def test_every_type_of_kfp_is_read(kfp: Kfp, tmp_path: Path) -> None:
    kinds = {"d": "NUMBER_DOUBLE", "b": "BOOLEAN", "l": "LIST", "s": "STRUCT"}
    spec = changed(lambda s: s["root"]["inputDefinitions"].update(parameters={}))
    for name, kind in kinds.items():
        spec["root"]["inputDefinitions"]["parameters"][name] = {"parameterType": kind}
    file = written(tmp_path / "mnist.yaml", spec)
    submitted(kfp, file, "-P", "d=0.5", "-P", "b=True", "-P", "l=[1]", "-P", 's={"a": 1}')
    assert kfp.parameters == {"d": 0.5, "b": True, "l": [1], "s": {"a": 1}}


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ("alexnet-book", {"train_sequential": False, "train_alexnet_book": True}),
        ("sequential, alexnet-book", {"train_sequential": True, "train_alexnet_book": True}),
    ],
)
def test_models_set_a_flag_each(kfp: Kfp, file: Path, models: str, expected: Any) -> None:
    submitted(kfp, file, "--models", models)
    assert kfp.parameters == expected


def test_a_run_without_any_model_is_refused(kfp: Kfp, file: Path) -> None:
    flags = ("train_sequential", "train_alexnet_book")
    words = [part for flag in flags for part in ("-P", f"{flag}=false")]
    done = call(file, "--host", kfp.url, *words)
    assert done.exit_code == 2
    assert "expected at least one model to take part; got false for" in done.output
    assert kfp.runs == []


def caching(text: str) -> dict[str, bool]:
    spec = next(iter(yaml.safe_load_all(text)))
    tasks = spec["root"]["dag"]["tasks"]
    return {name: task["cachingOptions"]["enableCache"] for name, task in tasks.items()}


def test_data_without_a_digest_are_read_anew_and_the_user_is_told(kfp: Kfp, file: Path) -> None:
    done = submitted(kfp, file, "--data", "/mnt/x")
    assert caching(kfp.uploads[0]) == {"MnistExampleGen": False, "Trainer": True}
    assert list(yaml.safe_load_all(kfp.uploads[0]))[1] == PLATFORM
    assert done.output.startswith(
        "Caching is off for MnistExampleGen: what is at --data may change, and Kubeflow would not "
        "see it. --data-sha256 says which content it is.\n"
    )
    submitted(kfp, file, "--data", "/mnt/y")
    assert len(kfp.uploads) == 1


@pytest.mark.parametrize("options", [["--data", "/mnt/x", "--data-sha256", SHA256], ["--data", ""]])
def test_data_of_known_content_may_come_from_the_cache(
    kfp: Kfp, file: Path, options: list[str]
) -> None:
    done = submitted(kfp, file, *options)
    assert kfp.uploads == [file.read_text()]
    assert "Caching" not in done.output


def test_no_cache_is_for_every_task(kfp: Kfp, file: Path) -> None:
    submitted(kfp, file, "--no-cache")
    assert caching(kfp.uploads[0]) == {"MnistExampleGen": False, "Trainer": False}


def test_a_namespace_goes_with_everything_that_has_one(kfp: Kfp, file: Path) -> None:
    kfp.multi_user = True
    submitted(kfp, file, "--namespace", "team")
    submitted(kfp, file, "--namespace", "other")
    for rows in (kfp.pipelines, kfp.experiments):
        assert [row["namespace"] for row in rows] == ["team", "other"]


def test_kubeflow_with_users_asks_for_a_namespace(kfp: Kfp, file: Path) -> None:
    kfp.multi_user = True
    done = call(file, "--host", kfp.url)
    assert done.exit_code == 2
    assert done.output == f"expected --namespace: {kfp.url} has one for each user or team\n"
    assert kfp.pipelines == []


def test_an_experiment_of_an_odd_name_is_found_again(kfp: Kfp, file: Path) -> None:
    for _ in range(2):
        submitted(kfp, file, "--experiment", 'a+b 100% "ü" [red]')
    assert [row["display_name"] for row in kfp.experiments] == ['a+b 100% "ü" [red]']


def test_an_archived_experiment_is_said_to_be(kfp: Kfp, file: Path) -> None:
    submitted(kfp, file)
    kfp.experiments[0]["storage_state"] = "ARCHIVED"
    done = call(file, "--host", kfp.url)
    assert done.exit_code == 1
    assert "mnist-tfx is archived: restore it, or name another with --experiment" in done.output


# The token


def test_without_a_token_none_is_sent(kfp: Kfp, file: Path) -> None:
    submitted(kfp, file)
    assert {request.token for request in kfp.requests} == {None}


def test_the_token_of_the_environment_goes_with_every_request(kfp: Kfp, file: Path) -> None:
    submitted(kfp, file, "--wait", token=TOKEN)
    assert {request.token for request in kfp.requests} == {f"Bearer {TOKEN}"}


def test_the_token_of_a_file_has_precedence(kfp: Kfp, file: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    submitted(kfp, file, "--token-file", tmp_path / "token", token="another")
    assert {request.token for request in kfp.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("text", ["", f"{TOKEN}\n{TOKEN}", f"{TOKEN} x", f"{TOKEN}\u00e4"])
def test_what_is_no_token_is_a_wrong_call(file: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    done = call(file, "--token-file", tmp_path / "token")
    assert done.exit_code == 2
    assert done.output == (
        f"expected a token in the file {tmp_path / 'token'}: printable characters without a space\n"
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_said_to_come_from_where(kfp: Kfp, file: Path, status: int) -> None:
    said = json.dumps({"message": f"no user has\n Bearer {TOKEN}"}).encode()
    kfp.faults = [Fault("", status, said)]
    done = call(file, "--host", kfp.url, token=TOKEN)
    assert done.exit_code == 1
    assert done.output == (
        f"{kfp.url} refused with HTTP {status}: no user has Bearer ***; the token came from the "
        "environment variable KF_PIPELINES_TOKEN: is it for this cluster, not expired, and may it "
        "use this namespace?\n"
    )
    assert len(kfp.requests) == 1


def test_a_missing_token_is_said_to_be_missing(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("", 401, b"RBAC: access denied")]
    done = call(file, "--host", kfp.url)
    assert done.exit_code == 1
    assert done.output == (
        f"{kfp.url} refused with HTTP 401; there was no token: give one with --token-file or in "
        "KF_PIPELINES_TOKEN\n"
    )


def test_a_page_to_log_in_is_no_answer(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("", 302, headers={"Location": f"http://login.example/auth?state={TOKEN}"})]
    done = call(file, "--host", kfp.url, token=TOKEN)
    assert done.exit_code == 1
    assert f"{kfp.url} sends to http://login.example/auth, to log in perhaps; the" in done.output
    kfp.faults = [Fault("", 200, b"<html>", {"Content-Type": "text/html"})]
    done = call(file, "--host", kfp.url, token=TOKEN)
    assert done.exit_code == 1
    assert "something else than KFP's API, a page to log in perhaps; the token" in done.output
    assert kfp.runs == []


def test_a_token_that_goes_out_unencrypted_is_told(file: Path) -> None:
    done = call(file, "--host", "http://kfp.invalid", token=TOKEN)
    assert done.output.startswith("The token goes to http://kfp.invalid unencrypted: https would")


# Hosts that do not answer, or something else


def test_an_unreachable_host_is_named_after_a_few_tries(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        url = f"http://127.0.0.1:{closed.server_port}"
    begun = time.monotonic()
    done = call(file, "--host", url)
    assert time.monotonic() - begun < 5
    assert done.exit_code == 1
    assert done.output == (
        f"{url} does not answer ([Errno 111] Connection refused); is --host right and the server "
        "up? From outside of the cluster, is its port forwarded: kubectl port-forward -n kubeflow "
        "svc/ml-pipeline-ui 8080:80\n"
    )


def test_a_host_that_is_silent_is_given_up(
    kfp: Kfp, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit_server, "SECONDS_TO_ANSWER", 0.2)
    silent = threading.Event()
    monkeypatch.setattr(kfp, "answer", lambda request: {"multi_user": not silent.wait(10)})
    done = call(file, "--host", kfp.url)
    silent.set()
    assert done.exit_code == 1
    assert f"{kfp.url} does not answer (Read timed out. (read timeout=0.2))" in done.output


def test_a_run_that_may_have_been_started_is_told(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("POST .*/runs", 502)]
    done = call(file, "--host", kfp.url)
    assert done.exit_code == 1
    assert f"a run may have been started nevertheless: {kfp.url}/#/runs\n" in done.output
    assert len(kfp.sent("POST", "/runs")) == 1


def test_another_server_is_no_kfp(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("", 404)]
    done = call(file, "--host", f"{kfp.url}/")
    assert done.exit_code == 1
    assert done.output == (
        f"{kfp.url} knows no API v2beta1 (HTTP 404): is it the address of Kubeflow Pipelines 2.x, "
        "with its path where it has one?\n"
    )


def test_a_failing_server_is_asked_again_and_its_words_are_shown(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("GET", 503, times=2)]
    submitted(kfp, file)
    kfp.faults = [Fault("POST", 500, b'{"error_message": "database [red]down[/]"}')]
    done = call(file, "--host", kfp.url)
    assert done.exit_code == 1
    assert f"{kfp.url} failed with HTTP 500: database [red]down[/]; its log says" in done.output


def test_what_the_server_refuses_is_shown(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("POST", 400, b'{"error": "bad", "message": "no such thing"}')]
    done = call(file, "--host", kfp.url)
    assert done.exit_code == 1
    assert done.output == f"{kfp.url} refused with HTTP 400: no such thing\n"


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("localhost:8080", "'localhost:8080'"),
        ("http://", "'http://'"),
        ("http://[::1", "'http://[::1'"),
        (f"http://user:{TOKEN}@localhost", "one with a name and a password"),
    ],
)
def test_a_host_that_is_no_url_is_a_wrong_call(file: Path, host: str, shown: str) -> None:
    done = call(file, "--host", host)
    assert done.exit_code == 2
    assert done.output == (f"expected --host with a URL like http://localhost:8080; got {shown}\n")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Files with a certificate of 127.0.0.1 by itself, and with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kfp")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, form, secret))
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_tls_is_checked_against_the_given_ca(
    kfp: Kfp, file: Path, certificate: tuple[Path, Path]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    kfp.socket = context.wrap_socket(kfp.socket, server_side=True)
    kfp.scheme = "https"
    done = call(file, "--host", kfp.url, token=TOKEN)
    assert done.exit_code == 1
    assert f"no TLS connection to {kfp.url}: " in done.output
    assert done.output.endswith("; --ssl-ca-cert takes the certificate of its CA\n")
    assert kfp.requests == []
    submitted(kfp, file, "--ssl-ca-cert", certificate[0], token=TOKEN)


# Waiting


def test_waiting_shows_the_states_and_ends_well(kfp: Kfp, file: Path) -> None:
    done = submitted(kfp, file, "--wait")
    assert re.findall("[A-Z]{7,}", done.output) == ["PENDING", "RUNNING", "SUCCEEDED"]


def detail(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"display_name": name, "state": state, **more}


def test_a_failed_run_names_its_tasks_and_where_to_look(kfp: Kfp, file: Path) -> None:
    kfp.states = ["RUNNING", "FAILED"]
    details = [
        *(detail("root", "FAILED"), detail("MnistExampleGen", "SUCCEEDED")),
        *(detail("executor", "FAILED"), detail("Trainer-driver", "SUCCEEDED")),
        detail("Trainer", "FAILED", error={"code": 2, "message": "out of [red] memory"}),
    ]
    kfp.at_the_end = {
        "run_details": {"task_details": details},
        "error": {"code": 2, "message": "the run failed"},
    }
    done = call(file, "--host", kfp.url, "--wait", "--namespace", "team")
    assert done.exit_code == 1
    assert done.output.splitlines()[-4:] == [
        "failed:     Trainer: out of [red] memory",
        "failed:     the run failed",
        f"logs:       {kfp.url}/#/runs/details/run_id-1",
        "            kubectl logs -n team -l pipeline/runid=run_id-1 -c main --prefix --tail 40",
    ]


@pytest.mark.parametrize("state", ["CANCELED", "SKIPPED"])
def test_any_other_end_is_no_success(kfp: Kfp, file: Path, state: str) -> None:
    kfp.states = [state]
    done = call(file, "--host", kfp.url, "--wait")
    assert done.exit_code == 1
    assert f"s  {state}\n" in done.output
    assert "kubectl logs -n kubeflow -l pipeline/runid=run_id-1" in done.output


def test_a_failure_before_any_task_shows_what_kfp_lists(kfp: Kfp, file: Path) -> None:
    kfp.states = ["FAILED"]
    kfp.at_the_end = {"run_details": {"task_details": [detail("root-driver", "FAILED")]}}
    assert "failed:     root-driver\n" in call(file, "--host", kfp.url, "--wait").output


def test_a_run_that_takes_too_long_goes_on(kfp: Kfp, file: Path) -> None:
    kfp.states = ["RUNNING"]
    done = call(file, "--host", kfp.url, "--wait", "--timeout", "0.1")
    assert done.exit_code == 1
    assert done.output.endswith(
        "the run had not ended after 0.1 s (RUNNING); it goes on: "
        f"{kfp.url}/#/runs/details/run_id-1\n"
    )


def test_a_server_that_is_away_for_a_while_is_waited_for(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("GET .*/runs/", 503, times=7)]
    assert "SUCCEEDED" in submitted(kfp, file, "--wait").output


def test_a_server_that_stays_away_is_given_up(
    kfp: Kfp, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit_wait, "PATIENCE_SECONDS", 0.0)
    kfp.faults = [Fault("GET .*/runs/", 503)]
    done = call(file, "--host", kfp.url, "--wait")
    assert done.exit_code == 1
    assert done.output.endswith(f"; the run goes on: {kfp.url}/#/runs/details/run_id-1\n")


def test_a_token_that_expires_while_waiting_ends_that_alone(kfp: Kfp, file: Path) -> None:
    kfp.faults = [Fault("GET .*/runs/", 401)]
    done = call(file, "--host", kfp.url, "--wait", token=TOKEN)
    assert done.exit_code == 1
    assert "not expired" in done.output
    assert done.output.endswith(f"; the run goes on: {kfp.url}/#/runs/details/run_id-1\n")
    assert len(kfp.sent("GET", "/run_id-1")) == 1


def test_ctrl_c_ends_the_waiting_alone(
    kfp: Kfp, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", stop)
    done = call(file, "--host", kfp.url, "--wait")
    assert done.exit_code == 130
    assert done.output.endswith(
        f"Stopped waiting; the run goes on: {kfp.url}/#/runs/details/run_id-1\n"
    )


# Showing what would be sent


def test_a_dry_run_shows_the_request_and_sends_nothing(kfp: Kfp, file: Path) -> None:
    options = ("--models", "sequential", "--images", "10", "--data", "/mnt/x", "--run-name", "r")
    done = submitted(kfp, file, "--dry-run", *options, token=TOKEN)
    assert kfp.requests == []
    shown = yaml.safe_load(done.output)
    assert shown["token"] == "set, from the environment variable KF_PIPELINES_TOKEN"
    assert shown["caching_off"] == ["MnistExampleGen"]
    assert shown["platforms"] == ["kubernetes"]
    submitted(kfp, file, *options)
    body = shown["POST /apis/v2beta1/runs"]
    conforms(body, "V2beta1Run", "body")
    (sent,) = kfp.sent("POST", "/runs")
    assert sent.body["runtime_config"] == body["runtime_config"]
    assert {name for name in body if body[name] != sent.body[name]} == {
        "experiment_id",
        "pipeline_version_reference",
    }
    assert shown["version"] == kfp.versions[0]["display_name"]


def test_a_dry_run_of_the_checked_in_pipeline_needs_no_options() -> None:
    shown = yaml.safe_load(call("--dry-run").output)
    assert shown["host"] == "http://localhost:8080"
    assert shown["file"] == str(CHECKED_IN)
    assert shown["token"] == "none"


# Wrong calls


WRONG_VALUES = [
    (["-P", "nope=1"], "expected a parameter of the pipeline (data, data_sha256, epochs, images, "),
    (["-P", "images"], "expected -P with name=value; got 'images'"),
    (["-P", "=1"], "expected -P with name=value; got '=1'"),
    (
        ["--images", "ten"],
        "expected a whole number of 0 or more for the parameter images; got 'ten",
    ),
    (["--images", "-1"], "expected a whole number of 0 or more for the parameter images; got '-1'"),
    (["--epochs", "1.5"], "expected a whole number of 0 or more for the parameter epochs; got '1."),
    (["--trials", "9" * 16], "expected a whole number of 0 or more for the parameter trials; got"),
    (["-P", "train_sequential=1"], "expected true or false for the parameter train_sequential; g"),
    (["--data-sha256", "abc"], "expected 64 digits of 0-9 and a-f for data_sha256; got 'abc'"),
    (["--images", "1", "-P", "images=2"], "expected one value for the parameter images; it is gi"),
    (
        ["--models", "vgg16"],
        "expected --models with names of alexnet-book, sequential; got 'vgg16'",
    ),
    (["--models", ","], "expected --models with names of alexnet-book, sequential; got ','"),
]


@pytest.mark.parametrize(("options", "words"), WRONG_VALUES)
def test_a_wrong_value_is_named_and_nothing_is_sent(
    kfp: Kfp, file: Path, options: list[str], words: str
) -> None:
    done = call(file, "--host", kfp.url, *options)
    assert done.exit_code == 2
    assert done.output.startswith(words)
    assert kfp.requests == []


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("NUMBER_DOUBLE", "nan", "a number of 0 or more"),
        ("NUMBER_DOUBLE", "-0.5", "a number of 0 or more"),
        ("LIST", "{}", "a list in JSON"),
        ("STRUCT", "{", "an object in JSON"),
        ("TASK_FINAL_STATUS", "x", "a known type"),
    ],
)
def test_other_types_are_checked_too(tmp_path: Path, kind: str, text: str, words: str) -> None:
    spec = copy.deepcopy(SPEC)
    spec["root"]["inputDefinitions"]["parameters"] = {"p": {"parameterType": kind}}
    done = call(written(tmp_path / "mnist.yaml", spec), "-P", f"p={text}")
    assert done.exit_code == 2
    assert done.output.startswith(f"expected {words} for the parameter p; ")


def test_a_parameter_without_a_default_must_be_given(tmp_path: Path) -> None:
    spec = copy.deepcopy(SPEC)
    spec["root"]["inputDefinitions"]["parameters"]["bucket"] = {"parameterType": "STRING"}
    done = call(written(tmp_path / "mnist.yaml", spec))
    assert done.exit_code == 2
    assert done.output == "expected a value for bucket: -P bucket=VALUE\n"


def test_a_pipeline_of_another_version_is_refused_unless_forced(kfp: Kfp, tmp_path: Path) -> None:
    spec = changed(lambda s: s["pipelineInfo"].update(description="mnist-tfx 0.0.9, profile gpu"))
    file = written(tmp_path / "mnist.yaml", spec)
    done = call(file, "--host", kfp.url)
    assert done.exit_code == 2
    assert done.output == (
        f"expected a pipeline that mnist-tfx {VERSION} compiled; {file} is of 0.0.9: run "
        "`mnist-tfx kubeflow compile` again, or submit it with --force\n"
    )
    submitted(kfp, file, "--force")
    assert kfp.versions[0]["display_name"].startswith("mnist-0.0.9-")


TEXT = yaml.safe_dump_all([SPEC, PLATFORM])
SCHEMA_2_0 = changed(lambda s: s.update(schemaVersion="2.0.0"))
NO_EXECUTOR = changed(lambda s: s["deploymentSpec"]["executors"].pop("Trainer_executor"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"a: [1\n",
        b"- 1\n",
        b"kind: Workflow\napiVersion: argoproj.io/v1alpha1\n",
        yaml.safe_dump(PLATFORM).encode(),
        yaml.safe_dump(SCHEMA_2_0).encode(),
        yaml.safe_dump(NO_EXECUTOR).encode(),
        yaml.safe_dump(changed(lambda s: s.pop("pipelineInfo"))).encode(),
        yaml.safe_dump(changed(lambda s: s["root"].pop("dag"))).encode(),
        yaml.safe_dump_all([SPEC, {"platforms": {"kubernetes": None}}]).encode(),
    ],
)
def test_what_is_no_compiled_pipeline_is_a_wrong_call(
    kfp: Kfp, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "mnist.yaml"
    file.write_bytes(content)
    done = call(file, "--host", kfp.url)
    assert done.exit_code == 2
    assert re.match(f"expected .*{re.escape(str(file))}", done.output, re.DOTALL)
    assert "compile" in done.output
    assert kfp.requests == []


def test_a_file_that_was_cut_off_is_never_sent(kfp: Kfp, tmp_path: Path) -> None:
    file = tmp_path / "mnist.yaml"
    lines = TEXT.splitlines(keepends=True)
    cuts = ["".join(lines[:end]) for end in range(len(lines))]
    # Whole but for the sort of compiler, the platform spec as a whole, or the last mount's path.
    bearable = [lines.index("sdkVersion: tfx-1.21.0\n"), lines.index("---\n"), len(lines) - 1]
    for cut in [c for end, c in enumerate(cuts) if end not in bearable] + [TEXT[:-1], TEXT[:-5]]:
        file.write_text(cut)
        done = call(file, "--host", kfp.url)
        assert done.exit_code == 2, cut
        assert re.search("compile.*again", done.output)
    assert kfp.requests == []


def test_a_file_that_is_not_there_says_to_compile(tmp_path: Path) -> None:
    missing = tmp_path / "in [red] brackets.yaml"
    done = call(missing)
    assert done.exit_code == 2
    assert done.output == (
        f"expected a compiled pipeline at {missing}; there is none: run `mnist-tfx kubeflow "
        "compile`\n"
    )
    assert "it cannot be read: Is a directory" in call(tmp_path).output


# The check itself, and what is imported


def test_the_check_refuses_what_the_api_has_not() -> None:
    run = {"display_name": "r", "runtime_config": {"parameters": {"images": 1}}}
    conforms(run, "V2beta1Run")
    for wrong in ({"name": "r"}, {"display_name": 1}, {"runtime_config": {"params": {}}}):
        with pytest.raises(AssertionError):
            conforms(wrong, "V2beta1Run")
    with pytest.raises(AssertionError):
        conforms({"state": "DONE"}, "V2beta1Run")
    assert {(o.method, o.body) for o in published() if o.path.fullmatch("/apis/v2beta1/runs")} == {
        ("GET", None),
        ("POST", "V2beta1Run"),
    }


def test_the_options_import_nothing_heavy_and_the_command_no_tensorflow() -> None:
    program = (
        "import sys\n"
        "from pipeline.kubeflow.submit_command import submit\n"
        "print(*{name.split('.')[0] for name in sys.modules})\n"
        "import pipeline.kubeflow.submit\n"
        "print(*{name.split('.')[0] for name in sys.modules})\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    options, whole = (set(line.split()) for line in done.stdout.splitlines())
    assert not options & {"kfp", "kfp_server_api", "urllib3", "yaml", "rich", "numpy"}
    assert not whole & {"kfp", "tensorflow", "tfx", "numpy", "apache_beam", "kubernetes"}
