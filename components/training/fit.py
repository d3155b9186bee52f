"""One training from numbers to weights: shared by the Tuner's trials and by the Trainer."""

import dataclasses
import importlib
import pathlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from components.models.averaging import Averages, momentum
from components.models.compiling import HParams
from components.settings import ModelSettings
from components.training import dataset, devices, replicas
from components.training.augmentation import augmentation
from components.training.checkpoint import Checkpoints
from components.training.cluster.channel import Channel
from components.training.dataset import Digits, Transform
from components.training.doctor.callback import Doctor
from components.training.doctor.diagnosis import Diagnosis
from components.training.doctor.thresholds import THRESHOLDS, Thresholds
from components.training.keeper import Keeper
from components.training.loop import run_epochs
from components.training.progress import Progress
from components.training.record import Record
from components.training.saver import CHECKPOINT_SECONDS, Saver
from components.training.schedule import learning_rate
from components.training.stopping import Stop

FEWEST_STEPS_AT_ONCE = 8
MEMORY = re.compile(r"\bOOM\b|memory|allocat", re.IGNORECASE)  # in TensorFlow's words for it
MEMORY_OF_CUDA = re.compile(r"out.of.memory|ALLOC_FAILED|failed to allocate", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class FitJob:
    """All that a training depends on.

    Attributes:
      what: how progress names it.
      precision: a Keras dtype policy, already resolved.
      patience: epochs without improvement before it stops.
      state_dir: folder for checkpoints, or None to keep nothing on disk.
      log_dir: folder for TensorBoard, or None.
      checkpoint_seconds: time between two checkpoints within an epoch.
      doctor: what counts as sick, or None for a training without a doctor.
    """

    what: str
    model: ModelSettings
    precision: str
    batch_size: int
    learning_rate: float
    epochs: int
    patience: int
    train: Digits
    eval_: Digits
    transform: Transform
    state_dir: pathlib.Path | None = None
    log_dir: pathlib.Path | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    doctor: Thresholds | None = THRESHOLDS


@dataclasses.dataclass(frozen=True)
class FitResult:
    """A model with the weights of its best epoch.

    Attributes:
      eval_probabilities: float32 [n, 10] of that epoch on `eval`.
      images_per_second: in training steps, validation not counted.
      diagnosis: of these weights; None without a doctor.
    """

    model: keras.Model
    record: Record
    eval_probabilities: np.ndarray
    images_per_second: float
    diagnosis: Diagnosis | None = None


class OutOfMemory(RuntimeError):
    """The device has not enough memory for a batch."""


def fit(job: FitJob, stop: Stop | None = None, channel: Channel | None = None) -> FitResult:
    """Trains, going on from a checkpoint where there is one, and returns the best epoch's model.

    Args:
      stop: obeyed after the steps that are being executed; a call with the same job goes on.
      channel: to the workers that follow, where this is the chief of several machines.

    Raises:
      OutOfMemory: the batch is too large for the device.
      TrainingDiverged: no epoch ended in good health.
      TrainingStopped: `stop` asked for it.
    """
    try:
        return _fit(job, stop or Stop(), channel)
    except (tf.errors.ResourceExhaustedError, tf.errors.InternalError) as error:
        words = MEMORY if isinstance(error, tf.errors.ResourceExhaustedError) else MEMORY_OF_CUDA
        if not words.search(error.message):  # a full disk is the first error too
            raise
        raise OutOfMemory(
            f"expected enough memory for {job.what} in batches of {job.batch_size}; the device ran "
            f"out of it: take a smaller batch ({error.message.splitlines()[0]})"
        ) from error


def _fit(job: FitJob, stop: Stop, channel: Channel | None) -> FitResult:
    keras.utils.set_random_seed(job.model.seed)
    steps = dataset.steps_in_epoch(len(job.train.labels), job.batch_size)
    model, steps = compiled(job, steps, channel)
    checkpoints = Checkpoints(job.state_dir, model) if job.state_dir else None
    state = checkpoints.restore() if checkpoints else None
    record = Record.from_state(state) if state else Record()
    averages = Averages(model)
    saver = Saver(record, checkpoints, stop, job.checkpoint_seconds, averages)
    keeper = Keeper(record, job.eval_, job.transform, job.patience, saver)
    keeper.set_model(model)
    doctor = _doctor(job, record, model, steps)
    if record.next_epoch < job.epochs and not (record.history and record.is_stale(job.patience)):
        _run(job, model, keeper, steps, doctor, channel)
    if doctor:
        doctor.name_the_end()
    keeper.restore_best()
    saver.raise_if_asked()
    images = len(record.history) * steps * job.batch_size
    rate = images / max(record.train_seconds, 1e-9)
    found = doctor.discharge(keeper.best_probabilities) if doctor else None
    return FitResult(model, record, keeper.best_probabilities, rate, found)


def _doctor(job: FitJob, record: Record, model: keras.Model, steps: int) -> Doctor | None:
    if not job.doctor:
        return None
    doctor = Doctor(record, job.train, job.transform, steps, job.doctor)
    doctor.set_model(model)
    return doctor


def follow(job: FitJob, channel: Channel) -> None:
    """Takes a worker's part in the training of a chief, with the same job but for what it keeps."""
    keras.utils.set_random_seed(job.model.seed)
    steps = dataset.steps_in_epoch(len(job.train.labels), job.batch_size)
    model, steps = compiled(job, steps, channel)
    replicas.follow(model, _batches(job, steps), channel)


def _run(
    job: FitJob,
    model: keras.Model,
    keeper: Keeper,
    steps: int,
    doctor: Doctor | None,
    channel: Channel | None,
) -> None:
    record = keeper.record
    progress = Progress(job.what, job.epochs, steps, job.batch_size, record.part.steps)
    callbacks = [doctor, keeper, progress] if doctor else [keeper, progress]
    if job.log_dir:
        callbacks.append(keras.callbacks.TensorBoard(str(job.log_dir), write_graph=False))
    run_epochs(model, _batches(job, steps), callbacks, record, job.epochs, steps, channel)


def _batches(job: FitJob, steps: int) -> replicas.Batches:
    augment, seed = augmentation(job.model.augmentation), job.model.seed

    def batches(epoch: int, step: int, share: dataset.Share) -> tf.data.Dataset:
        return dataset.training_batches(
            job.train, job.batch_size, job.transform, seed, epoch, steps, step, augment, share
        )

    return batches


def compiled(job: FitJob, steps: int, channel: Channel | None = None) -> tuple[keras.Model, int]:
    """Returns the compiled model and an epoch's steps, a multiple of those in one execution."""
    module = importlib.import_module(job.model.module)
    at_once = steps_at_once(steps, module.STEPS_PER_EXECUTION)
    steps -= steps % at_once
    rate = learning_rate(job.model.schedule, job.learning_rate, job.epochs * steps)
    strategy = (
        channel.strategy
        if channel
        else devices.strategy_for(job.model.devices, devices.prepare_gpus())
    )
    with dtype_policy(job.precision), strategy.scope():
        averaging = momentum(job.model.averaging, job.epochs * steps)
        hparams = HParams(rate, at_once, averaging, job.model.weight_decay)
        model = module.build(hparams, job.model.input_shape)
        model.optimizer.build(model.trainable_variables)
    return model, steps


def steps_at_once(steps: int, most: int) -> int:
    """Returns how many steps one execution runs: at most `most`, and best a divisor of `steps`.

    Where the best divisor is small, `most` is taken and the remainder of an epoch is left out.
    """
    divisor = max(d for d in range(1, most + 1) if steps % d == 0)
    few = divisor < FEWEST_STEPS_AT_ONCE <= most
    return most if few and steps >= 2 * most else divisor


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Makes a Keras dtype policy the default for the layers that are built inside."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
