"""The units of work: which records a piece has, and what reading it gives; no reading."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IDX, TFRECORD, PNG = "IDX", "TFRecord", "PNG"
SIDE = 28
NO_DIGITS = (0, SIDE, SIDE)


class Piece(NamedTuple):
    """Consecutive records that become one part of the output.

    Attributes:
      number: of the part, from 0.
      kind: IDX, TFRECORD or PNG.
      files: relative to the input; one, except for PNG, where each record is a file.
      first: the first record's place in its file; 0 for PNG.
      records: how many it has.
      offset: bytes before the first record, in the file's uncompressed stream.
    """

    number: int
    kind: str
    files: tuple[str, ...]
    first: int
    records: int
    offset: int

    def place(self, position: int) -> tuple[str, int]:
        """Returns the file and the place in it of the piece's record at `position`."""
        if self.kind == PNG:
            return self.files[position], 0
        return self.files[0], self.first + position


class Bad(NamedTuple):
    """A record that is no digit: its position in the piece, and why."""

    position: int
    reason: str


class Chunk(NamedTuple):
    """Some records of a piece: digits uint8 [n, 28, 28], their positions int64 [n], bad ones."""

    images: NDArray[np.uint8]
    positions: NDArray[np.int64]
    bad: tuple[Bad, ...] = ()

    @classmethod
    def of(cls, first: int, decoded: Sequence[NDArray[np.uint8] | str]) -> "Chunk":
        """Sorts records from position `first` on: a digit uint8 [28, 28], or why there is none."""
        records = list(enumerate(decoded, first))
        good = [(at, digit) for at, digit in records if not isinstance(digit, str)]
        bad = tuple(Bad(at, reason) for at, reason in records if isinstance(reason, str))
        images = np.stack([digit for _, digit in good]) if good else np.empty(NO_DIGITS, np.uint8)
        return cls(images, np.array([at for at, _ in good], np.int64), bad)


class Cut(NamedTuple):
    """A stretch of one file, of which a piece is made: see `Piece`."""

    files: tuple[str, ...]
    first: int
    records: int
    offset: int


def numbered(kind: str, cuts: Iterable[Cut]) -> Iterator[Piece]:
    """Numbers the cuts of an input in their order."""
    for number, cut in enumerate(cuts):
        yield Piece(number, kind, *cut)


def spans(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Yields (first, count) of consecutive stretches of at most `size`, in order."""
    for first in range(0, count, size):
        yield first, min(size, count - first)
