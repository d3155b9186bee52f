"""PNG bytes -> digits, as the model's signature `png` reads them; a digit, or why there is none."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.bulk.pieces import SIDE

MAGIC = b"\x89PNG\r\n\x1a\n"
_SIZES = slice(16, 24)  # width and height, four bytes each
_SHAPE = (SIDE, SIDE, 1)


def decode(files: Sequence[bytes]) -> list[NDArray[np.uint8] | str]:
    """Returns for each PNG its digit, uint8 [28, 28], or what is wrong with it.

    All are decoded at once, and one after another where one of them is damaged. Colours become
    grey, transparency is dropped, 16 bits become 8.
    """
    faults = [fault_of(file) for file in files]
    good = [file for file, fault in zip(files, faults, strict=True) if not fault]
    try:
        digits = iter(_decode_all(tf.constant(good, tf.string)).numpy())
    except (tf.errors.OpError, UnicodeDecodeError):
        digits = iter([_decode_one(file) for file in good])
    return [fault or next(digits) for fault in faults]


def fault_of(file: bytes) -> str:
    """Returns what a file's first bytes say is wrong, "" if nothing: no pixel is decoded for it."""
    if not file.startswith(MAGIC):
        return f"expected a PNG; the file {'begins otherwise' if file else 'is empty'}"
    if len(file) < _SIZES.stop:
        return "expected a whole PNG; the file is cut short"
    width, height = (int.from_bytes(file[at : at + 4], "big") for at in (16, 20))
    if (width, height) != (SIDE, SIDE):
        return f"expected a picture of {SIDE}x{SIDE} pixels; it has {width}x{height}"
    return ""


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
def _decode_all(files: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(_pixels, files, fn_output_signature=tf.TensorSpec((SIDE, SIDE), tf.uint8))


def _pixels(file: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.io.decode_png(file, channels=1), _SHAPE)[..., 0]


def _decode_one(file: bytes) -> NDArray[np.uint8] | str:
    try:
        return _pixels(tf.constant(file)).numpy()
    except (tf.errors.OpError, UnicodeDecodeError):
        return "expected a whole PNG; it cannot be decoded"
