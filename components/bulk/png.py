"""Folders of PNG files for bulk prediction: cut into stretches of names, and read."""

import functools
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
        yield Chunk.of(first, decode([root / name for name in piece.files[first : first + count]]))


def _decoded(paths: Sequence[Path]) -> list[NDArray[np.uint8] | str]:
    from components.bulk.pictures import decode

    return decode([_bytes(path) for path in paths])


def _bytes(path: Path) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(LARGEST) or b""
    except OSError as error:
        raise BulkFailed(
            f"expected to read {path}; {error.strerror}: see to it, then run the same command again"
        ) from error


def _prepared(prepare: Prepare, paths: Sequence[Path]) -> list[NDArray[np.uint8] | str]:
    return [_one(prepare, path) for path in paths]


def _one(prepare: Prepare, path: Path) -> NDArray[np.uint8] | str:
    try:
        return prepare(path)
    except ValueError as error:
        return str(error)
