"""Bodies are read within the limits of size, time and memory."""

import asyncio
import gzip
from collections.abc import Iterable
from typing import Any

import pytest

from serving.errors import ServingError
from serving.options import Limits
from serving.rest.body import Bodies, ClientGone

LIMITS = Limits(body_bytes=100, buffered_bytes=250, read_seconds=0.05)
GONE = {"type": "http.disconnect"}


def read(
    messages: Iterable[Any], *headers: tuple[bytes, bytes], bodies: Bodies | None = None
) -> bytes:
    """Reads a body whose parts arrive as given; then nothing comes any more."""
    waiting = iter(messages)
    bodies = bodies or Bodies(LIMITS)

    async def receive() -> Any:
        for message in waiting:
            return message
        await asyncio.sleep(10)

    async def whole() -> bytes:
        async with bodies.read({"headers": list(headers)}, receive) as body:
            return body

    return asyncio.run(whole())


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def status(
    messages: Iterable[Any], *headers: tuple[bytes, bytes], bodies: Bodies | None = None
) -> int:
    with pytest.raises(ServingError) as caught:
        read(messages, *headers, bodies=bodies)
    return caught.value.http_status


ZIPPED = (b"content-encoding", b"gzip")


def test_parts_are_joined() -> None:
    assert read([part(b"ab", more=True), part(b"c")]) == b"abc"


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_413() -> None:
    assert read([part(bytes(100))]) == bytes(100)
    assert status([part(bytes(60), more=True), part(bytes(41))]) == 413


def test_a_slow_body_is_408() -> None:
    assert status([part(b"a", more=True)]) == 408


def test_a_client_that_left_gets_no_answer() -> None:
    with pytest.raises(ClientGone):
        read([part(b"a", more=True), GONE])


def test_gzip_is_unpacked_up_to_the_limit() -> None:
    assert read([part(gzip.compress(bytes(100)))], ZIPPED) == bytes(100)
    assert status([part(gzip.compress(bytes(101)))], ZIPPED) == 413


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"a")[:-1], gzip.compress(b"a") + b"b"],
    ids=["no gzip", "cut short", "more behind it"],
)
def test_what_is_no_whole_gzip_is_400(body: bytes) -> None:
    assert status([part(body)], ZIPPED) == 400


def test_another_encoding_is_400() -> None:
    assert status([part(b"a")], (b"content-encoding", b"br")) == 400


def test_a_declared_size_over_the_limit_is_413_before_anything_is_read() -> None:
    assert status([], (b"content-length", b"101")) == 413


def test_too_many_bytes_at_once_are_429_and_room_comes_back() -> None:
    bodies = Bodies(LIMITS)
    with bodies.held(200):
        with pytest.raises(ServingError) as caught, bodies.held(51):
            pass
        assert caught.value.http_status == 429
    with bodies.held(250):
        pass


@pytest.mark.parametrize(
    "announced", [(b"transfer-encoding", b"chunked"), (b"content-length", b"100")]
)
def test_what_has_come_of_a_body_counts_and_not_what_may_come(
    announced: tuple[bytes, bytes],
) -> None:
    bodies, parts = Bodies(LIMITS), [part(bytes(30), more=True), part(bytes(70))]
    with bodies.held(200):
        assert read([part(b"a")], announced, bodies=bodies) == b"a"
        assert status(parts, announced, bodies=bodies) == 429
    with bodies.held(150):
        assert read(parts, announced, bodies=bodies) == bytes(100)


def test_a_body_that_was_read_counts_as_what_it_unpacked_to() -> None:
    bodies, zipped = Bodies(LIMITS), gzip.compress(bytes(100))
    with bodies.held(250 - len(zipped)):
        assert status([part(zipped)], ZIPPED, bodies=bodies) == 429
    assert read([part(zipped)], ZIPPED, bodies=bodies) == bytes(100)
    with bodies.held(250):
        pass
