"""Reading MNIST into arrays: where it comes from, what is refused, its digest and its splits."""

from components.data.errors import DataError
from components.data.idx import read_images, read_labels, to_idx_bytes
from components.data.plain import Stamp
from components.data.sources import (
    EVAL,
    PACKAGED,
    SPLITS,
    TEST,
    TRAIN,
    Pair,
    RawData,
    Stretch,
    content_sha256,
    load,
    split,
    stretches,
)
from components.data.stored import StoredSet, open_set
from components.data.summary import Summary, split_sizes, summarize

__all__ = [
    "EVAL",
    "PACKAGED",
    "SPLITS",
    "TEST",
    "TRAIN",
    "DataError",
    "Pair",
    "RawData",
    "Stamp",
    "StoredSet",
    "Stretch",
    "Summary",
    "content_sha256",
    "load",
    "open_set",
    "read_images",
    "read_labels",
    "split",
    "split_sizes",
    "stretches",
    "summarize",
    "to_idx_bytes",
]
