"""Images a second with Keras' Adam and with ours, which passes over each weight once.

Two copies of a network train on one batch, taking turns in one process, in float32; each number is
the best of its rounds. Usage: python benchmarks/adam.py [--rounds 4] [--only vgg16]
"""

import argparse
import os
import pathlib
import sys
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # pipeline.py here hides the package

import keras
import numpy as np
import tensorflow as tf
from document_table import table

from components.models import alexnet, compiling, vgg16
from components.models.adam import OnePassAdam

ROWS = {"vgg16": (vgg16, (32, 32, 3)), "alexnet": (alexnet, (227, 227, 1))}
BATCH, STEPS = 32, 8


def main() -> None:
    """Trains and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", default="", help="a model's name")
    options = parser.parse_args()
    rows = [_row(name, options.rounds) for name in ROWS if options.only in ("", name)]
    print(table(("network, batch", "Keras' Adam", "ours", "ratio"), rows))


def _row(name: str, rounds: int) -> list[str]:
    module, shape = ROWS[name]
    random = np.random.default_rng(0)
    batch = random.random((BATCH, *shape), np.float32), random.integers(0, 10, BATCH)
    batches = tf.data.Dataset.from_tensors(batch).repeat()
    models = []
    for kind in (keras.optimizers.Adam, OnePassAdam):
        with mock.patch.object(compiling, "OnePassAdam", kind):
            models.append(module.build(compiling.HParams(1e-4), shape))
    turns = [[_rate(model, batches) for model in models] for _ in range(rounds + 1)][1:]
    theirs, ours = map(max, zip(*turns, strict=True))
    size = "x".join(map(str, shape))
    return [f"{name} {size}, {BATCH}", f"{theirs:.1f}", f"{ours:.1f}", f"{ours / theirs:.2f}"]


def _rate(model: keras.Model, batches: tf.data.Dataset) -> float:
    """Returns images a second, without the first step and the end of `fit`."""
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: ends.append(time.perf_counter())
    )
    model.fit(batches, steps_per_epoch=STEPS + 1, callbacks=[clock], verbose=0)
    return STEPS * BATCH / (ends[-1] - ends[0])


if __name__ == "__main__":
    main()
