"""TFRecords read so that each worker of an engine gets a part of the files."""

import contextlib
from collections.abc import Iterator
from unittest import mock

import apache_beam as beam
from tfx_bsl.tfxio import record_based_tfxio


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(bytes)
def read_tf_records(root: beam.Pipeline, file_pattern: list[str]) -> beam.PCollection[bytes]:
    """Returns the records of the files that match the patterns; Beam shuffles the files' names."""
    patterns = root | "Patterns" >> beam.Create(file_pattern)
    return patterns | "Read" >> beam.io.ReadAllFromTFRecord(coder=beam.coders.BytesCoder())


@contextlib.contextmanager
def spread_reading() -> Iterator[None]:
    """Has TFX-BSL read TFRecords with `read_tf_records` in pipelines that are made in the block.

    It takes Beam's `ReadFromTFRecord`, which has no shuffle between finding the files and reading
    them: Flink then leaves a split, all of its files, to one worker. There is no option for it.
    """
    with mock.patch.object(record_based_tfxio, "ReadTfRecord", read_tf_records):
        yield
