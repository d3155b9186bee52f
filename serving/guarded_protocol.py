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


FRAMING = 8  # bytes that a byte of a chunked body may have around it; 5 is a chunk of one byte


class GuardedProtocol(HttpToolsProtocol):
    """Closes a connection when a head takes longer or is larger than the limits admit.

    What frames a chunked body, trailers too, counts as the head does. A client that goes on
    sending after its answer is cut off like one whose head is slow.
    """

    limits: Limits
    _alarm: asyncio.TimerHandle | None = None
    _head_bytes = 0  # of what was received of this request and is not its body
    _body_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Waits for the first head."""
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))
        self._await()

    def data_received(self, data: bytes) -> None:
        """Parses what came, within the limits."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > self.limits.header_bytes + FRAMING * self._body_bytes:
            self.transport.close()
        elif self.cycle is not None and self.cycle.response_complete:
            self._await()

    def on_message_begin(self) -> None:
        """Waits for this head."""
        self._disarm()
        self._await()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Waits no more: the application does from here on."""
        self._disarm()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Counts the body apart from what frames it."""
        self._head_bytes -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Counts anew for the next request."""
        self._head_bytes = self._body_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Reads on when all requests that came are being answered, where uvicorn would sooner."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        self._disarm()
        super().connection_lost(exc)

    def _await(self) -> None:
        if self._alarm is None:
            self._alarm = self.loop.call_later(self.limits.read_seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._alarm = None
        self.transport.close()

    def _disarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None


def guarded(limits: Limits) -> type[HttpToolsProtocol]:
    """Returns a protocol that closes connections whose head is too slow or too large."""
    return type(GuardedProtocol.__name__, (GuardedProtocol,), {"limits": limits})
