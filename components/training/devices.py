"""Which devices of this machine a training runs on: the CPU, one GPU plainly, several mirrored."""

from collections.abc import Sequence

import tensorflow as tf

from components.settings import AUTO_DEVICES, DEVICES, MIRRORED, ONE_DEVICE


def prepare_gpus() -> list[str]:
    """Lets GPU memory grow as needed and returns the logical GPUs' names, such as `GPU:0`."""
    let_memory_grow()
    return [
        device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")
    ]


def let_memory_grow() -> None:
    """Lets GPU memory grow as needed, without starting a GPU.

    Memory growth cannot be changed once TensorFlow has started a GPU; then it stays as it is.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            break


def strategy_for(choice: str, gpus: Sequence[str]) -> tf.distribute.Strategy:
    """Returns the strategy of a training in this process alone.

    Args:
      choice: `auto` mirrors over all GPUs where there are several, `mirrored` insists on it, `one`
        takes the first. `multi-worker` is no choice here: see `components.training.cluster`.
      gpus: the names of those that there are.

    Raises:
      ValueError: the choice is unknown, or there are no GPUs to mirror over.
    """
    if choice == ONE_DEVICE or (choice == AUTO_DEVICES and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if choice not in (AUTO_DEVICES, MIRRORED):
        raise ValueError(f"expected devices of {', '.join(DEVICES)}; got {choice!r}")
    check_gpus(choice, len(gpus))
    return tf.distribute.MirroredStrategy(list(gpus))


def count_gpus() -> int:
    """Returns how many GPUs TensorFlow finds; none is started."""
    return len(tf.config.list_physical_devices("GPU"))


def describe_gpus() -> list[str]:
    """Returns each GPU's name and compute capability; none is started."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [f"{d.get('device_name')} {d.get('compute_capability')}" for d in details]


def check_gpus(choice: str, found: int) -> None:
    """Checks that there are GPUs to mirror over, where that was chosen.

    Raises:
      ValueError: there are not.
    """
    if choice == MIRRORED and found < 2:
        raise ValueError(
            f"expected at least 2 GPUs for the devices `{MIRRORED}`; found {found}: take "
            f"`{AUTO_DEVICES}`, or see `mnist-tfx doctor`"
        )
