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
from components.data.summary import Summary, split_sizes, summarize

__all__ = [
    "EVAL",
    "PACKAGED",
    "SPLITS",
    "TEST",
    "TRAIN",
    "DataError",
    "RawData",
    "Summary",
    "content_sha256",
    "load",
    "read_images",
    "read_labels",
    "split",
    "split_sizes",
    "summarize",
    "to_idx_bytes",
]
