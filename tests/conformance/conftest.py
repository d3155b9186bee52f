"""The server that the conformance suite asks: the embedded one, or the one that is named.

The cases are written from TF Serving's documentation of its REST API and from the words and codes
of its source. To run them against a real TF Serving:

    python tests/conformance/make_models.py DIR
    tensorflow_model_server --rest_api_port=8501 --port=8500 \\
        --model_config_file=DIR/models.config --allow_version_labels_for_unavailable_models \\
        --monitoring_config_file=DIR/monitoring.config --enable_grpc_healthcheck_service
    CONFORMANCE_URL=http://127.0.0.1:8501 CONFORMANCE_GRPC=127.0.0.1:8500 \\
        python -m pytest tests/conformance
"""

import dataclasses
import json
import os
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

MAKE_MODELS = Path(__file__).with_name("make_models.py")


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a server listens that serves the models of `make_models.py`."""

    url: str
    grpc: str


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The server under test; the embedded one is started where `CONFORMANCE_URL` names none."""
    if url := os.environ.get("CONFORMANCE_URL"):
        yield Target(url, os.environ.get("CONFORMANCE_GRPC", ""))
        return
    folder = tmp_path_factory.mktemp("conformance")
    runpy.run_path(str(MAKE_MODELS))["main"](folder)
    run_server = request.getfixturevalue("running_server")
    with run_server("--model-config-file", folder / "models.config") as server:
        yield Target(server.url, server.grpc_target)


@pytest.fixture(scope="session")
def rest(target: Target) -> Iterator[httpx.Client]:
    """A client of the REST API; paths begin below the server's address."""
    with httpx.Client(base_url=target.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def predict(rest: httpx.Client) -> Callable[..., httpx.Response]:
    """`predict(model, body)` posts a body, raw JSON, to `/v1/models/<model>:predict`."""

    def ask(model: str, body: str | bytes) -> httpx.Response:
        return rest.post(f"/v1/models/{model}:predict", content=body)

    return ask


@pytest.fixture(scope="session")
def refusal() -> Callable[[httpx.Response], tuple[int, str]]:
    """Returns code and words of an error, which must have TF Serving's form."""

    def read(response: httpx.Response) -> tuple[int, str]:
        assert response.headers["content-type"].startswith("application/json")
        # TF Serving escapes apostrophes as C does, which JSON does not know.
        body: dict[str, Any] = json.loads(response.text.replace(r"\'", "'"))
        assert list(body) == ["error"]
        assert isinstance(body["error"], str)
        return response.status_code, body["error"]

    return read


@pytest.fixture(scope="session")
def channel(target: Target) -> Iterator[grpc.Channel]:
    """A connection to the gRPC port."""
    if not target.grpc:
        pytest.skip("CONFORMANCE_GRPC names no server")
    with grpc.insecure_channel(target.grpc, [("grpc.enable_http_proxy", 0)]) as connected:
        yield connected
