"""Reading MNIST into arrays: where it comes from, what is refused, its digest and its splits."""

from components.data.errors import DataError
from components.data.idx import read_images, read_labels, to_idx_bytes
from components.data.sources import (
    EVAL,
    PACKAGED,
    SPLITS,
    TEST,
    TRAIN,
    RawData,
    content_sha256,
    load,
    split,
)

__all__ = [
    "EVAL",
    "PACKAGED",
    "SPLITS",
    "TEST",
    "TRAIN",
    "DataError",
    "RawData",
    "content_sha256",
    "load",
    "read_images",
    "read_labels",
    "split",
    "to_idx_bytes",
]
