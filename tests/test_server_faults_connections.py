"""Clients that send too much, too slowly, nonsense, or leave: they cost the server nothing."""

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.slow

MIB = 1 << 20
READ_SECONDS = 1.0  # the server's time-out
SLACK = 3.0
BODY = json.dumps({"instances": [[[0] * 28] * 28]}).encode()
HEAD = b"POST /v1/models/mnist:predict HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /v1/models/mnist HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.fixture(scope="module")
def server(running_server: Any, served_digits: Path) -> Iterator[Any]:
    model = ("--model-name", "mnist", "--model-base-path", served_digits)
    with running_server(*model, "--read-timeout", str(READ_SECONDS)) as process:
        yield process


@pytest.fixture(autouse=True)
def unharmed(server: Any, answers_right: Callable[[Any], None]) -> Iterator[None]:
    """After each fault the server answers right and its memory is what it was."""
    answers_right(server)
    before = server.peak_memory()
    yield
    answers_right(server)
    assert server.peak_memory() - before < 100 * MIB


@pytest.fixture
def connect(server: Any) -> Iterator[Callable[[], socket.socket]]:
    """Opens connections, which are closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(
            socket.create_connection(("127.0.0.1", server.port), timeout=10)
        )


def answer(connection: socket.socket) -> bytes:
    """Returns what the server sends until it closes or has nothing more to say for a second."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while select.select([connection], [], [], 1.0 if received else 10.0)[0]:
            part = connection.recv(65_536)
            if not part:
                break
            received += part
    return received


