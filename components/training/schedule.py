"""Learning rates over a training: constant, after a warm-up, or one cycle."""

import math

import keras
import tensorflow as tf

RISE = 0.2  # share of the steps in which the rate rises
START = 0.05  # share of the peak at the first step


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to the peak over a fifth of the steps, then falls to zero along a cosine.

    After Smith and Topin 2018, "Super-Convergence", https://arxiv.org/abs/1708.07120.
    """

    def __init__(self, peak: float, total_steps: int) -> None:
        """Takes the highest rate and the number of optimizer steps in the whole training."""
        self.peak = peak
        self.total_steps = total_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate at an optimizer step, a float32 scalar."""
        at = tf.cast(step, tf.float32) / max(self.total_steps, 1)
        rise = START + (1 - START) * at / RISE
        fall = (1 + tf.cos(math.pi * tf.minimum((at - RISE) / (1 - RISE), 1.0))) / 2
        return self.peak * tf.where(at < RISE, rise, fall)

    def get_config(self) -> dict[str, float]:
        """Returns the arguments of the constructor."""
        return {"peak": self.peak, "total_steps": self.total_steps}


class WarmUp(OneCycle):
    """Rises as one cycle does and stays at the peak."""

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate at an optimizer step, a float32 scalar."""
        risen = RISE * max(self.total_steps, 1)
        return super().__call__(tf.minimum(tf.cast(step, tf.float32), risen))


def learning_rate(kind: str, peak: float, total_steps: int) -> float | OneCycle:
    """Returns the rate of a schedule by its name.

    Raises:
      ValueError: the name is not `constant`, `warm_up` or `one_cycle`.
    """
    if kind == "constant":
        return peak
    if kind == "one_cycle":
        return OneCycle(peak, total_steps)
    if kind == "warm_up":
        return WarmUp(peak, total_steps)
    raise ValueError(f"expected the schedule 'constant', 'warm_up' or 'one_cycle'; got {kind!r}")
