"""Turns nested JSON values into arrays as NumPy does, where nothing is wrong with them."""

from itertools import chain
from typing import Any

import numpy as np

from serving.rest.explain import EXACT_INTEGERS
from serving.signatures import TensorSpec


def quick_array(value: Any, spec: TensorSpec) -> np.ndarray | None:
    """Returns the array if NumPy makes it of the right kind, without looking at single values."""
    if spec.dtype.kind not in "iuf":
        return None
    if spec.dtype == np.uint8 and (images := _images(value)) is not None:
        return images
    if not _numbers_alone(value):
        return None
    try:
        found = np.array(value)
    except (ValueError, OverflowError):
        return None
    if found.dtype.kind not in ("iu" if spec.dtype.kind in "iu" else "f") or not found.size:
        return None
    if spec.dtype.kind == "f":
        return _narrowed(found, spec)
    bounds = np.iinfo(spec.dtype)
    if found.min() < bounds.min or found.max() > bounds.max:
        return None
    return found.astype(spec.dtype)


def _numbers_alone(value: Any) -> bool:
    """Returns whether nested lists hold numbers and nothing else.

    NumPy would give each of some strings the room of the longest.
    """
    level = [value]
    while set(map(type, level)) == {list}:
        level = list(chain.from_iterable(level))
    return set(map(type, level)) <= {int, float}


def _images(value: Any) -> np.ndarray | None:
    """Returns lists of lists of lists of whole numbers below 256; in a third of NumPy's time."""
    try:
        rows = [row for image in value for row in image]
        if {*map(type, value), *map(type, rows)} != {list}:
            return None
        heights, widths = set(map(len, value)), set(map(len, rows))
        pixels = b"".join(map(bytes, rows))
    except (TypeError, ValueError, OverflowError):
        return None
    if len(heights) != 1 or len(widths) != 1 or not pixels:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(len(value), *heights, *widths)


def _narrowed(found: np.ndarray, spec: TensorSpec) -> np.ndarray | None:
    """Returns decimals in the signature's type if each is in the range that has no gaps."""
    largest = np.abs(found[np.isfinite(found)]).max(initial=0.0)
    return found.astype(spec.dtype) if largest <= EXACT_INTEGERS[spec.dtype] else None
