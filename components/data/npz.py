"""The archive `mnist.npz` in the layout of Keras, read without trust; not how it is fetched."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from components.data.errors import (
    DataError,
    require_count,
    require_file,
    require_image_shape,
    require_labels,
)
from components.data.idx import read_at_most

KEYS = ("x_train", "y_train", "x_test", "y_test")
_PLAIN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# What `zipfile` and `zlib` raise on a damaged archive, as found by damaging 50,000.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
)


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]


def read_npz(path: str | Path) -> tuple[NDArray[np.uint8], ...]:
    """Reads the four arrays of `mnist.npz`; nothing in it is unpickled.

    A member is unpacked only when its size is the one that its own header asks for.

    Returns:
        Train images uint8 [n, 28, 28], train labels uint8 [n] of 0..9, and the same two for test.

    Raises:
        DataError: missing, damaged, cut short, without one of KEYS, or an array of another shape,
            size, dtype or range.
    """
    try:
        with zipfile.ZipFile(require_file(path)) as archive:
            _require_keys(archive, path)
            return tuple(_read_array(archive, key, f"{path}: {key}") for key in KEYS)
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(
            f"{path}: expected a whole .npz archive, found no zip file or a damaged one "
            f"({error!r}). Fetch it again."
        ) from error


def _require_keys(archive: zipfile.ZipFile, path: str | Path) -> None:
    names = set(archive.namelist())
    missing = [key for key in KEYS if f"{key}.npy" not in names]
    if missing:
        found = ", ".join(sorted(names)[:8]) or "nothing"
        raise DataError(
            f"{path}: expected the arrays {', '.join(KEYS)}, found {found}; "
            f"missing {', '.join(missing)}. Save them with numpy.savez under those names."
        )


def _read_array(archive: zipfile.ZipFile, key: str, where: str) -> NDArray[np.uint8]:
    member = archive.getinfo(f"{key}.npy")
    # `zipfile` gives the other methods no bound on what one read unpacks.
    if member.compress_type not in _PLAIN_METHODS or member.flag_bits & _ENCRYPTED:
        raise DataError(
            f"{where}: expected a member that is stored or deflated, found an encrypted one or "
            "another compression. Save it with numpy.savez or numpy.savez_compressed."
        )
    with archive.open(member) as stream:
        header = _read_header(stream, where)
        _require_layout(header, images=key.startswith("x_"), where=where)
        promised = math.prod(header.shape) * header.dtype.itemsize
        _require_size(member.file_size - stream.tell(), promised, where)
        body = read_at_most(stream, promised)
    _require_size(len(body), promised, where)
    order: Literal["F", "C"] = "F" if header.fortran_order else "C"
    array = np.frombuffer(body, header.dtype).reshape(header.shape, order=order)
    return require_labels(array, where) if array.ndim == 1 else np.ascontiguousarray(array)


def _read_header(stream: IO[bytes], where: str) -> _Header:
    """Reads format 1.0, whose header has at most 64 KiB; NumPy reads a longer one unbounded."""
    start = stream.read(npy.MAGIC_LEN)
    if start != npy.MAGIC_PREFIX + b"\x01\x00":
        raise DataError(
            f"{where}: expected an array in npy format 1.0, found {start!r}. "
            "Save it with numpy.savez."
        )
    try:
        return _Header(*npy.read_array_header_1_0(stream))  # type: ignore[no-untyped-call]
    except Exception as error:  # it parses the text as Python, and any error can come of that
        raise DataError(
            f"{where}: expected an array's header, found one that cannot be read ({error}). "
            "Save it with numpy.savez."
        ) from error


def _require_layout(header: _Header, images: bool, where: str) -> None:
    fits = header.dtype == np.uint8 if images else header.dtype.kind in "iu"
    if not fits or len(header.shape) != (3 if images else 1):
        expected = "uint8 [n, 28, 28]" if images else "integers [n]"
        raise DataError(
            f"{where}: expected {expected}, found {header.dtype} {list(header.shape)}. "
            "Convert the array before it is saved."
        )
    require_count(header.shape[0], where)
    if images:
        require_image_shape(header.shape[1:], where)


def _require_size(found: int, promised: int, where: str) -> None:
    if found != promised:
        raise DataError(
            f"{where}: expected {promised:,} bytes after the array's header, found {found:,}. "
            "The archive is damaged; fetch it again."
        )
