"""The error of this package and the checks every format shares; no reading and no format."""

import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGE_SHAPE = (28, 28)
CLASSES = 10
# 784 MB of pixels. EMNIST, the largest set in this layout that is in common use, has 814,255.
MAX_ITEMS = 1_000_000


class DataError(ValueError):
    """The data cannot be used; the message names the file and says what to do."""


def require_file(path: str | Path) -> Path:
    """Returns `path` as a Path.

    Raises:
        DataError: it is missing, unreadable, no regular file (reading a pipe would hang) or empty.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected a file, found none ({error}). Check the path and its permissions."
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path}: expected a file, found a directory. Name the file inside it.")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(
            f"{path}: expected a regular file, found a device or a pipe. Save it as a file first."
        )
    if status.st_size == 0:
        raise DataError(f"{path}: expected data, found an empty file (0 bytes). Fetch it again.")
    return Path(path)


def require_some(count: int, where: str | Path) -> None:
    """Checks a number of items that a header promises, where they are read in parts.

    Raises:
        DataError: it is less than 1.
    """
    if count < 1:
        raise DataError(
            f"{where}: expected at least one item, the header promises {count}. "
            "Give a file that holds data."
        )


def require_count(count: int, where: str | Path) -> None:
    """Checks a number of items that a header promises, before all are read on its word.

    Raises:
        DataError: it is not in 1..MAX_ITEMS.
    """
    require_some(count, where)
    if count > MAX_ITEMS:
        raise DataError(
            f"{where}: expected at most {MAX_ITEMS:,} items, the header promises {count:,}. "
            "The header is damaged, or the set is too large for memory: give plain IDX files."
        )


def require_image_shape(shape: tuple[int, ...], where: str | Path) -> None:
    """Checks the shape of one image.

    Raises:
        DataError: it is not 28x28.
    """
    if shape != IMAGE_SHAPE:
        raise DataError(
            f"{where}: expected images of {_times(IMAGE_SHAPE)}, found {_times(shape)}. "
            "Resize them before they are packed."
        )


def require_labels(labels: NDArray[np.integer[Any]], where: str | Path) -> NDArray[np.uint8]:
    """Returns `labels`, any integer dtype [n], as uint8 [n].

    Raises:
        DataError: one is not in 0..9.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if wrong.size:
        first = wrong[0]
        raise DataError(
            f"{where}: expected labels 0 to {CLASSES - 1}, found {labels[first]} at index {first} "
            f"({wrong.size} wrong in all). Correct the labels or leave those items out."
        )
    return labels.astype(np.uint8, copy=False)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
