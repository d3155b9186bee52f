"""Where MNIST comes from, its digest and its three splits; not how each format is read."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data.errors import DataError
from components.data.idx import read_images, read_labels, to_idx_bytes
from components.data.npz import KEYS, read_npz
from components.data.packaged import read_packaged

TRAIN = "train"
EVAL = "eval"
TEST = "test"
SPLITS = (TRAIN, EVAL, TEST)
TRAIN_FILE, TEST_FILE = "train", "t10k"
PACKAGED = "packaged"
# Keras: `floor(n * (1.0 - validation_split))` items are trained on, the last ones validate.
_VALIDATION_SPLIT = 0.2
# In the order of RawData's fields; {} is a hyphen in the names of old, a dot in many copies.
_IDX_STEMS = (
    "train-images{}idx3-ubyte",
    "train-labels{}idx1-ubyte",
    "t10k-images{}idx3-ubyte",
    "t10k-labels{}idx1-ubyte",
)


Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class Stretch(NamedTuple):
    """The items from `first` to before `last` of TRAIN_FILE or TEST_FILE."""

    file: str
    first: int
    last: int

    @property
    def size(self) -> int:
        """How many items it has."""
        return self.last - self.first


@dataclass(frozen=True, eq=False)
class RawData:
    """The two files of MNIST: images uint8 [n, 28, 28] and labels uint8 [n] of 0..9 for each."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]

    def part(self, stretch: Stretch) -> Pair:
        """Returns images, uint8 [n, 28, 28], and labels, uint8 [n]: views."""
        at = slice(stretch.first, stretch.last)
        if stretch.file == TRAIN_FILE:
            return self.train_images[at], self.train_labels[at]
        return self.test_images[at], self.test_labels[at]


def load(location: str) -> RawData:
    """Reads a data set.

    Args:
        location: "" or "packaged" for the MNIST that is installed with this product; a folder
            with the four IDX files, plain or gzip; or an `.npz` file in the layout of Keras. A
            folder that is itself called `packaged` is written `./packaged`.

    Raises:
        DataError: none of these, damaged, or images and labels of unequal number.
    """
    if location in ("", PACKAGED):
        return RawData(*read_packaged())
    if os.path.isdir(location):
        return _load_folder(Path(location))
    if location.lower().endswith(".npz"):
        return _paired(RawData(*read_npz(location)), [f"{location}: {key}" for key in KEYS])
    raise DataError(
        f'{location}: expected "{PACKAGED}", a folder with the four IDX files or an .npz file, '
        "found none of them. Check the path."
    )


def content_sha256(data: RawData) -> str:
    """Returns one SHA-256 in hex over the four uncompressed IDX files, in the fields' order.

    So it tells the content alone: the format, the compression and the files' times are not in it.
    """
    digest = hashlib.sha256()
    for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        digest.update(to_idx_bytes(array))
    return digest.hexdigest()


def split(data: RawData, train: int, eval_: int, test: int) -> dict[str, Pair]:
    """Cuts the data into SPLITS, in file order, as Keras' `validation_split=0.2` does.

    Args:
        data: what `load` returned.
        train: at most so many of the first 80% of the training file; 0 means all.
        eval_: at most so many of its last 20%; 0 means all.
        test: at most so many of the test file; 0 means all.

    Returns:
        For each split its images, uint8 [n, 28, 28], and labels, uint8 [n]: views, n >= 1.

    Raises:
        DataError: a size is negative, or a split would be empty.
    """
    counts = len(data.train_labels), len(data.test_labels)
    cut = stretches(*counts, train, eval_, test)
    return {name: data.part(stretch) for name, stretch in cut.items()}


def stretches(
    train_items: int, test_items: int, train: int, eval_: int, test: int
) -> dict[str, Stretch]:
    """Returns where each of SPLITS is; the last three arguments and the errors are `split`'s."""
    at = int(train_items * (1.0 - _VALIDATION_SPLIT))
    return {
        TRAIN: _first(TRAIN_FILE, 0, at, train, TRAIN),
        EVAL: _first(TRAIN_FILE, at, train_items, eval_, EVAL),
        TEST: _first(TEST_FILE, 0, test_items, test, TEST),
    }


def _first(file: str, first: int, last: int, size: int, name: str) -> Stretch:
    if size < 0:
        raise DataError(
            f"split {name}: expected a size of 0 (all) or more, found {size}. Give another size."
        )
    if first == last:
        raise DataError(
            f"split {name}: expected at least one item, found none. "
            "Give a training file of two items or more and a test file of one or more."
        )
    return Stretch(file, first, min(last, first + size) if size else last)


def find_files(folder: Path) -> list[Path]:
    """Returns the four IDX files of a folder, in the order of RawData's fields.

    Raises:
        DataError: one is missing.
    """
    found = [_find(folder, stem) for stem in _IDX_STEMS]
    missing = [stem.format("-") for stem, path in zip(_IDX_STEMS, found, strict=True) if not path]
    if missing:
        raise DataError(
            f"{folder}: expected four IDX files (plain or .gz, - or . before idx), "
            f"found none for {', '.join(missing)}. Put them into the folder."
        )
    return [path for path in found if path]


def _load_folder(folder: Path) -> RawData:
    paths = find_files(folder)
    readers = (read_images, read_labels, read_images, read_labels)
    data = RawData(*(read(path) for read, path in zip(readers, paths, strict=True)))
    return _paired(data, [str(path) for path in paths])


def _find(folder: Path, stem: str) -> Path | None:
    """Returns the file for `stem`; a plain one comes before one in gzip."""
    names = [stem.format(mark) + suffix for suffix in ("", ".gz") for mark in "-."]
    return next((folder / name for name in names if os.path.isfile(folder / name)), None)


def _paired(data: RawData, names: list[str]) -> RawData:
    """Returns `data` when every image has its label; `names` are the sources of its fields."""
    arrays = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    require_pairs([len(array) for array in arrays], names)
    return data


def require_pairs(counts: Sequence[int], names: Sequence[str]) -> None:
    """Checks that every image has its label.

    Args:
        counts: the items of the four files, in the order of RawData's fields.
        names: where they come from.

    Raises:
        DataError: there are more of one than of the other.
    """
    for at in (0, 2):
        if counts[at] != counts[at + 1]:
            raise DataError(
                f"expected one label an image, found {counts[at]} images in {names[at]} "
                f"and {counts[at + 1]} labels in {names[at + 1]}. Give files that belong together."
            )
