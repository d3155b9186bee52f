"""The steps of a training on several replicas: devices of one machine, or of several.

Keras 3.15's own `fit` does not run over several machines
(https://github.com/keras-team/keras/issues/20585), fails at several steps in one execution on
mirrored devices, and clips the gradients of each replica before they are added. Here they are
added first, so that a step is that of one device on the whole batch.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from components.training.cluster.channel import BEGIN, END, STEP, Channel
from components.training.dataset import Share

Batches = Callable[[int, int, Share], tf.data.Dataset]  # from an epoch, and a step of it, on
Execute = Callable[[Iterator[Any]], tf.Tensor]
SUM = tf.distribute.ReduceOp.SUM


def train(
    model: keras.Model,
    batches: Batches,
    callbacks: Sequence[keras.callbacks.Callback],
    epochs: range,
    done: int,
    steps: int,
    channel: Channel | None = None,
) -> None:
    """Does what `model.fit` does without validation, on the replicas of the model's strategy.

    Args:
      epochs: their numbers.
      done: steps of the first epoch that are done.
      steps: those that each epoch has here, a multiple of the model's `steps_per_execution`.
      channel: to the workers, where this is the chief of several machines.
    """
    at_once = model.steps_per_execution
    called = keras.callbacks.CallbackList(list(callbacks), model=model)
    if channel:
        channel.tell(BEGIN, epochs.start, done)
        channel.level(state_of(model))
    iterator, execute = feed(model, batches, epochs.start, done), execution(model)
    model.stop_training = False
    called.on_train_begin()
    for epoch in epochs:
        called.on_epoch_begin(epoch)
        sums, logs = [0.0, 0.0, 0.0], {}
        for step in range(0, steps, at_once):
            called.on_train_batch_begin(step)
            if channel:
                channel.tell(STEP)
            sums = [a + b for a, b in zip(sums, execute(iterator).numpy().tolist(), strict=True)]
            logs = {"loss": sums[0] / sums[2], "accuracy": sums[1] / sums[2]}
            called.on_train_batch_end(step + at_once - 1, dict(logs))
            if model.stop_training:
                break
        called.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    called.on_train_end()


def follow(model: keras.Model, batches: Batches, channel: Channel) -> None:
    """Takes the steps that the chief tells, until it says that the training is at its end."""
    iterator: Iterator[Any] = iter(())
    execute = execution(model)
    while (order := channel.hear())[0] != END:
        what, epoch, step = order
        if what == BEGIN:
            channel.level(state_of(model))
            iterator, execute = feed(model, batches, epoch, step), execution(model)
        else:
            execute(iterator)


def state_of(model: keras.Model) -> list[keras.Variable]:
    """Returns what a training changes: weights, the optimizer's variables, states of dropout."""
    metrics = {id(variable) for variable in model.metrics_variables}
    own = [variable for variable in model.variables if id(variable) not in metrics]
    return [*own, *model.optimizer.variables]


def feed(model: keras.Model, batches: Batches, epoch: int, step: int) -> Iterator[Any]:
    """Returns the batches of this process' replicas: to each its share of every batch."""

    def of_process(context: tf.distribute.InputContext) -> tf.data.Dataset:
        replicas = context.num_replicas_in_sync
        here = replicas // context.num_input_pipelines
        return batches(epoch, step, Share(context.input_pipeline_id * here, here, replicas))

    return iter(model.distribute_strategy.distribute_datasets_from_function(of_process))


def execution(model: keras.Model) -> Execute:
    """Returns the function that takes the steps of one execution.

    Its answer is float32 [3]: over the images of all replicas, the sum of their losses, how many
    were right, and how many there were.
    """
    strategy, at_once = model.distribute_strategy, model.steps_per_execution
    add_nothing_again(model.optimizer)

    def of_replica(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        replica = tf.distribute.get_replica_context()
        count = tf.cast(tf.shape(labels)[0], tf.float32)
        everywhere = replica.all_reduce(SUM, count)
        with tf.GradientTape() as tape:
            probabilities = model(images, training=True)
            # Keras divides the mean of this share by the number of replicas.
            loss = model.compute_loss(images, labels, probabilities)
            mean = loss * strategy.num_replicas_in_sync
            scaled = model.optimizer.scale_loss(mean * count / everywhere)
        weights = model.trainable_weights
        gradients = replica.all_reduce(SUM, tape.gradient(scaled, weights))
        model.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        right = tf.cast(tf.argmax(probabilities, -1) == labels, tf.float32)
        return tf.stack([mean * count, tf.reduce_sum(right), count])

    @tf.function
    def execute(iterator: Iterator[Any]) -> tf.Tensor:
        sums = tf.zeros(3)
        for _ in tf.range(at_once):
            sums += strategy.reduce(SUM, strategy.run(of_replica, next(iterator)), axis=None)
        return sums

    return execute


def add_nothing_again(optimizer: keras.optimizers.Optimizer) -> None:
    """Keeps an optimizer from adding up the gradients of replicas, which is done before."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner._all_reduce_sum_gradients = list
