"""Folders of PNG files for bulk prediction: cut into stretches of names, and read."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.bulk.faults import BulkFailed
from components.bulk.pieces import Chunk, Cut, Piece, spans

LARGEST = 2**20  # bytes of a PNG of 28x28 pixels, with whatever was written beside them

Prepare = Callable[[Path], NDArray[np.uint8]]  # raises ValueError where there is no digit


def cuts(names: Sequence[str], size: int) -> Iterator[Cut]:
    """Yields the stretches of a folder's files."""
    for first, count in spans(len(names), size):
        yield Cut(tuple(names[first : first + count]), 0, count, 0)


def chunks(root: Path, piece: Piece, batch: int, prepare: Prepare | None) -> Iterator[Chunk]:
    """Yields a piece's digits, and the files that hold none.

    Args:
      prepare: makes the digit of a picture of any size; None for pictures that are digits.

    Raises:
      BulkFailed: a file that was there is gone.
    """
    decode = functools.partial(_prepared, prepare) if prepare else _decoded
    for first, count in spans(piece.records, batch):
        names = piece.files[first : first + count]
        yield Chunk.of(first, decode([os.path.join(root, name) for name in names]))


def _decoded(paths: Sequence[str]) -> list[NDArray[np.uint8] | str]:
    from components.bulk.pictures import decode

    return decode([_bytes(path) for path in paths])


def _bytes(path: str) -> bytes:
    """Returns a file's content; Python's own file objects take three times as long for it."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            return os.read(file, LARGEST)
        finally:
            os.close(file)
    except OSError as error:
        raise BulkFailed(
            f"expected to read {path}; {error.strerror}: see to it, then run the same command again"
        ) from error


def _prepared(prepare: Prepare, paths: Sequence[str]) -> list[NDArray[np.uint8] | str]:
    return [_one(prepare, Path(path)) for path in paths]


def _one(prepare: Prepare, path: Path) -> NDArray[np.uint8] | str:
    try:
        return prepare(path)
    except ValueError as error:
        return str(error)
