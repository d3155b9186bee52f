"""Checkpoints of a training: the newest two to go on from, and the best weights so far.

`tf.train.CheckpointManager` writes a checkpoint under a new name and lists it only when it is
complete; a file that was cut off afterwards is found by its checksums, and the one before is used.
"""

import json
import pathlib
from typing import Any

import keras
import tensorflow as tf

State = dict[str, Any]
UNREADABLE = (tf.errors.OpError, IndexError, ValueError, OSError)  # IndexError: cut off


class Checkpoints:
    """The checkpoints of one training in a folder of their own."""

    def __init__(self, folder: pathlib.Path, model: keras.Model) -> None:
        """Takes a compiled model whose optimizer is built."""
        self.folder = folder
        self._state = tf.Variable("{}", dtype=tf.string, trainable=False)
        self._only_state = tf.train.Checkpoint(state=self._state)
        whole = tf.train.Checkpoint(
            model=model, optimizer=model.optimizer, seeds=_seeds(model), state=self._state
        )
        # A model would bring its optimizer, which is twice as large, and is not to go back.
        self._best_weights = tf.train.Checkpoint(weights=model.weights)
        self._newest = tf.train.CheckpointManager(whole, str(folder / "newest"), max_to_keep=2)
        self._best = tf.train.CheckpointManager(
            self._best_weights, str(folder / "best"), max_to_keep=2
        )

    def save(self, state: State) -> None:
        """Saves weights, optimizer, seeds and `state` (JSON values).

        `state["best_epoch"]` names the epoch whose weights were saved as the best, -1 before any.
        """
        self._state.assign(json.dumps(state))
        latest = self._newest.latest_checkpoint
        # A number of its own each time: no file that can be read is ever written over.
        self._newest.save(int(latest.rpartition("-")[2]) + 1 if latest else 1)

    def save_best(self, epoch: int) -> None:
        """Saves the weights as the best so far."""
        self._best.save(epoch)

    def restore(self) -> State | None:
        """Restores the newest checkpoint that is intact, as its best weights must be.

        Returns its state, or None where there is none; the model is then as it was.
        """
        for path in reversed(self._newest.checkpoints):
            if intact(path):
                self._only_state.restore(path).expect_partial()
                state: State = json.loads(self._state.numpy())
                if state["best_epoch"] < 0 or self._best_path(state["best_epoch"]):
                    self._newest.checkpoint.restore(path).assert_existing_objects_matched()
                    return state
        return None

    def restore_best(self, epoch: int) -> bool:
        """Restores the weights saved as the best at `epoch`; False where they are not there."""
        path = self._best_path(epoch)
        if path:
            self._best_weights.restore(path).assert_existing_objects_matched()
        return bool(path)

    def _best_path(self, epoch: int) -> str | None:
        paths = (path for path in self._best.checkpoints if path.endswith(f"-{epoch}"))
        return next(filter(intact, paths), None)


def _seeds(model: keras.Model) -> list[keras.Variable]:
    """Returns the random states of dropout, which a checkpoint of a model leaves out."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def intact(path: str) -> bool:
    """Reads every tensor of a checkpoint, which verifies checksums; no model is touched."""
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except UNREADABLE:
        return False
    return True
