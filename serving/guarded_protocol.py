"""uvicorn's HTTP protocol, with bounds on a request's head, and one packet for a small answer."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.options import Limits


class JoinedWrites:
    """An asyncio transport that hands on, once a turn of the loop, what was written in it.

    uvicorn writes an answer's head and body one by one; each would be a system call that wakes the
    client, for the head in vain.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        """Takes the transport that is written to; all but `write` and `close` is its own."""
        self._transport, self._loop = transport, loop
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        """Returns the transport's attribute."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Writes at the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Closes after what was written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()


def guarded(limits: Limits) -> type[HttpToolsProtocol]:
    """Returns a protocol that closes connections whose head is too slow or too large."""

    class GuardedProtocol(HttpToolsProtocol):
        """Closes a connection when a head takes longer or is larger than the limits admit."""

        _alarm: asyncio.TimerHandle | None = None
        _head_bytes = 0
        _in_head = True

        def connection_made(self, transport: Any) -> None:
            super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))
            self._await_head()

        def data_received(self, data: bytes) -> None:
            if self._in_head:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._in_head and self._head_bytes > limits.header_bytes:
                self.transport.close()

        def on_message_begin(self) -> None:
            self._await_head()
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head, self._head_bytes = False, 0
            self._disarm()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _await_head(self) -> None:
            self._in_head = True
            if self._alarm is None:
                self._alarm = self.loop.call_later(limits.read_seconds, self._too_slow)

        def _too_slow(self) -> None:
            self._alarm = None
            self.transport.close()

        def _disarm(self) -> None:
            if self._alarm:
                self._alarm.cancel()
                self._alarm = None

    return GuardedProtocol
