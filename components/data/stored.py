"""A data set as it is stored, read in parts; what it is kept in is not the caller's concern."""

import os
from pathlib import Path
from typing import Protocol

from components.data.plain import PlainSet, Stamp, is_plain
from components.data.sources import Pair, RawData, Stretch, content_sha256, load


class StoredSet(Protocol):
    """A data set whose parts can be read.

    Attributes:
        train: the items of the training file, `test` of the test file.
        stamps: sizes and times of what is read again for each part; none for what is in memory.
    """

    train: int
    test: int
    stamps: tuple[Stamp, ...]

    def part(self, stretch: Stretch) -> Pair:
        """Returns images, uint8 [n, 28, 28], and labels, uint8 [n]."""

    def sha256(self) -> str:
        """Returns the digest of the content; see `content_sha256`."""


class MemorySet:
    """A set in memory."""

    def __init__(self, raw: RawData) -> None:
        """Takes what was read."""
        self._raw = raw
        self.train, self.test = len(raw.train_labels), len(raw.test_labels)
        self.stamps: tuple[Stamp, ...] = ()

    def part(self, stretch: Stretch) -> Pair:
        """Returns images, uint8 [n, 28, 28], and labels, uint8 [n]: views."""
        return self._raw.part(stretch)

    def sha256(self) -> str:
        """Returns the digest of the content."""
        return content_sha256(self._raw)


def open_set(location: str) -> StoredSet:
    """Opens a data set; a folder of plain IDX files stays on the disk, all else is read.

    Args:
        location: as `load`'s.

    Raises:
        DataError: as `load`.
    """
    if os.path.isdir(location) and is_plain(Path(location)):
        return PlainSet(Path(location))
    return MemorySet(load(location))