def send_until_answered(connection: socket.socket, parts: Iterator[bytes]) -> int:
    """Sends parts until the server says something; returns how many bytes went."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        for part in parts:
            if select.select([connection], [], [], 0)[0]:
                break
            connection.sendall(part)
            sent += len(part)
    return sent


def flood(connection: socket.socket, part: bytes) -> None:
    """Sends 64 MiB, of which the kernels' buffers hold a part."""
    for _ in range(64 * MIB // len(part)):
        connection.sendall(part)


def bodies(size: int, chunked: bool) -> Iterator[bytes]:
    """Yields a request of `size` bytes of body in parts of 64 KiB."""
    part = b" " * 65_536
    yield HEAD + (
        b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % size
    )
    for _ in range(size // len(part)):
        yield b"10000\r\n" + part + b"\r\n" if chunked else part
    if chunked:
        yield b"0\r\n\r\n"


@pytest.mark.parametrize("size", [10 * MIB, 1024 * MIB])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    connect: Callable[[], socket.socket], size: int, chunked: bool
) -> None:
    connection = connect()
    sent = send_until_answered(connection, bodies(size, chunked))
    received = answer(connection)
    assert received.split(b" ")[1] == b"413", received[:200]
    assert list(json.loads(received.split(b"\r\n\r\n")[1])) == ["error"]
    assert sent < 32 * MIB


def test_a_client_that_reads_only_after_it_has_sent_all_learns_why(server: Any) -> None:
    response = server.client.post("/v1/models/mnist:predict", content=b" " * (10 * MIB))
    assert response.status_code == 413
    assert "8388608" in response.json()["error"]


def dribble(connection: socket.socket, content: bytes) -> float:
    """Sends a byte each tenth of a second; returns the seconds until the server has enough."""
    start = time.monotonic()
    with contextlib.suppress(ConnectionError):
        for place in range(len(content)):
            connection.sendall(content[place : place + 1])
            if select.select([connection], [], [], 0.1)[0]:
                break
    return time.monotonic() - start


@pytest.mark.parametrize(
    "whole", [b"", HEAD + b"Content-Length: 1000\r\n\r\n"], ids=["head", "body"]
)
def test_a_client_that_dribbles_is_cut_off(
    connect: Callable[[], socket.socket], whole: bytes
) -> None:
    connection = connect()
    connection.sendall(whole)
    seconds = dribble(connection, HEAD * 10)
    assert seconds < READ_SECONDS + SLACK
    received = answer(connection)
    assert received == b"" or received.split(b" ")[1] == b"408"


def test_a_client_that_sends_nothing_after_a_head_is_told_so(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    connection.sendall(HEAD + b"Content-Length: 10\r\n\r\n")
    assert answer(connection).split(b" ")[1] == b"408"


def test_trailers_without_end_are_cut_off(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    with pytest.raises(ConnectionError):
        flood(connection, b"a: b\r\n" * 1000)


@pytest.mark.parametrize(("head", "more"), [(b"Content-Length: 10\r\n", b"x"), (b"", b"\r\n")])
def test_a_client_that_is_silent_after_an_early_answer_is_cut_off(
    connect: Callable[[], socket.socket], head: bytes, more: bytes
) -> None:
    connection = connect()
    connection.sendall(GET + head + b"\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    connection.sendall(more)
    connection.settimeout(READ_SECONDS + SLACK)
    assert connection.recv(1) == b""


def test_two_hundred_slow_clients_keep_nobody_else_waiting(
    server: Any, connect: Callable[[], socket.socket], answers_right: Callable[[Any], None]
) -> None:
    connections = [connect() for _ in range(200)]
    for number, connection in enumerate(connections):
        connection.sendall(HEAD if number % 2 else HEAD + b"Content-Length: 1000\r\n\r\n{")
    start = time.monotonic()
    answers_right(server)
    assert time.monotonic() - start < 1.0
    time.sleep(READ_SECONDS + 0.5)
    assert all(select.select([connection], [], [], SLACK)[0] for connection in connections)


@pytest.mark.parametrize("sent", [len(WHOLE) // 2, len(WHOLE)])
def test_clients_that_leave_before_their_answer_are_forgotten(
    server: Any, connect: Callable[[], socket.socket], sent: int
) -> None:
    process = psutil.Process(server.process.pid)
    before = process.num_fds()
    for _ in range(100):
        connection = connect()
        connection.sendall(WHOLE[:sent])
        connection.close()
    until = time.monotonic() + 10
    while process.num_fds() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert process.num_fds() <= before


def test_a_client_that_never_reads_its_answers_is_not_read_from_for_ever(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(1.0)
    asked = b"GET /v1/models/mnist/metadata HTTP/1.1\r\nX: " + b"x" * 4_000 + b"\r\n\r\n"
    with pytest.raises(TimeoutError):
        flood(connection, asked)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), id="TLS"),
        pytest.param(b"\r\n\r\n" * 100 + b"nonsense\r\n\r\n", id="nonsense"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(HEAD + b"X: " + b"x" * MIB + b"\r\n\r\n", id="a header of a megabyte"),
        pytest.param(HEAD + b"X: x\r\n" * 100_000 + b"\r\n", id="100,000 headers"),
        pytest.param(b"POST /" + b"x" * MIB + b" HTTP/1.1\r\n\r\n", id="a megabyte of path"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(HEAD + b"Content-Length: 1e3\r\n\r\n", id="a length that is no number"),
        pytest.param(HEAD + b"Content-Length: " + b"9" * 50 + b"\r\n\r\n", id="a length of 10**50"),
        pytest.param(
            HEAD + b"Content-Length: 4\r\nContent-Length: 9\r\n\r\n{}  ", id="two lengths"
        ),
        pytest.param(
            HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="a length and chunks",
        ),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="no chunk"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", id="a chunk of 2**64"
        ),
    ],
)
def test_what_is_no_http_is_refused_or_cut_off(
    connect: Callable[[], socket.socket], content: bytes
) -> None:
    connection = connect()
    with contextlib.suppress(ConnectionError):
        connection.sendall(content)
    received = answer(connection)
    assert received == b"" or received.split(b" ")[1].startswith(b"4"), received[:200]
    with contextlib.suppress(ConnectionError):
        assert connection.recv(1) == b""  # rather than nothing for as long as this waits


def test_head_and_body_of_an_answer_come_together(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    for _ in range(20):
        connection.sendall(WHOLE)
        received = connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 200")
        assert received.endswith(b"}")


def test_requests_sent_without_waiting_are_answered_in_order(
    connect: Callable[[], socket.socket],
) -> None:
    connection = connect()
    status = b"GET /v1/models/mnist HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.sendall(WHOLE + status + WHOLE)
    received = answer(connection)
    places = [received.index(b"predictions"), received.index(b"model_version_status")]
    assert places == sorted(places)
    assert received.rindex(b"predictions") > places[1]
