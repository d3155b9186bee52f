"""Weights averaged over the last steps of a training: what Adam keeps of them, and their use."""

import keras


class Averages:
    """The averages of a compiled model's weights, to be put into it for a while.

    Where its optimizer keeps none, nothing happens.
    """

    def __init__(self, model: keras.Model) -> None:
        """Takes a model whose optimizer is built."""
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        averages = optimizer._model_variables_moving_average if optimizer.use_ema else []
        self._pairs = list(zip(optimizer._trainable_variables, averages, strict=False))
        self._in_use = False

    def use(self) -> None:
        """Puts the averages into the model, if they are not there yet."""
        if not self._in_use:
            self._swap()

    def put_back(self) -> None:
        """Puts the weights of the training back, if they are not there yet."""
        if self._in_use:
            self._swap()

    def _swap(self) -> None:
        for weight, average in self._pairs:
            value = keras.ops.convert_to_numpy(weight)
            weight.assign(average)
            average.assign(value)
        self._in_use = not self._in_use


def momentum(share: float, steps: int) -> float:
    """Returns the momentum of an average over about a share of a training's steps; 0 for none."""
    return max(1 - 1 / (share * steps), 0.0) if share * steps > 1 else 0.0
