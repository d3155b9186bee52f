"""More than the server can take, versions that change meanwhile, and one bad request among good.

`SWAPS=1000 python -m pytest tests/test_server_faults_load.py -k swap` swaps a thousand versions;
without it, as many as fit into some seconds.
"""

import base64
import collections
import contextlib
import http.client
import io
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

MIB = 1 << 20
SWAPS = int(os.environ.get("SWAPS", "12"))
POLL = ("--poll-seconds", "0.02")
PREDICT = "/v1/models/mnist:predict"
# Two rows a call, one call at a time and four calls waiting: 64 clients are far too many.
SMALL = """
max_batch_size { value: 2 }
batch_timeout_micros { value: 0 }
num_batch_threads { value: 1 }
max_enqueued_batches { value: 4 }
"""
REFUSED = (429, 503)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, served_digits: Path) -> Path:
    base = tmp_path_factory.mktemp("load") / "mnist"
    shutil.copytree(served_digits, base)
    return base


@pytest.fixture(scope="module")
def server(running_server: Any, folder: Path) -> Iterator[Any]:
    parameters = folder.with_name("batching.config")
    parameters.write_text(SMALL)
    model = ("--model-name", "mnist", "--model-base-path", folder)
    with running_server(*model, *POLL, "--batching-parameters-file", parameters) as process:
        yield process


def png_body(content: bytes) -> bytes:
    value = {"b64": base64.b64encode(content).decode()}
    return json.dumps({"signature_name": "png", "instances": [value]}).encode()


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("L", (28, 28), 200).save(file, "PNG")
    return file.getvalue()


GOOD = png_body(picture())
BAD = png_body(picture()[:-30] + bytes(30))  # its header is right: only the decoder sees it
LARGE = json.dumps({"inputs": [[[7] * 28] * 28] * 4}).encode()


class Clients:
    """Threads that ask without a pause until `stop`, and what they were answered."""

    def __init__(self, port: int, body: bytes, count: int) -> None:
        self._port, self._body = port, body
        self._stop = threading.Event()
        self.codes: collections.Counter[int] = collections.Counter()
        self.versions: collections.Counter[str] = collections.Counter()
        self.texts: set[bytes] = set()
        self.errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            while not self._stop.is_set():
                try:
                    connection.request("POST", PREDICT, self._body)
                    response = connection.getresponse()
                    text = response.read()
                except Exception as error:
                    self.errors.append(error)
                    return
                self.codes[response.status] += 1
                self.versions[response.getheader("X-Model-Version", "")] += 1
                if response.status != 200:
                    self.texts.add(text)


@contextlib.contextmanager
def clients(port: int, body: bytes, count: int) -> Iterator[Clients]:
    running = Clients(port, body, count)
    try:
        yield running
    finally:
        running.stop()


def wait_until(fact: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, f"it did not come true within {seconds:g} s"
        time.sleep(0.005)


def test_one_bad_picture_in_a_batch_refuses_nobody_else(server: Any) -> None:
    def ask(body: bytes) -> list[float] | int:
        response = server.client.post(PREDICT, content=body)
        if response.status_code != 200:
            return response.status_code
        return response.json()["predictions"][0]["probabilities"]

    expected = pytest.approx(ask(GOOD), abs=1e-5)  # rows in a batch may differ in the last digit
    with ThreadPoolExecutor(6) as pool:
        for _ in range(30):
            answers = list(pool.map(ask, [GOOD, GOOD, BAD, GOOD, GOOD, BAD]))
            assert answers == [expected, expected, 400, expected, expected, 400]


def test_ten_times_the_load_is_refused_in_part_and_forgotten_at_once(
    server: Any, answers_right: Callable[[Any], None]
) -> None:
    with clients(server.port, LARGE, 8) as some:
        time.sleep(0.5)
    before = server.memory()
    with clients(server.port, LARGE, 64) as many:
        time.sleep(2)
    wait_until(lambda: server.client.post(PREDICT, content=LARGE).status_code == 200, 5)
    answers_right(server)
    assert not some.errors
    assert not many.errors
    assert set(many.codes) <= {200, *REFUSED}
    assert many.codes[200] > 10
    assert sum(many.codes[code] for code in REFUSED) > 10
    assert all(list(json.loads(text)) == ["error"] for text in many.texts)
    assert server.memory() - before < 64 * MIB


def add_version(base: Path, number: int) -> None:
    """Copies version 1 as another, which is there whole or not at all."""
    hidden = base.with_name(f"copy-{number}")
    shutil.copytree(base / "1", hidden)
    hidden.rename(base / str(number))


def test_versions_swap_under_load_without_one_failed_request(server: Any, folder: Path) -> None:
    newest = ""

    def serves(number: int) -> bool:
        nonlocal newest
        newest = server.client.post(PREDICT, content=GOOD).headers.get("X-Model-Version", "")
        return newest == str(number)

    wait_until(lambda: serves(1), 5)
    memory = [server.memory()]
    number = 1
    with clients(server.port, GOOD, 3) as running:
        while number <= SWAPS:
            number += 1
            add_version(folder, number)
            wait_until(lambda wanted=number: serves(wanted), 20)
            if number > 3:
                shutil.rmtree(folder / str(number - 2))
            if number % 20 == 0:
                memory.append(server.memory())
    print(f"{number - 1} swaps, {running.codes[200]} requests")
    assert not running.errors
    assert set(running.codes) == {200}
    assert len(running.versions) > 10
    assert server.memory() - memory[min(1, len(memory) - 1)] < 200 * MIB
    wait_until(lambda: old_states(server) <= {"END"}, 5)


def old_states(server: Any) -> set[str]:
    """Returns the states of all versions but the newest."""
    found = server.client.get("/v1/models/mnist").json()["model_version_status"]
    return {version["state"] for version in found[1:]}
