"""The four plain IDX files of a folder, read in parts by offset, so that a set may be of any size.

What is in gzip, an archive or the installed package is read into memory instead: see `sources`.
"""

import contextlib
import gzip
import hashlib
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data.errors import (
    CLASSES,
    IMAGE_SHAPE,
    DataError,
    require_image_shape,
    require_labels,
    require_some,
)
from components.data.idx import IMAGES, LABELS, opened, read_header, require_length
from components.data.sources import TRAIN_FILE, Pair, Stretch, find_files, require_pairs

_PIXELS = math.prod(IMAGE_SHAPE)
_HEADER = {IMAGES: 16, LABELS: 8}  # bytes: the magic and the dimensions, four each
_ITEM = {IMAGES: _PIXELS, LABELS: 1}  # bytes
_CHUNK = 1 << 20

Stamp = tuple[int, int]


class PlainFile(NamedTuple):
    """A plain IDX file that is whole: its kind, its items, its size and time as it was seen."""

    path: Path
    magic: int
    items: int
    stamp: Stamp

    def read(self, first: int, count: int) -> NDArray[np.uint8]:
        """Returns items, uint8 [count, 28, 28] or uint8 [count].

        Raises:
            DataError: the file changed since it was seen.
        """
        size, content = _ITEM[self.magic], b""
        with contextlib.suppress(OSError), self.path.open("rb") as stream:
            stream.seek(_HEADER[self.magic] + first * size)
            content = stream.read(count * size)
            if _stamp(self.path) != self.stamp:
                content = b""
        if len(content) != count * size:
            raise DataError(f"{self.path}: expected the file as it was; it changed. Start again.")
        items = np.frombuffer(content, np.uint8)
        return items.reshape(-1, *IMAGE_SHAPE) if self.magic == IMAGES else items


class PlainSet:
    """A set in four plain files. `train` and `test` are its items; `stamps` tell another set."""

    def __init__(self, folder: Path) -> None:
        """Looks at the files; every label is checked, no pixel is read.

        Raises:
            DataError: as `load` of the same folder, but for the number of items, which is free.
        """
        paths = find_files(folder)
        kinds = (IMAGES, LABELS, IMAGES, LABELS)
        self._files = [_look_at(path, kind) for path, kind in zip(paths, kinds, strict=True)]
        require_pairs([file.items for file in self._files], [str(path) for path in paths])
        for file in self._files[1::2]:
            _check_labels(file)
        self.train, self.test = (file.items for file in self._files[::2])
        self.stamps = tuple(file.stamp for file in self._files)

    def part(self, stretch: Stretch) -> Pair:
        """Returns images, uint8 [n, 28, 28], and labels, uint8 [n].

        Raises:
            DataError: a file changed since it was looked at.
        """
        images, labels = self._files[:2] if stretch.file == TRAIN_FILE else self._files[2:]
        place = stretch.first, stretch.size
        return images.read(*place), labels.read(*place)

    def sha256(self) -> str:
        """Returns what `content_sha256` does of the same content; all is read, a MiB at a time."""
        digest = hashlib.sha256()
        for file in self._files:
            with opened(file.path) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        return digest.hexdigest()


def is_plain(folder: Path) -> bool:
    """Whether none of a folder's four files is in gzip.

    Raises:
        DataError: one is missing, or cannot be read.
    """
    return not any(_is_gzip(path) for path in find_files(folder))


def _is_gzip(path: Path) -> bool:
    with opened(path) as stream:
        return isinstance(stream, gzip.GzipFile)


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _look_at(path: Path, magic: int) -> PlainFile:
    with opened(path) as stream:
        count, *shape = read_header(stream, path, magic)
    require_some(count, path)
    if magic == IMAGES:
        require_image_shape(tuple(shape), path)
    found = PlainFile(path, magic, count, _stamp(path))
    require_length(found.stamp[0] - _HEADER[magic], count * _ITEM[magic], path)
    return found


def _check_labels(file: PlainFile) -> None:
    """Checks them a MiB at a time; where one is wrong, all are read for the words about it."""
    for first in range(0, file.items, _CHUNK):
        some = file.read(first, min(_CHUNK, file.items - first))
        if (some >= CLASSES).any():
            require_labels(file.read(0, file.items), file.path)
