"""Serialized tf.Examples -> digits: from `image`, 784 integers, or `image_bytes`, a PNG."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.bulk import pictures
from components.bulk.pieces import SIDE

IMAGE, IMAGE_BYTES = "image", "image_bytes"  # as in the Examples that this product writes; a PNG
_PIXELS = SIDE * SIDE
_SPEC = {IMAGE: tf.io.RaggedFeature(tf.int64), IMAGE_BYTES: tf.io.RaggedFeature(tf.string)}
_UNREADABLE = (tf.errors.OpError, UnicodeDecodeError)  # the second by TensorFlow's own words

Digit = NDArray[np.uint8]


def decode(records: Sequence[bytes]) -> list[Digit | str]:
    """Returns for each record its digit, uint8 [28, 28], or why there is none."""
    if not records:
        return []
    try:
        parsed = tf.io.parse_example(list(records), _SPEC)
    except _UNREADABLE:
        return [_alone(record) for record in records]
    return _digits(parsed)


def _alone(record: bytes) -> Digit | str:
    """Decodes a record of a batch that has a damaged one."""
    try:
        parsed = tf.io.parse_example([record], _SPEC)
    except _UNREADABLE:
        return (
            f"expected a tf.Example with {IMAGE} (integers) or {IMAGE_BYTES} (a PNG); "
            "the record is none"
        )
    return _digits(parsed)[0]


def _digits(parsed: dict[str, Any]) -> list[Digit | str]:
    lengths = parsed[IMAGE].row_lengths().numpy()
    levels = parsed[IMAGE].flat_values.numpy()
    files = parsed[IMAGE_BYTES].row_lengths().numpy()
    if (lengths == _PIXELS).all() and levels.min() >= 0 and levels.max() <= 255:
        return list(levels.astype(np.uint8).reshape(-1, SIDE, SIDE))
    ends = np.cumsum(lengths)
    decoded = iter(pictures.decode(list(parsed[IMAGE_BYTES].flat_values.numpy())))
    return [
        _one(levels[end - length : end], [next(decoded) for _ in range(count)])
        for end, length, count in zip(ends, lengths, files, strict=True)
    ]


def _one(levels: NDArray[np.int64], pictures_of_it: list[Digit | str]) -> Digit | str:
    if not len(levels) and len(pictures_of_it) == 1:
        return pictures_of_it[0]
    if not len(levels) and not pictures_of_it:
        return f"expected {IMAGE} or {IMAGE_BYTES} in the tf.Example; neither is there"
    if len(levels) != _PIXELS:
        return f"expected {_PIXELS} integers in {IMAGE}, or one PNG; found {len(levels)}"
    if levels.min() < 0 or levels.max() > 255:
        return f"expected levels 0 to 255 in {IMAGE}; found {levels.min()} to {levels.max()}"
    return levels.astype(np.uint8).reshape(SIDE, SIDE)
