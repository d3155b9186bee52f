"""`MnistExampleGen`: ingests MNIST on Beam as tf.Examples in three splits, in file order.

Each shard is one Beam element and one file, so the order holds on every runner. The fingerprint is
the content's SHA-256, not sizes and times.
"""

import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx import types
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx_bsl.coders import example_coder

from components import data
from components.channels import Artifacts
from components.features import IMAGE, LABEL

DIGITS_PER_SHARD = 6_000
MOST_SHARDS = 10_000  # of a split: a job names each
DIGITS_AT_ONCE = 1_000  # as int64 6 MB
FAST = 1  # of gzip's levels: a quarter of the time of 6, an eighth larger
FILE_NAME = "data_tfrecord-{:05d}-of-{:05d}.gz"


class Shard(NamedTuple):
    """One file, and the digits that it has."""

    path: str
    digits: data.Stretch


class Source(NamedTuple):
    """Where the data is, and the digest that it must have ("" if unknown)."""

    location: str
    sha256: str


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads the data, checks its digest, writes the splits."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `examples`.

        Raises:
          DataError: the data cannot be read, or it changed since the run was planned.
        """
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        images = tuple(int(exec_properties[f"{name}_images"]) for name in data.SPLITS)
        source = Source(exec_properties["data"], exec_properties["sha256"])
        opened.cache_clear()  # the files may be others than those of the last run
        found = opened(source)
        digest = checked_digest(found, source.sha256)
        splits = data.stretches(found.train, found.test, *images)
        _describe(examples, digest, {name: digits.size for name, digits in splits.items()})
        shards = [s for name, digits in splits.items() for s in shards_of(examples, name, digits)]
        with self._make_beam_pipeline() as root:
            made = root | "Shards" >> beam.Create(shards) | beam.Reshuffle()
            _ = made | "Write" >> beam.Map(write_shard, source, found.stamps)


def _describe(examples: types.Artifact, digest: str, images: Mapping[str, int]) -> None:
    """Sets the properties that the nodes after this one, and the report, rely on."""
    for name, count in images.items():
        examples.set_int_custom_property(f"{name}_images", count)
    examples.split_names = artifact_utils.encode_split_names(list(data.SPLITS))
    examples.span = 0
    examples.set_string_custom_property(example_gen_utils.FINGERPRINT_PROPERTY_NAME, digest)
    examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, "tfrecords_gzip")


@functools.lru_cache(maxsize=1)
def opened(source: Source) -> data.StoredSet:
    """Returns the data set; a worker opens a source once.

    A shard names its digits instead of carrying them: Beam packs what a job carries with bz2, which
    took longer than all the rest, and engines bound a job's size.

    Raises:
      DataError: the data cannot be read, or what was read into memory is not what was expected.
    """
    found = data.open_set(source.location)
    if not found.stamps:
        checked_digest(found, source.sha256)
    return found


def checked_digest(found: data.StoredSet, expected: str) -> str:
    """Returns the digest of the content.

    Raises:
      DataError: another one was expected.
    """
    digest = found.sha256()
    if expected and digest != expected:
        raise data.DataError(
            f"expected data with SHA-256 {expected}; got {digest}: the files changed after the "
            "run was planned, start it again"
        )
    return digest


def shards_of(examples: types.Artifact, split: str, digits: data.Stretch) -> Iterator[Shard]:
    """Cuts a split into shards, in order: of DIGITS_PER_SHARD, larger ones above MOST_SHARDS."""
    folder = artifact_utils.get_split_uri([examples], split)
    size = max(DIGITS_PER_SHARD, -(-digits.size // MOST_SHARDS))
    files = -(-digits.size // size)
    for number in range(files):
        first = digits.first + number * size
        path = os.path.join(folder, FILE_NAME.format(number, files))
        yield Shard(path, digits._replace(first=first, last=min(first + size, digits.last)))


def write_shard(shard: Shard, source: Source, stamps: tuple[data.Stamp, ...]) -> None:
    """Writes one gzip TFRecord file of tf.Examples.

    Args:
      stamps: that the files must have which are read in parts, as when their digest was taken.

    Raises:
      DataError: the files changed.
    """
    found = opened(source)
    if found.stamps != stamps:
        raise data.DataError(
            f"{source.location}: expected the files whose digest was taken; they changed since: "
            "start the run again"
        )
    tf.io.gfile.makedirs(os.path.dirname(shard.path))
    options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=FAST)
    with tf.io.TFRecordWriter(shard.path, options) as writer:
        for first in range(shard.digits.first, shard.digits.last, DIGITS_AT_ONCE):
            last = min(first + DIGITS_AT_ONCE, shard.digits.last)
            for example in to_examples(*found.part(shard.digits._replace(first=first, last=last))):
                writer.write(example)


def to_examples(images: np.ndarray, labels: np.ndarray) -> list[bytes]:
    """Returns serialized tf.Examples: `image` 784 int64 in 0..255 and `label` one int64.

    tfx-bsl's encoder is compiled; tf.train.Example would take ten times as long.
    """
    columns = [_lists(images, len(labels)), _lists(labels, len(labels))]
    batch = pa.RecordBatch.from_arrays(columns, [IMAGE, LABEL])
    return list(example_coder.RecordBatchToExamplesEncoder().encode(batch))


def _lists(values: np.ndarray, count: int) -> pa.Array:
    """Returns `count` lists of equal length."""
    flat = values.astype(np.int64).ravel()
    ends = np.arange(count + 1, dtype=np.int64) * (flat.size // count)
    return pa.LargeListArray.from_arrays(ends, pa.array(flat))


class MnistExampleGenSpec(types.ComponentSpec):
    """See `MnistExampleGen`."""

    PARAMETERS = {
        "data": ExecutionParameter(type=str),
        "sha256": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
        **{f"{name}_images": ExecutionParameter(type=int) for name in data.SPLITS},
    }
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}


class MnistExampleGen(base_beam_component.BaseBeamComponent):
    """Ingests MNIST.

    Outputs `examples` with the splits `train` (the first four fifths of the training file), `eval`
    (its last fifth, as Keras' `validation_split` takes it) and `test`.
    """

    SPEC_CLASS = MnistExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, location: str, sha256: str, images: dict[str, int], code: str) -> None:
        """Takes where the data is, its digest ("" if unknown) and the images per split (0: all)."""
        super().__init__(
            MnistExampleGenSpec(
                data=location,
                sha256=sha256,
                code=code,
                examples=types.Channel(type=standard_artifacts.Examples),
                **{f"{name}_images": images[name] for name in data.SPLITS},
            )
        )
