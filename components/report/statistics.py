"""Reads TFDV's statistics and anomalies of each split, without TFDV."""

import pathlib
from collections.abc import Callable
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components.features import IMAGE, LABEL

STATISTICS_FILE = "FeatureStats.pb"
ANOMALIES_FILE = "SchemaDiff.pb"
PREFIX = "Split-"


def read_statistics(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Returns by split: images, how often each label comes, and figures of the pixels.

    Raises:
      FileNotFoundError: there are none.
    """
    return {
        split: _in_short(statistics_pb2.DatasetFeatureStatisticsList.FromString(content))
        for split, content in _files(folder, STATISTICS_FILE)
    }


def read_anomalies(
    folder: pathlib.Path, in_words: Callable[[anomalies_pb2.Anomalies], list[str]]
) -> dict[str, list[str]]:
    """Returns the anomalies of each split as sentences.

    Raises:
      FileNotFoundError: no split was looked at.
    """
    return {
        split: in_words(anomalies_pb2.Anomalies.FromString(content))
        for split, content in _files(folder, ANOMALIES_FILE)
    }


def _files(folder: pathlib.Path, name: str) -> list[tuple[str, bytes]]:
    files = {file.parent.name: file for file in folder.glob(f"{PREFIX}*/{name}")}
    if not files:
        raise FileNotFoundError(f"expected {folder}/{PREFIX}*/{name}; there is none")
    order = {f"{PREFIX}{split}": n for n, split in enumerate(("train", "eval", "test"))}
    names = sorted(files, key=lambda split: (order.get(split, len(order)), split))
    return [(split.removeprefix(PREFIX), files[split].read_bytes()) for split in names]


def _in_short(found: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, Any]:
    (dataset,) = found.datasets
    features = {f.name or f.path.step[0]: f for f in dataset.features}
    pixels, label = features[IMAGE].num_stats, features[LABEL]
    values = pixels.common_stats.tot_num_values or 1
    return {
        "images": int(dataset.num_examples),
        "labels": _counts(label),
        "pixel_mean": pixels.mean,
        "pixel_deviation": pixels.std_dev,
        "pixel_zeros": pixels.num_zeros / values,
    }


def _counts(label: statistics_pb2.FeatureNameStatistics) -> dict[str, int]:
    """Returns how often each label comes, which TFDV counts as it does words."""
    buckets = label.string_stats.rank_histogram.buckets
    counts = {bucket.label: int(bucket.sample_count) for bucket in buckets}
    return dict(sorted(counts.items(), key=lambda item: int(item[0])))
