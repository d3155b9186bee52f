"""Looks into a network: one forward and backward pass of a small batch, outside of the training.

It reads weights and the optimizer's state and writes nothing: dropout is off, batch normalisation
uses its moving figures, and no random number is drawn.
"""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from components.training.doctor.chart import Layer, Sample

LARGEST_SCALE = 1024.0  # lifts float16's gradients, and is small enough that healthy ones fit


@dataclasses.dataclass(frozen=True)
class _Row:
    """A layer with weights, and where its output and its ReLU's are among the layers' outputs."""

    layer: keras.Layer
    output: int
    relu: int | None

    @property
    def kernels(self) -> list[Any]:
        """Its kernel, or all its trainable weights where it has none."""
        kernel = getattr(self.layer, "kernel", None)
        return self.layer.trainable_weights if kernel is None else [kernel]


class Sampler:
    """Takes samples of a compiled classifier whose layers form a graph, such as a `Sequential`."""

    def __init__(self, model: keras.Model, pixels: tf.Tensor, labels: tf.Tensor) -> None:
        """Takes the batch that is kept aside: float32 [n, *input_shape] and int64 [n]."""
        layers = [x for x in model.layers if not isinstance(x, keras.layers.InputLayer)]
        self._rows = _rows(layers)
        self._probe = keras.Model(model.inputs, [layer.output for layer in layers])
        optimizer = model.optimizer
        self._scale = getattr(optimizer, "dynamic_scale", None)
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        self._half = any(layer.compute_dtype == "float16" for layer in layers)
        self._batch = pixels, labels
        self._look = tf.function(self._figures, autograph=False)

    def take(self, step: int, epoch: int) -> Sample:
        """Returns what the network looks like after so many steps, in that epoch (from 0)."""
        found = self._look()
        loss, top, share, scale = found["whole"].numpy().tolist()
        layers = [
            _layer(row, *figures)
            for row, figures in zip(self._rows, found["layers"].numpy().tolist(), strict=True)
        ]
        return Sample(step, epoch, loss, int(top), share, scale, self._half, tuple(layers))

    def _figures(self) -> dict[str, tf.Tensor]:
        """Returns `whole` float32 [4] and `layers` float32 [rows, 5], as `take` names them."""
        pixels, labels = self._batch
        scale = tf.zeros(()) if self._scale is None else tf.cast(self._scale, tf.float32)
        factor = tf.clip_by_value(scale, 1.0, LARGEST_SCALE)
        variables = [_primary(v) for row in self._rows for v in row.layer.trainable_weights]
        with tf.GradientTape() as tape:
            outputs = self._probe(pixels, training=False)
            outputs = outputs if isinstance(outputs, list) else [outputs]
            losses = keras.losses.sparse_categorical_crossentropy(labels, outputs[-1])
            scaled = tf.reduce_mean(losses) * factor
        gradients = iter(tape.gradient(scaled, variables))
        norms = [
            _norm([next(gradients) for _ in row.layer.trainable_weights]) / factor
            for row in self._rows
        ]
        rows = [
            tf.stack([norm, *self._weight_and_update(row, norm), *_outputs(row, outputs)])
            for row, norm in zip(self._rows, norms, strict=True)
        ]
        answers = tf.argmax(outputs[-1], -1)
        counts = tf.math.bincount(tf.cast(answers, tf.int32), minlength=outputs[-1].shape[-1])
        share = tf.reduce_max(counts) / tf.reduce_sum(counts)
        top = tf.cast(tf.argmax(counts), tf.float32)
        whole = [scaled / factor, top, tf.cast(share, tf.float32), scale]
        return {"whole": tf.stack(whole), "layers": tf.stack(rows)}

    def _weight_and_update(self, row: _Row, gradient: tf.Tensor) -> list[tf.Tensor]:
        """Returns the norm of the kernel, and that of Adam's last step over it.

        For another optimizer the step is taken to be the rate times the gradient.
        """
        weight = _norm([_primary(kernel) for kernel in row.kernels])
        optimizer = self._optimizer
        rate = tf.cast(optimizer.learning_rate, tf.float32)
        if not isinstance(optimizer, keras.optimizers.Adam):
            step = rate * gradient
        else:
            places = [optimizer._get_variable_index(k) for k in row.kernels if k.trainable]
            steps = [self._adam(optimizer._momentums[i], optimizer._velocities[i]) for i in places]
            done = tf.cast(optimizer.iterations, tf.float32)
            times = tf.maximum(done, 1.0)
            corrected = tf.sqrt(1 - optimizer.beta_2**times) / (1 - optimizer.beta_1**times)
            step = rate * corrected * _norm(steps)
        return [weight, tf.math.divide_no_nan(step, weight)]

    def _adam(self, momentum: Any, velocity: Any) -> tf.Tensor:
        root = tf.sqrt(tf.cast(_primary(velocity), tf.float32))
        return tf.cast(_primary(momentum), tf.float32) / (root + self._optimizer.epsilon)


def _rows(layers: list[keras.Layer]) -> list[_Row]:
    rows: list[_Row] = []
    for place, layer in enumerate(layers):
        if layer.trainable_weights or hasattr(layer, "kernel"):
            rows.append(_Row(layer, place, place if _is_relu(layer) else None))
        elif rows and _is_relu(layer) and rows[-1].relu is None:
            rows[-1] = dataclasses.replace(rows[-1], relu=place)
    return rows


def _is_relu(layer: keras.Layer) -> bool:
    if isinstance(layer, keras.layers.ReLU):
        return True
    return getattr(layer, "activation", None) is keras.activations.relu


def _outputs(row: _Row, outputs: list[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the share of units that are 0 everywhere, -1 without ReLUs, and the spread."""
    spread = tf.math.reduce_std(tf.cast(outputs[row.output], tf.float32))
    if row.relu is None:
        return [tf.constant(-1.0), spread]
    values = outputs[row.relu]
    highest = tf.reduce_max(values, axis=list(range(len(values.shape) - 1)))
    return [tf.reduce_mean(tf.cast(highest <= 0, tf.float32)), spread]


def _norm(values: list[Any]) -> tf.Tensor:
    """Returns the norm of some tensors together, float32; None stands for zeros."""
    squares = [tf.reduce_sum(tf.square(tf.cast(v, tf.float32))) for v in values if v is not None]
    return tf.sqrt(tf.add_n(squares)) if squares else tf.zeros(())


def _primary(variable: keras.Variable) -> Any:
    """Returns TensorFlow's variable; on mirrored devices, the first device's."""
    value = variable.value
    return value.values[0] if hasattr(value, "values") else value


def _size(layer: keras.Layer) -> int:
    return sum(int(tf.size(weight.value)) for weight in layer.trainable_weights)


def _layer(
    row: _Row, gradient: float, weight: float, update: float, dead: float, spread: float
) -> Layer:
    share = None if row.relu is None else dead
    return Layer(row.layer.name, _size(row.layer), gradient, weight, update, share, spread)
