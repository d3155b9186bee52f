"""A split is read by all workers of an engine, by the nodes that read it with TFX-BSL."""

import pathlib
from typing import Any

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that, equal_to
from tfx.components.evaluator import executor as evaluator_executor
from tfx.components.statistics_gen import executor as statistics_executor
from tfx_bsl.tfxio import raw_tf_record, record_based_tfxio

from components import evaluator, statistics_gen
from components.spread_reading import read_tf_records, spread_reading
from pipeline.beam_arguments import IN_MEMORY

pytestmark = pytest.mark.slow

RESHUFFLE = "beam:transform:reshuffle:v1"
RECORDS = [f"digit {number}".encode() for number in range(7)]


@pytest.fixture
def pattern(tmp_path: pathlib.Path) -> str:
    """Matches three files, one of them empty."""
    for number, records in enumerate((RECORDS[:3], [], RECORDS[3:])):
        path = tmp_path / f"data_tfrecord-{number:05d}-of-00003.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for record in records:
                writer.write(record)
    return str(tmp_path / "*")


def reading(root: beam.Pipeline, pattern: str) -> Any:
    source = raw_tf_record.RawTfRecordTFXIO(pattern, "raw", telemetry_descriptors=["tests"])
    return root | "Source" >> source.RawRecordBeamSource()


def shuffles(pattern: str) -> bool:
    """Returns whether a pipeline that reads the files shuffles before."""
    root = beam.Pipeline(argv=list(IN_MEMORY))
    reading(root, pattern)
    transforms = root.to_runner_api().components.transforms.values()
    return any(transform.spec.urn == RESHUFFLE for transform in transforms)


def test_files_are_shuffled_before_they_are_read(pattern: str) -> None:
    """Where TFX-BSL itself does it, at the end, the module is of no use any more."""
    with spread_reading():
        assert shuffles(pattern)
    assert not shuffles(pattern)


def test_every_record_is_read_once(pattern: str) -> None:
    with beam.Pipeline(argv=list(IN_MEMORY)) as root:
        with spread_reading():
            records = reading(root, pattern)
        assert_that(records, equal_to(RECORDS))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(statistics_gen, statistics_executor), (evaluator, evaluator_executor)],
    ids=["StatisticsGen", "Evaluator"],
)
def test_a_node_reads_that_way(
    ours: Any,
    theirs: Any,
    evaluated: tuple[dict[str, Any], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers = []
    monkeypatch.setattr(
        theirs.Executor, "Do", lambda *_: readers.append(record_based_tfxio.ReadTfRecord)
    )
    inputs, properties = evaluated
    ours.Executor().Do(inputs, {}, properties)
    assert readers == [read_tf_records]
    assert record_based_tfxio.ReadTfRecord is not read_tf_records
