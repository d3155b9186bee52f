"""The IDX format of MNIST, read and written, plain or in gzip; not which files make a data set."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.data.errors import (
    DataError,
    require_count,
    require_file,
    require_image_shape,
    require_labels,
)

# The magic is 0x0800 (unsigned bytes) plus the number of dimensions: 2051 images, 2049 labels.
_UNSIGNED_BYTES = 0x0800
IMAGES = _UNSIGNED_BYTES + 3
LABELS = _UNSIGNED_BYTES + 1
_KINDS = {IMAGES: "image", LABELS: "label"}
_GZIP_MAGIC = b"\x1f\x8b"
# CPython's `read(n)` allocates n bytes up front, so a header's word is never passed to it whole.
_CHUNK = 1 << 20


class Stream(Protocol):
    """Bytes that are read in pieces: a file, or what unpacks one."""

    def read(self, size: int, /) -> bytes:
        """Returns at most `size` bytes, and none at the end."""


def read_images(path: str | Path) -> NDArray[np.uint8]:
    """Reads an IDX image file, plain or gzip (told by its first bytes, not by its name).

    Returns:
        uint8 [n, 28, 28], n >= 1.

    Raises:
        DataError: missing, damaged, cut short, too long, of another kind or of another size.
    """
    with opened(path) as stream:
        count, *size = read_header(stream, path, IMAGES)
        require_count(count, path)
        require_image_shape(tuple(size), path)
        return _read_body(stream, path, (count, *size))


def read_labels(path: str | Path) -> NDArray[np.uint8]:
    """Reads an IDX label file, plain or gzip (told by its first bytes, not by its name).

    Returns:
        uint8 [n], each 0..9, n >= 1.

    Raises:
        DataError: missing, damaged, cut short, too long, of another kind or with a wrong label.
    """
    with opened(path) as stream:
        (count,) = read_header(stream, path, LABELS)
        require_count(count, path)
        return require_labels(_read_body(stream, path, (count,)), path)


def to_idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """Returns the uncompressed IDX file of uint8 [n, rows, columns] or uint8 [n].

    Raises:
        DataError: another dtype, or a number of dimensions that is neither 1 nor 3.
    """
    magic = _UNSIGNED_BYTES + array.ndim
    if array.dtype != np.uint8 or magic not in _KINDS:
        raise DataError(
            "expected images uint8 [n, rows, columns] or labels uint8 [n], "
            f"found {array.dtype} {list(array.shape)}. Convert the array first."
        )
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def read_at_most(stream: Stream, limit: int) -> bytearray:
    """Reads to the end of `stream`, or `limit` bytes of it; memory follows what is there."""
    content = bytearray()
    while chunk := stream.read(min(_CHUNK, limit - len(content))):
        content += chunk
    return content


@contextmanager
def opened(path: str | Path) -> Iterator[Stream]:
    """Opens the uncompressed bytes of `path`; what goes wrong until it closes is a DataError."""
    try:
        with require_file(path).open("rb") as raw:
            if raw.peek(2)[:2] == _GZIP_MAGIC:
                with gzip.GzipFile(fileobj=raw) as unzipped:
                    yield unzipped
            else:
                yield raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: expected a whole file, found a damaged or unreadable one ({error}). "
            "Fetch it again."
        ) from error


def read_header(stream: Stream, path: str | Path, magic: int) -> tuple[int, ...]:
    """Returns the dimensions; the magic is judged first, so a text file is not called short.

    Raises:
        DataError: another magic than IMAGES or LABELS was to be, or the header is cut short.
    """
    size = 4 * (1 + magic - _UNSIGNED_BYTES)
    header = read_at_most(stream, size)
    found = int.from_bytes(header[:4], "big")
    if len(header) >= 4 and found != magic:
        raise DataError(_wrong_magic(path, magic, found, bytes(header[:4])))
    if len(header) < size:
        raise DataError(
            f"{path}: expected a header of {size} bytes, found {len(header)}. "
            "The file is cut short; fetch it again."
        )
    return struct.unpack(f">{size // 4 - 1}I", header[4:])


def _wrong_magic(path: str | Path, magic: int, found: int, start: bytes) -> str:
    expected = f"{path}: expected an IDX {_KINDS[magic]} file (magic {magic}), found"
    if found in _KINDS:
        return (
            f"{expected} an IDX {_KINDS[found]} file (magic {found}). "
            "The image and label files look swapped; exchange them."
        )
    return (
        f"{expected} magic {found} (the file begins with {start!r}). "
        "Give a file in IDX format, plain or in gzip."
    )


def _read_body(stream: Stream, path: str | Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Reads one byte more than `shape` needs: it tells of a longer file, and checks gzip's CRC."""
    promised = math.prod(shape)
    body = read_at_most(stream, promised + 1)
    require_length(len(body), promised, path)
    return np.frombuffer(body, np.uint8).reshape(shape)


def require_length(length: int, promised: int, path: str | Path) -> None:
    """Checks how many bytes follow the header.

    Raises:
        DataError: others than its dimensions promise.
    """
    if length != promised:
        found = "more" if length > promised else f"{length:,}"
        cause = "has trailing bytes" if length > promised else "is cut short"
        raise DataError(
            f"{path}: expected {promised:,} bytes after the header, found {found}. "
            f"The file {cause}; fetch it again."
        )
