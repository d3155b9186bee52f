"""Digits in memory, and the tf.data pipelines that feed them through the Transform graph.

The order of an epoch is a pseudo-random permutation computed from the seed and the epoch's number
(no shuffle buffer), so a training that goes on after a kill sees the images it would have seen.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from components.features import IMAGE, LABEL, SIDE
from components.training.augmentation import Augment

Transform = Callable[[tf.Tensor], tf.Tensor]
PREDICT_BATCH = 256
MOST_BATCHES_AT_ONCE = 16  # that are made in parallel, where there are as many cores
BATCHES_AHEAD = 4


@dataclasses.dataclass(frozen=True)
class Digits:
    """Images uint8 [n, 28, 28] and labels int64 [n], in file order."""

    images: np.ndarray
    labels: np.ndarray

    def first(self, count: int) -> "Digits":
        """Returns the first `count` digits, or all where `count` is 0."""
        end = count or len(self.labels)
        return Digits(self.images[:end], self.labels[:end])


@dataclasses.dataclass(frozen=True)
class Share:
    """Which parts of each batch this process computes: `count` from part `first` on, of `of`."""

    first: int = 0
    count: int = 1
    of: int = 1

    def bounds(self, number: tf.Tensor, batch_size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns for the part with that number, counted over all steps: step, begin, end."""
        step, part = number // self.count, number % self.count + self.first
        return step, part * batch_size // self.of, (part + 1) * batch_size // self.of


WHOLE = Share()


def read_split(pattern: str) -> Digits:
    """Reads the TFRecord files of one split, in the order of their names.

    Args:
      pattern: a glob such as TFX gives in `fn_args.train_files`.

    Raises:
      FileNotFoundError: no file matches.
    """
    parsed = read_records(pattern).batch(2048).map(parse)
    batches = [(b[IMAGE].astype(np.uint8), b[LABEL]) for b in parsed.as_numpy_iterator()]
    images, labels = zip(*batches, strict=True)
    return Digits(np.concatenate(images), np.concatenate(labels))


def read_records(pattern: str) -> tf.data.TFRecordDataset:
    """Returns the serialized tf.Examples of one split; see `read_split`."""
    files = sorted(tf.io.gfile.glob(pattern))
    if not files:
        raise FileNotFoundError(f"expected TFRecord files at {pattern}; found none")
    compression = "GZIP" if pathlib.PurePath(files[0]).suffix == ".gz" else ""
    return tf.data.TFRecordDataset(files, compression)


def parse(examples: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns `image` int64 [n, 28, 28] and `label` int64 [n] of serialized tf.Examples [n]."""
    spec = {
        IMAGE: tf.io.FixedLenFeature((SIDE, SIDE), tf.int64),
        LABEL: tf.io.FixedLenFeature((), tf.int64),
    }
    return tf.io.parse_example(examples, spec)


def steps_in_epoch(images: int, batch_size: int) -> int:
    """Returns the whole batches in an epoch; the incomplete last one is left out.

    Raises:
      ValueError: there are fewer images than one batch.
    """
    if images < batch_size:
        raise ValueError(
            f"expected at least one batch of {batch_size} images; got {images}: "
            "take a smaller batch size or more images"
        )
    return images // batch_size


def training_batches(
    digits: Digits,
    batch_size: int,
    transform: Transform,
    seed: int,
    first_epoch: int,
    steps: int,
    first_step: int = 0,
    augment: Augment | None = None,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Returns endless shuffled batches (float32 [batch, *input_shape], int64 [batch]).

    Args:
      first_epoch: the epoch to begin with; the order of each epoch depends on its number alone.
      steps: batches in an epoch, at most `steps_in_epoch`.
      first_step: the batch of that epoch to begin with.
      augment: changes the images, by a seed of each step.
      share: the parts of each batch to return, one after another; together they are the batch.
    """
    images, labels = tf.constant(digits.images), tf.constant(digits.labels)

    def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        step, begin, end = share.bounds(number, batch_size)
        epoch, position = step // steps, (step % steps) * batch_size
        places = tf.range(batch_size, dtype=tf.int64) + position
        order_seed = tf.cast(tf.stack([seed, epoch]), tf.int32)
        order = tf.random.experimental.index_shuffle(places, order_seed, len(digits.labels) - 1)
        chosen = tf.gather(images, order)
        if augment:
            chosen = augment(chosen, tf.cast(tf.stack([seed, step]), tf.int32))
        if share.of > 1:  # a slice would hide the size of a whole batch from the graph
            chosen, order = chosen[begin:end], order[begin:end]
        return transform(chosen), tf.gather(labels, order)

    numbers = tf.data.Dataset.counter((first_epoch * steps + first_step) * share.count)
    return _made_ahead(numbers, batch)


def prediction_batches(images: np.ndarray, transform: Transform) -> tf.data.Dataset:
    """Returns batches float32 [up to 256, *input_shape] in file order."""
    batches = tf.data.Dataset.from_tensor_slices(images).batch(PREDICT_BATCH)
    return _made_ahead(batches, transform)


def _made_ahead(dataset: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """Maps on all cores, some batches ahead, in order.

    The numbers are fixed since tf.data's tuner makes the end of a training wait: its thread sleeps
    up to a minute between two looks, and an iterator that is let go may have to sit that out (16 to
    31 s were seen, TensorFlow 2.21).
    """
    fixed = tf.data.Options()
    fixed.autotune.enabled = False
    at_once = min(len(os.sched_getaffinity(0)), MOST_BATCHES_AT_ONCE)
    mapped = dataset.map(function, num_parallel_calls=at_once, deterministic=True)
    return mapped.prefetch(BATCHES_AHEAD).with_options(fixed)
