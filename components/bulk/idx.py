"""IDX files of images for bulk prediction: cut into stretches, and read; labels are left alone."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from components.bulk.faults import BulkFailed
from components.bulk.pieces import SIDE, Chunk, Cut, Piece, spans
from components.bulk.streams import DAMAGE, Streams, opened
from components.data.errors import DataError, require_image_shape

IMAGES_MAGIC = (2051).to_bytes(4, "big")
LABELS_MAGIC = (2049).to_bytes(4, "big")
HEADER = struct.Struct(">4I")
_PIXELS = SIDE * SIDE
_CHUNK = 1 << 20


def cuts(path: Path, name: str, size: int) -> Iterator[Cut]:
    """Yields the stretches of a file; it is known to be whole first.

    Raises:
      DataError: it is damaged, or holds images of another size.
    """
    for first, count in spans(_count(path), size):
        yield Cut((name,), first, count, HEADER.size + first * _PIXELS)


def _count(path: Path) -> int:
    try:
        with opened(path) as stream:
            header = stream.read(HEADER.size)
            if len(header) < HEADER.size:
                raise DataError(_damaged(path, "its header is cut short"))
            _, count, *shape = HEADER.unpack(header)
            require_image_shape(tuple(shape), path)
            found = 0
            while chunk := stream.read(_CHUNK):
                found += len(chunk)
    except DAMAGE as error:
        raise DataError(_damaged(path, str(error))) from error
    if found != count * _PIXELS:
        raise DataError(_damaged(path, f"it has {found:,} bytes of pixels"))
    return int(count)


def _damaged(path: Path, found: str) -> str:
    return f"{path}: expected a whole IDX file of 28x28 images; {found}: fetch it again"


def chunks(root: Path, piece: Piece, batch: int, streams: Streams) -> Iterator[Chunk]:
    """Yields a piece's digits.

    Raises:
      BulkFailed: the file is another than when it was cut.
    """
    path = root / piece.files[0]
    with streams.at(path, piece.offset) as stream:
        for first, count in spans(piece.records, batch):
            pixels = stream.read(count * _PIXELS)
            if len(pixels) != count * _PIXELS:
                raise BulkFailed(f"{path} changed while it was read: start again into a new folder")
            images = np.frombuffer(pixels, np.uint8).reshape(count, SIDE, SIDE)
            yield Chunk(images, np.arange(first, first + count))
