"""What a Tuner and a Trainer are told, as frozen dataclasses that survive the trip through JSON.

The graph writes them into `custom_config`, so they are part of a node's cache key; the entry points
read them back. Every number comes from a profile; only what a recipe may leave out has a default.
"""

import dataclasses
from typing import Any, Self

AUTO_DEVICES, ONE_DEVICE, MIRRORED, MULTI_WORKER = "auto", "one", "mirrored", "multi-worker"
DEVICES = (AUTO_DEVICES, ONE_DEVICE, MIRRORED, MULTI_WORKER)


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """What the Tuner and the Trainer of one model have in common.

    Attributes:
      name: the model's name in the registry.
      module: dotted path of the module that builds it.
      input_shape: (height, width, channels) that the network takes.
      precision: `auto`, or a Keras dtype policy such as `mixed_bfloat16`.
      schedule: of the learning rate: `one_cycle`, `warm_up` or `constant`.
      seed: of weights, dropout and the order of the images.
      augmentation: `none`, or how the images of a training are changed, such as `affine`.
      averaging: share of a training's steps over which its weights are averaged; 0 for none.
      weight_decay: see `components.models.compiling.HParams`.
      devices: what a training runs on, one of `DEVICES`; what comes out is the same.
    """

    name: str
    module: str
    input_shape: tuple[int, ...]
    precision: str
    schedule: str
    seed: int
    augmentation: str = "none"
    averaging: float = 0.0
    weight_decay: float = 0.0
    devices: str = AUTO_DEVICES


@dataclasses.dataclass(frozen=True)
class TuneSettings:
    """A search: each trial trains on the first `images` of `train` for `epochs`.

    Attributes:
      eval_images: how many of `eval` score a trial; 0 means all.
      batch_sizes: the choices.
      learning_rates: lowest and highest, searched on a log scale.
      trials: how many.
      runs: name, batch size and learning rate of each trial, in place of a search; or none.
      state_dir: where the search keeps what it must not lose when it is killed.
      code: digest of the code that the node runs.
    """

    model: ModelSettings
    images: int
    eval_images: int
    epochs: int
    batch_sizes: tuple[int, ...]
    learning_rates: tuple[float, float]
    trials: int
    state_dir: str
    code: str
    runs: tuple[tuple[str, int, float], ...] = ()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Reads what `to_config` wrote."""
        values = {**config, "model": _model(config["model"])}
        values["batch_sizes"] = tuple(config["batch_sizes"])
        values["learning_rates"] = tuple(config["learning_rates"])
        values["runs"] = tuple((name, size, rate) for name, size, rate in config["runs"])
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """A training on the first `images` of `train` for at most `epochs`.

    Attributes:
      eval_images: how many of `eval` are predicted after each epoch; 0 means all.
      patience: epochs without a better accuracy on `eval` after which it stops.
      hyperparameters: batch size and learning rate where no Tuner chooses them, else empty.
      rung: the name of the step of the time budget that set the sizes, for the report.
      state_dir: where checkpoints live until the training is done.
      keep_state: whether they stay until another training of the model, since the model is uploaded
        only after this one.
      code: digest of the code that the node runs.
    """

    model: ModelSettings
    images: int
    eval_images: int
    epochs: int
    patience: int
    hyperparameters: dict[str, float]
    rung: str
    state_dir: str
    code: str
    keep_state: bool = False

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Reads what `to_config` wrote."""
        return cls(**{**config, "model": _model(config["model"])})


def to_config(settings: TuneSettings | TrainSettings) -> dict[str, Any]:
    """Returns the settings as plain JSON values."""
    return dataclasses.asdict(settings)


def _model(values: dict[str, Any]) -> ModelSettings:
    return ModelSettings(**{**values, "input_shape": tuple(values["input_shape"])})
