"""The loop over epochs with Keras: the rest of one that was cut in two, then those after it."""

from collections.abc import Sequence

import keras

from components.training import replicas
from components.training.cluster.channel import Channel
from components.training.dataset import WHOLE
from components.training.record import Record
from components.training.replicas import Batches


def run_epochs(
    model: keras.Model,
    batches: Batches,
    callbacks: Sequence[keras.callbacks.Callback],
    record: Record,
    epochs: int,
    steps: int,
    channel: Channel | None = None,
) -> None:
    """Trains until the epochs are done or a callback stops it.

    Args:
      callbacks: among them a `Keeper` of the record.
      steps: batches in an epoch.
      channel: to the workers, where this is the chief of several machines.
    """
    if record.part.steps:
        _finish_epoch(model, batches, callbacks, record, steps, channel)
    first = record.next_epoch
    if first < epochs and not model.stop_training:
        _fit(model, batches, callbacks, range(first, epochs), 0, steps, channel)


def _finish_epoch(
    model: keras.Model,
    batches: Batches,
    callbacks: Sequence[keras.callbacks.Callback],
    record: Record,
    steps: int,
    channel: Channel | None,
) -> None:
    epoch, done = record.next_epoch, record.part.steps
    if done < steps:
        _fit(model, batches, callbacks, range(epoch, epoch + 1), done, steps - done, channel)
    else:  # Keras has no `fit` without a step, and only what ends an epoch is left
        ending = keras.callbacks.CallbackList(list(callbacks), model=model)
        ending.on_train_begin()
        ending.on_epoch_begin(epoch)
        ending.on_epoch_end(epoch, {})
        ending.on_train_end()


def _fit(
    model: keras.Model,
    batches: Batches,
    callbacks: Sequence[keras.callbacks.Callback],
    epochs: range,
    done: int,
    steps: int,
    channel: Channel | None,
) -> None:
    """Trains `steps` of each epoch, of the first those after the `done` ones."""
    if model.distribute_strategy.num_replicas_in_sync > 1:
        replicas.train(model, batches, callbacks, epochs, done, steps, channel)
        return
    model.fit(
        batches(epochs.start, done, WHOLE),
        epochs=epochs.stop,
        initial_epoch=epochs.start,
        steps_per_epoch=steps,
        callbacks=list(callbacks),
        verbose=0,
    )
