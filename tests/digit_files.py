"""Writes digits as MnistExampleGen does, for tests of what reads them."""

import pathlib

import tensorflow as tf

from components.example_gen import to_examples
from components.training.dataset import Digits


def write_digits(folder: pathlib.Path, digits: Digits) -> str:
    """Writes digits as tf.Examples into a new folder; returns the pattern of its files."""
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as writer:
        for example in to_examples(digits.images, digits.labels):
            writer.write(example)
    return f"{folder}/*"
