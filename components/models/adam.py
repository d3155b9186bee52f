"""Adam with one pass over each weight and its moments in a step.

Keras' own Adam (3.15) writes out every intermediate of its formula. Of a network with tens of
millions of weights these are arrays that memory is asked for and filled at every step, which on a
CPU costs as much time as a part of its convolutions (`benchmarks/training.py`). TensorFlow has the
formula as one kernel for CPUs and GPUs.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class OnePassAdam(keras.optimizers.Adam):
    """Keras' Adam, step by step within rounding (without `amsgrad`), computed by one kernel.

    It leaves the weights alone where Keras puts their moving averages into the model at the end of
    each `fit`: a training that is made of two, since a kill cut it in two, would go on from another
    place.
    """

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Changes one weight and its moments; see Kingma and Ba 2014, arXiv:1412.6980."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )

    def _clip_gradients(self, grads: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        """Bounds the global norm, if that is asked for, without an array of squares."""
        if self.global_clipnorm is None:
            return super()._clip_gradients(grads)
        clipped, _ = tf.clip_by_global_norm(grads, self.global_clipnorm)
        return clipped

    def finalize_variable_values(self, var_list: list[Any]) -> None:
        """Leaves the weights as they are."""
