"""The loop over epochs with Keras: the rest of one that was cut in two, then those after it."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from components.training.record import Record

Batches = Callable[[int, int], tf.data.Dataset]  # from an epoch, and a step of it, on


def run_epochs(
    model: keras.Model,
    batches: Batches,
    callbacks: Sequence[keras.callbacks.Callback],
    record: Record,
    epochs: int,
    steps: int,
) -> None:
    """Trains until the epochs are done or a callback stops it.

    Args:
      callbacks: among them a `Keeper` of the record.
      steps: batches in an epoch.
    """
    if record.part.steps:
        _finish_epoch(model, batches, callbacks, record, steps)
    first = record.next_epoch
    if first < epochs and not model.stop_training:
        _fit(model, batches(first, 0), callbacks, first, epochs, steps)


def _finish_epoch(
    model: keras.Model,
    batches: Batches,
    callbacks: Sequence[keras.callbacks.Callback],
    record: Record,
    steps: int,
) -> None:
    epoch, done = record.next_epoch, record.part.steps
    if done < steps:
        _fit(model, batches(epoch, done), callbacks, epoch, epoch + 1, steps - done)
    else:  # Keras has no `fit` without a step, and only what ends an epoch is left
        ending = keras.callbacks.CallbackList(list(callbacks), model=model)
        ending.on_train_begin()
        ending.on_epoch_begin(epoch)
        ending.on_epoch_end(epoch, {})
        ending.on_train_end()


def _fit(
    model: keras.Model,
    batches: tf.data.Dataset,
    callbacks: Sequence[keras.callbacks.Callback],
    first: int,
    end: int,
    steps: int,
) -> None:
    model.fit(
        batches,
        epochs=end,
        initial_epoch=first,
        steps_per_epoch=steps,
        callbacks=list(callbacks),
        verbose=0,
    )
