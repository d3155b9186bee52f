"""Reads the body of a request within the limits of size and time."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

from starlette.types import Receive, Scope

from serving.errors import Code, ServingError, invalid
from serving.options import Limits

GZIP = 31  # window bits that make zlib read gzip


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class Bodies:
    """Counts the bytes of all bodies that are held at once."""

    def __init__(self, limits: Limits) -> None:
        """Takes the limits."""
        self._limits = limits
        self._held = 0

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Counts `size` bytes while a request is worked on.

        Raises:
          ServingError: too many are held already.
        """
        if self._held + size > self._limits.buffered_bytes:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED, "too many requests are being read; try again later"
            )
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    @contextmanager
    def growing(self) -> Iterator[Callable[[int], None]]:
        """Yields a function that counts more bytes of a request; it raises as `held`."""
        with ExitStack() as parts:
            yield lambda size: parts.enter_context(self.held(size))

    @asynccontextmanager
    async def read(self, scope: Scope, receive: Receive) -> AsyncIterator[bytes]:
        """Yields the body, decompressed; its bytes count as long as the block lasts.

        Raises:
          ServingError: it is too large, too slow or not the gzip that it says it is, or too many
            bytes are held.
          ClientGone: the client left.
        """
        declared = header(scope, b"content-length")
        if declared.isdigit() and int(declared) > self._limits.body_bytes:
            raise self._too_large()
        with self.growing() as count:  # what has come: what is declared may never come
            body = await self._decoded(scope, await self._read_in_time(receive, count))
        with self.held(len(body)):
            yield body

    async def _read_in_time(self, receive: Receive, count: Callable[[int], None]) -> bytes:
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                return await self._read_all(receive, count)
        except TimeoutError as error:
            raise ServingError(
                Code.DEADLINE_EXCEEDED,
                f"the request did not arrive within {self._limits.read_seconds:g} s",
                http_status=408,
            ) from error

    async def _decoded(self, scope: Scope, body: bytes) -> bytes:
        encoding = header(scope, b"content-encoding").lower()
        if encoding in (b"", b"identity"):
            return body
        if encoding != b"gzip":
            raise invalid(
                f"expected Content-Encoding gzip or none; got {encoding.decode('latin-1')}"
            )
        return await asyncio.to_thread(self._unzipped, body)

    async def _read_all(self, receive: Receive, count: Callable[[int], None]) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > self._limits.body_bytes:
                raise self._too_large()
            count(len(part))
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _unzipped(self, body: bytes) -> bytes:
        reader = zlib.decompressobj(GZIP)
        try:
            plain = reader.decompress(body, self._limits.body_bytes + 1)
        except zlib.error as error:
            raise invalid(f"the body is not the gzip that it says it is: {error}") from error
        if len(plain) > self._limits.body_bytes:
            raise self._too_large()
        if not reader.eof or reader.unused_data:
            raise invalid("the gzip body ends too early, or goes on after its end")
        return plain

    def _too_large(self) -> ServingError:
        most = self._limits.body_bytes
        words = f"the body is larger than {most} bytes: send fewer instances in a request"
        return ServingError(Code.INVALID_ARGUMENT, words, http_status=413)


def header(scope: Scope, name: bytes) -> bytes:
    """Returns a header's value, empty where it is missing."""
    return next((value for key, value in scope["headers"] if key == name), b"")
