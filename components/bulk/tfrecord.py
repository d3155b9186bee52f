"""TFRecord files of tf.Examples for bulk prediction: cut into stretches, and read."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.bulk.faults import BulkFailed
from components.bulk.frames import FOOT, HEAD, Frame, frames
from components.bulk.pieces import Chunk, Cut, Piece
from components.bulk.streams import Streams, opened


def cuts(path: Path, name: str, size: int) -> Iterator[Cut]:
    """Yields the stretches of a file; where it is torn, what follows counts as one bad record."""
    with opened(path) as stream:
        first, count, start, offset = 0, 0, 0, 0
        for frame in frames(stream, check=False):
            offset += HEAD.size + len(frame.data) + FOOT.size
            count += 1
            if count == size:
                yield Cut((name,), first, count, start)
                first, count, start = first + count, 0, offset
        if count:
            yield Cut((name,), first, count, start)


def chunks(root: Path, piece: Piece, batch: int, streams: Streams) -> Iterator[Chunk]:
    """Yields a piece's digits, and the records that hold none.

    Raises:
      BulkFailed: the file is another than when it was cut.
    """
    path, seen = root / piece.files[0], 0
    with streams.at(path, piece.offset) as stream:
        records = islice(frames(stream), piece.records)
        while some := list(islice(records, batch)):
            yield Chunk.of(seen, _decoded(some))
            seen += len(some)
    if seen != piece.records:
        raise BulkFailed(f"{path} changed while it was read: start again into a new folder")


def _decoded(some: Sequence[Frame]) -> list[NDArray[np.uint8] | str]:
    """Returns the digit of each record, or why it has none."""
    from components.bulk.examples import decode

    digits = iter(decode([frame.data for frame in some if not frame.fault]))
    return [frame.fault or next(digits) for frame in some]
