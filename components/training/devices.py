"""Which devices a training runs on: the CPU, one GPU plainly, or several mirrored."""

from collections.abc import Sequence

import tensorflow as tf


def prepare_gpus() -> list[str]:
    """Lets GPU memory grow as needed and returns the logical GPUs' names, such as `GPU:0`.

    Memory growth cannot be changed once TensorFlow has started a GPU; then it stays as it is.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            break
    return [
        device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")
    ]


def strategy_for(devices: Sequence[str]) -> tf.distribute.Strategy:
    """Returns the default strategy for at most one device, else a mirrored one over all of them."""
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy(list(devices))
    return tf.distribute.get_strategy()
