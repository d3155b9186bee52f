"""What every model shares: its hyperparameters and the way in which it is compiled."""

import dataclasses

import keras

from components.models.adam import OnePassAdam


@dataclasses.dataclass(frozen=True)
class HParams:
    """What a model is built from.

    Attributes:
      learning_rate: Adam's rate, or a schedule over the steps.
      steps_per_execution: training steps that one call of the compiled graph runs.
      averaging: momentum of the moving average of the weights that Adam keeps, or 0 for none.
      weight_decay: share of the rate by which each step shrinks kernels, apart from the gradient
        (Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101), or 0 for none.
    """

    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule
    steps_per_execution: int = 1
    averaging: float = 0.0
    weight_decay: float = 0.0


def compile_classifier(
    model: keras.Model, hparams: HParams, clip_norm: float | None = None
) -> keras.Model:
    """Compiles a softmax classifier with Adam on sparse labels, as the study does, and returns it.

    XLA is off: with it, training took four times as long on a CPU with AMX.

    Args:
      model: takes float32 [batch, *input_shape], answers probabilities [batch, classes].
      hparams: the learning rate and the steps in one execution.
      clip_norm: bound of the global gradient norm, or None for no bound.
    """
    optimizer = OnePassAdam(
        hparams.learning_rate,
        weight_decay=hparams.weight_decay or None,
        global_clipnorm=clip_norm,
        use_ema=hparams.averaging > 0,
        ema_momentum=hparams.averaging,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(
        optimizer=optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=hparams.steps_per_execution,
        jit_compile=False,
    )
    return model
