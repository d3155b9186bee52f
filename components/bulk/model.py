"""The model of a bulk prediction: loaded from a SavedModel, checked, and called; TensorFlow alone.

Keras is not needed: a SavedModel brings its graph.
"""

import functools
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components import saved_model
from components.bulk.faults import BulkFailed
from components.bulk.pieces import SIDE
from components.training.devices import let_memory_grow

SIGNATURE, IMAGE, PROBABILITIES = "serving_default", "image", "probabilities"
CLASSES = 10
_MOST_LETTERS = 200

Probabilities = NDArray[np.float32]


class Model:
    """A SavedModel in memory; calls release Python's lock."""

    def __init__(self, folder: pathlib.Path, signature: Any) -> None:
        """Takes what was loaded from a folder."""
        self._folder, self._signature = folder, signature

    def __call__(self, images: NDArray[np.uint8]) -> Probabilities:
        """Returns probabilities float32 [n, 10] for digits uint8 [n, 28, 28], n >= 1.

        Raises:
          BulkFailed: the model fails, or answers something else.
        """
        try:
            answer = self._signature(**{IMAGE: tf.constant(images)})[PROBABILITIES].numpy()
        except Exception as error:  # a graph may fail in any way
            raise _unusable(self._folder, _in_short(error)) from error
        if answer.shape != (len(images), CLASSES) or not np.isfinite(answer).all():
            raise _unusable(self._folder, "it answers something else than ten probabilities")
        return answer


@functools.lru_cache(maxsize=1)
def load(folder: pathlib.Path, digest: str, batch: int) -> Model:
    """Returns a model that has answered a batch of blank digits; a process loads it once.

    Args:
      digest: that the files must have; see `saved_model.digest`.

    Raises:
      BulkFailed: the files are others, or damaged.
    """
    if saved_model.digest(folder) != digest:
        raise _unusable(folder, "its files changed since the prediction began")
    let_memory_grow()  # workers may share a GPU
    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures[SIGNATURE]
    except Exception as error:  # a broken file raises whatever its parser does
        raise _unusable(folder, f"it does not load: {_in_short(error)}") from error
    model = Model(folder, signature)
    model.loaded = loaded  # type: ignore[attr-defined]  # the signature does not keep it alive
    model(np.zeros((batch, SIDE, SIDE), np.uint8))
    return model


def _unusable(folder: pathlib.Path, found: str) -> BulkFailed:
    return BulkFailed(
        f"expected a model that answers about digits in {folder}; {found}. Name another one with "
        "--model-version, or push it again"
    )


def _in_short(error: Exception) -> str:
    """Returns TensorFlow's words on one line, cut: they may go on for pages."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_MOST_LETTERS]}"
