"""Files as uncompressed streams, plain or gzip, that are read from an offset; no format."""

import contextlib
import gzip
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

GZIP_MAGIC = b"\x1f\x8b"
DAMAGE = (OSError, EOFError, zlib.error)  # what reading a torn gzip file raises
MOST_IDLE = 4


def opened(path: Path) -> BinaryIO:
    """Opens a file; what is in gzip, told by its first bytes, is unpacked."""
    raw = path.open("rb")
    if raw.peek(2)[:2] != GZIP_MAGIC:
        return raw
    unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    unpacked.myfileobj = raw  # type: ignore[attr-defined]  # closed with it
    return unpacked


class Streams:
    """Keeps gzip files open between pieces: to get to an offset, all before it is unpacked.

    So the pieces of a file cost one pass where they come in order, as they do; in any other order
    they cost more and give the same.
    """

    def __init__(self) -> None:
        """Opens nothing yet."""
        self._idle: list[tuple[Path, BinaryIO]] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def at(self, path: Path, offset: int) -> Iterator[BinaryIO]:
        """Yields a file's stream at an offset; nobody else has it meanwhile."""
        stream = self._take(path, offset) or opened(path)
        try:
            stream.seek(offset)
            yield stream
        except BaseException:
            stream.close()
            raise
        self._give(path, stream)

    def _take(self, path: Path, offset: int) -> BinaryIO | None:
        with self._lock:
            for entry in self._idle:
                if entry[0] == path and entry[1].tell() <= offset:
                    self._idle.remove(entry)
                    return entry[1]
        return None

    def _give(self, path: Path, stream: BinaryIO) -> None:
        if not isinstance(stream, gzip.GzipFile):
            stream.close()
            return
        with self._lock:
            self._idle.append((path, stream))
            too_many = self._idle[:-MOST_IDLE]
            self._idle = self._idle[-MOST_IDLE:]
        for _, old in too_many:
            old.close()
