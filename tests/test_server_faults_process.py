"""A server's life: bad versions, kill and restart, a graceful end, wrong starts, who may ask."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.flink.listening import free_ports

pytestmark = pytest.mark.slow

POLL = ("--poll-seconds", "0.05")
PREDICT = "/v1/models/mnist:predict"
BODY = json.dumps({"instances": [[[0] * 28] * 28]}).encode()
LARGE = json.dumps({"instances": [[[9] * 28] * 28] * 1_000}).encode()
SECONDS = 15.0
CLIENTS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, served_digits: Path) -> Path:
    base = tmp_path_factory.mktemp("process") / "mnist"
    shutil.copytree(served_digits, base)
    return base


def options(folder: Path) -> tuple[str | Path, ...]:
    return ("--model-name", "mnist", "--model-base-path", folder, "--digit-contract", *POLL)


@pytest.fixture(scope="module")
def server(running_server: Any, folder: Path) -> Iterator[Any]:
    with running_server(*options(folder)) as process:
        yield process


def states(server: Any) -> dict[int, tuple[str, str]]:
    """Returns state and words of each version."""
    found = server.client.get("/v1/models/mnist").json()["model_version_status"]
    return {int(v["version"]): (v["state"], v["status"]["error_message"]) for v in found}


def wait_until(fact: Callable[[], bool], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, f"it did not come true within {seconds:g} s"
        time.sleep(0.02)


def shards(version: Path) -> list[Path]:
    return sorted((version / "variables").glob("variables.data-*"))


def lose_a_shard(version: Path, _: Callable[..., None]) -> None:
    shards(version)[0].unlink()


def lose_the_index(version: Path, _: Callable[..., None]) -> None:
    (version / "variables" / "variables.index").unlink()


def lose_the_weights(version: Path, _: Callable[..., None]) -> None:
    shutil.rmtree(version / "variables")


def truncate_the_graph(version: Path, _: Callable[..., None]) -> None:
    graph = version / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])


def empty_the_graph(version: Path, _: Callable[..., None]) -> None:
    (version / "saved_model.pb").write_bytes(b"")


def truncate_a_shard(version: Path, _: Callable[..., None]) -> None:
    shards(version)[0].write_bytes(shards(version)[0].read_bytes()[:1_000])


def damage_a_shard(version: Path, _: Callable[..., None]) -> None:
    content = shards(version)[0].read_bytes()
    shards(version)[0].write_bytes(content[:5_000] + b"\x55" * 64 + content[5_064:])


def empty(version: Path, _: Callable[..., None]) -> None:
    shutil.rmtree(version)
    version.mkdir()


def weigh_nan(version: Path, save_digits: Callable[..., None]) -> None:
    shutil.rmtree(version)
    save_digits(version, bias=float("nan"))


def change_the_signature(version: Path, _: Callable[..., None]) -> None:
    import tensorflow as tf

    shutil.rmtree(version)
    double = tf.function(
        lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec((None,), tf.float32)]
    )
    tf.saved_model.save(tf.Module(), str(version), signatures={"serving_default": double})


FAULTS = [
    (lose_a_shard, "variables"),
    (lose_the_index, "variables"),
    (lose_the_weights, ""),
    (truncate_the_graph, "saved_model"),
    (empty_the_graph, ""),
    (truncate_a_shard, "weights"),
    (damage_a_shard, "weights"),
    (empty, "saved_model.pb"),
    (weigh_nan, "finite"),
    (change_the_signature, "serving_default"),
]


@pytest.mark.parametrize(
    ("fault", "words"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_bad_version_is_reported_and_the_old_one_serves(
    server: Any,
    folder: Path,
    tmp_path: Path,
    save_digits: Callable[..., None],
    answers_right: Callable[[Any], None],
    fault: Callable[[Path, Callable[..., None]], None],
    words: str,
) -> None:
    number = 10 + [each for each, _ in FAULTS].index(fault)
    shutil.copytree(folder / "1", tmp_path / "bad")
    fault(tmp_path / "bad", save_digits)
    shutil.move(tmp_path / "bad", folder / str(number))
    try:
        wait_until(lambda: states(server).get(number, ("", ""))[0] == "END")
        assert words in states(server)[number][1]
        assert states(server)[number][1]
        assert states(server)[1][0] == "AVAILABLE"
        answers_right(server)
        response = server.client.post(f"/v1/models/mnist/versions/{number}:predict", content=BODY)
        assert response.status_code == 404
    finally:
        shutil.rmtree(folder / str(number))


def test_a_version_that_is_still_being_copied_serves_once_it_is_whole(
    server: Any, folder: Path, answers_right: Callable[[Any], None]
) -> None:
    version = folder / "30"
    (version / "variables").mkdir(parents=True)
    shutil.copy(folder / "1" / "saved_model.pb", version)
    for name in ("variables.index", "variables.data-00000-of-00001"):
        wait_until(lambda: states(server).get(30, ("", ""))[0] == "END")
        answers_right(server)
        shutil.copy(folder / "1" / "variables" / name, version / "variables")
    wait_until(lambda: states(server)[30][0] == "AVAILABLE")
    answers_right(server)
    wait_until(lambda: states(server)[1][0] == "END")
    shutil.rmtree(version)
    wait_until(lambda: states(server)[1][0] == "AVAILABLE")


def test_a_folder_that_is_no_version_is_left_alone(
    server: Any, folder: Path, answers_right: Callable[[Any], None]
) -> None:
    odd = [folder / name for name in ("tmp-40", "-5", "4.5", ".41", "²")]
    for path in odd:
        path.mkdir()
    (folder / "42").write_text("a file")
    time.sleep(0.3)
    assert not set(states(server)) & {40, 41, 42, 5, 4, 2}
    answers_right(server)
    for path in odd:
        path.rmdir()
    (folder / "42").unlink()


def test_the_folder_may_vanish_and_come_back(
    server: Any, folder: Path, answers_right: Callable[[Any], None]
) -> None:
    folder.rename(folder.with_name("gone"))
    time.sleep(0.3)
    answers_right(server)
    folder.with_name("gone").rename(folder)
    time.sleep(0.2)
    answers_right(server)


def test_a_server_that_was_killed_starts_again_and_ends_with_the_requests_under_way(
    running_server: Any, folder: Path, answers_right: Callable[[Any], None]
) -> None:
    with running_server(*options(folder)) as first:
        answers_right(first)
        assert first.signal(signal.SIGKILL) == -signal.SIGKILL
    same = ("--port", str(first.port), "--grpc-port", str(first.grpc_port), "--max-queue", "1000")
    with running_server(*options(folder), *same) as second:
        assert (second.port, second.grpc_port) == (first.port, first.grpc_port)
        answers_right(second)
        assert codes_around_sigterm(second) == [200] * CLIENTS
        assert second.process.wait(SECONDS) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", second.port), timeout=5)


def codes_around_sigterm(server: Any) -> list[int]:
    """Returns the codes of large requests that were sent just before a SIGTERM."""

    def ask(client: httpx.Client) -> int:
        return client.post(PREDICT, content=LARGE).status_code

    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        clients = [
            stack.enter_context(httpx.Client(base_url=server.url, timeout=30, trust_env=False))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            assert client.get("/v1/models/mnist").status_code == 200
        answers = [pool.submit(ask, client) for client in clients]
        time.sleep(0.15)
        server.process.send_signal(signal.SIGTERM)
        assert not all(answer.done() for answer in answers)
        return [answer.result() for answer in answers]


SLOW_TO_LOAD = """
import sys
from serving import command, servable

