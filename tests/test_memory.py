"""A batch that does not fit into memory fails a trial, not a run; what fits is found beforehand.

The memory runs out for real: a layer asks for more than any machine has where a batch is large.
TensorFlow waits ten seconds for memory before it gives up.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.features import to_pixels
from components.models.compiling import HParams, compile_classifier
from components.settings import ModelSettings, TuneSettings
from components.training.dataset import Digits
from components.training.fit import FitJob, OutOfMemory, fit
from components.tuning import probe
from components.tuning.component import trials_of
from components.tuning.hypermodel import BatchAndRate
from components.tuning.memory import fitting
from components.tuning.results import read_trials
from components.tuning.run import searcher
from tests.tuner_node import run_node, told, write_examples

pytestmark = pytest.mark.slow

STEPS_PER_EXECUTION = 1
MOST = 8  # images for which there is memory
BYTES = 1 << 50
WORDS = "in batches of 16; the device ran out of it: take a smaller batch"


class Hungry(keras.layers.Layer):
    """Answers with its input; a training step on more than MOST images needs 2**50 bytes."""

    def call(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return pixels
        count = tf.cast(tf.shape(pixels)[0], tf.int64)
        needed = tf.where(count > MOST, tf.constant(BYTES // 4, tf.int64), 1)
        return pixels + 0 * tf.reduce_sum(tf.random.uniform([needed]))


def build(hparams: HParams, input_shape: tuple[int, ...]) -> keras.Model:
    network = keras.Sequential(
        [
            keras.layers.Input(input_shape),
            Hungry(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )
    return compile_classifier(network, hparams)


def digits(count: int) -> Digits:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    return Digits(images, random.integers(0, 10, count))


def job(batch_size: int) -> FitJob:
    """A training of one epoch of 32 images."""
    return FitJob(
        what="rows",
        model=ModelSettings("rows", __name__, (28, 28, 1), "float32", "constant", seed=5),
        precision="float32",
        batch_size=batch_size,
        learning_rate=1e-3,
        epochs=1,
        patience=1,
        train=digits(32),
        eval_=digits(20),
        transform=lambda image: to_pixels(image, (28, 28, 1)),
        doctor=None,
    )


def test_a_full_disk_is_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "/state/x; No space left on device")

    monkeypatch.setattr("components.training.fit.run_epochs", full)
    with pytest.raises(tf.errors.ResourceExhaustedError, match="No space left on device"):
        fit(job(8))


def test_the_largest_is_tried_first_and_smaller_ones_only_where_it_does_not_fit() -> None:
    tried: list[int] = []
    assert fitting((32, 64, 128), tried.append) == (32, 64, 128)
    assert tried == [128]


def test_where_nothing_fits_the_smallest_is_named() -> None:
    def too_large(size: int) -> None:
        raise OutOfMemory(f"no memory for {size}")

    with pytest.raises(OutOfMemory, match="no memory for 16"):
        fitting((32, 16), too_large)


def test_a_trial_without_memory_fails_alone(tmp_path: pathlib.Path) -> None:
    asked = TuneSettings(
        ModelSettings("rows", "", (), "", "", seed=5), 32, 20, 1, (8, 16), (1e-3, 1e-2), 2,
        str(tmp_path), "", (("fits", 8, 1e-3), ("does not", 16, 1e-3)),
    )  # fmt: skip
    space = asked.batch_sizes, asked.learning_rates, ("fits", "does not")
    tuner = searcher(asked, BatchAndRate(job(0), *space), [])
    tuner.search()
    good, bad = trials_of(tuner)
    assert (good["status"], bad["status"]) == ("COMPLETED", "FAILED")
    assert WORDS in bad["message"]


@pytest.mark.parametrize(
    "words", ["CUDA_ERROR_OUT_OF_MEMORY: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"]
)
def test_cuda_without_memory_says_it_otherwise(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    def fails(message: str) -> Callable[..., None]:
        def fail(*_: object) -> None:
            raise tf.errors.InternalError(None, None, message)

        return fail

    monkeypatch.setattr("components.training.fit.run_epochs", fails(words))
    with pytest.raises(OutOfMemory, match="in batches of 8; the device ran out of it"):
        fit(job(8))
    monkeypatch.setattr("components.training.fit.run_epochs", fails("illegal memory access"))
    with pytest.raises(tf.errors.InternalError):
        fit(job(8))


def test_a_search_on_a_gpu_tries_what_fits_and_nothing_larger(
    transform_output: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.training.devices.count_gpus", lambda: 1)
    asked = TuneSettings(
        ModelSettings("rows", __name__, (32, 32, 3), "float32", "constant", seed=5), 32, 20, 1,
        (8, 16), (1e-3, 1e-2), 2, str(tmp_path / "state"), "",
    )  # fmt: skip
    examples = write_examples(tmp_path / "examples")
    _, results = run_node(examples, told(examples, transform_output, asked), tmp_path)
    assert [trial["batch_size"] for trial in read_trials(results)] == [8, 8]


def test_trials_side_by_side_have_one_gpu() -> None:
    assert [probe.first_gpu(visible) for visible in (None, "", "3", "5,3")] == ["0", "0", "3", "5"]


def test_a_probe_that_fails_says_where_its_words_are() -> None:
    with pytest.raises(probe.NothingFits, match="ended with 1: its own words are in the log"):
        probe.sizes_that_fit({"no": "field"}, one_gpu=True)