def look(*_):
    print("loading", flush=True)
    sys.stdin.read()
    return {}, []

servable._look = look
command.main()
"""


def test_a_server_that_still_loads_lets_nobody_in_and_ends_at_a_signal(tmp_path: Path) -> None:
    """Two servers at a time, one signal each."""
    loading = zip(free_ports(2), (signal.SIGTERM, signal.SIGINT), strict=True)
    with contextlib.ExitStack() as stack:
        running = [(start_slowly(stack, tmp_path, port), port, number) for port, number in loading]
        for process, port, number in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "loading\n"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
            process.send_signal(number)
            assert process.stderr is not None
            ends = f" {number.name}: the server ends\n"
            while not process.stderr.readline().endswith(ends):  # else the load may end first
                assert process.poll() is None
        for process, _, number in running:
            _, said = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, f"{number}: {said}"
            assert "REST on" not in said
            assert "Traceback" not in said


def start_slowly(stack: contextlib.ExitStack, folder: Path, port: int) -> Any:
    """Starts a server that loads until its input is closed, and ends with the stack."""
    ports = ("--port", str(port), "--grpc-port", "0")
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", SLOW_TO_LOAD, *map(str, options(folder)), *ports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    return process


ORIGIN = "https://page.example"


@pytest.fixture(scope="module")
def guarded(running_server: Any, folder: Path) -> Iterator[Any]:
    """A server with a token that a page of one origin may ask."""
    token = folder.with_name("token")
    token.write_text("s3cret\n")
    guards = ("--token-file", token, "--cors-origin", ORIGIN)
    with running_server(*options(folder), *guards) as process:
        yield process


@pytest.mark.parametrize(
    "header",
    [None, "Bearer", "Bearer wrong", "Bearer s3cret2", "Basic s3cret", "s3cret"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", PREDICT),
        ("GET", "/v1/models/mnist"),
        ("GET", "/V1/models/mnist"),
        ("GET", "/v1/models/mnist/metadata"),
        ("GET", "/monitoring/prometheus/metrics"),
        ("POST", "/%76%31/models/mnist:predict"),
        ("GET", "//v1/models/mnist"),
    ],
)
def test_without_the_token_nobody_is_answered(
    guarded: Any, header: str | None, method: str, path: str
) -> None:
    headers = {"authorization": header} if header else {}
    response = guarded.client.request(method, path, content=BODY, headers=headers)
    assert response.status_code in (401, 404)
    if path in (PREDICT, "/v1/models/mnist", "/monitoring/prometheus/metrics"):
        assert response.status_code == 401
        assert "Authorization: Bearer" in response.json()["error"]
        assert response.headers["www-authenticate"] == "Bearer"


def test_with_the_token_all_is_answered(guarded: Any) -> None:
    headers = {"authorization": "Bearer s3cret"}
    assert guarded.client.post(PREDICT, content=BODY, headers=headers).status_code == 200
    for path in ("/v1/models/mnist", "/monitoring/prometheus/metrics"):
        assert guarded.client.get(path, headers=headers).status_code == 200


def test_the_page_is_open_to_everybody(guarded: Any) -> None:
    assert guarded.client.get("/").status_code == 200


@pytest.mark.parametrize(("token", "code"), [(None, "UNAUTHENTICATED"), ("s3cret", "OK")])
def test_grpc_asks_for_the_token_too(guarded: Any, token: str | None, code: str) -> None:
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "mnist"
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(guarded.grpc_target, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        call = stub.GetModelStatus.future(request, timeout=10, metadata=metadata)
        assert call.code().name == code


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(ORIGIN, True), ("https://evil.example", False), ("null", False), (ORIGIN + ".evil", False)],
)
def test_a_browser_may_ask_from_the_named_origin_alone(
    guarded: Any, origin: str, allowed: bool
) -> None:
    preflight = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization",
    }
    asked = guarded.client.options(PREDICT, headers=preflight)
    answered = guarded.client.post(
        PREDICT, content=BODY, headers={"origin": origin, "authorization": "Bearer s3cret"}
    )
    expected = origin if allowed else None
    assert asked.headers.get("access-control-allow-origin") == expected
    assert answered.headers.get("access-control-allow-origin") == expected
    assert (asked.status_code == 200) == allowed


def test_a_start_that_cannot_be_says_why(guarded: Any, folder: Path, tmp_path: Path) -> None:
    """Each of these three programs ends by itself, with code 2 and without a traceback."""
    (tmp_path / "bad.config").write_text("model_config_list { config { nme: 'x' } }")
    free = ("--port", "0", "--grpc-port", "0")
    starts = [
        ((*options(folder), *free, "--port", guarded.port), ("--port", str(guarded.port))),
        ((*options(folder), *free, "--grpc-port", guarded.grpc_port), ("--grpc-port",)),
        (("--model-config-file", tmp_path / "bad.config", *free), ("bad.config", "nme")),
    ]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "serving", *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments, _ in starts
    ]
    for process, (_, words) in zip(running, starts, strict=True):
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2, said
        assert all(word in said for word in words), said
        assert "Traceback" not in said
