"""What the user of `run` asked for, and whether it can be followed; no work is done here."""

import dataclasses
import os
import pathlib

from components import data
from components.models import DEFAULT_MODELS, REGISTRY
from components.settings import AUTO_DEVICES, MIRRORED, MULTI_WORKER
from components.training.cluster import config
from pipeline import engines
from pipeline.wrong_call import WrongCall


@dataclasses.dataclass(frozen=True)
class Options:
    """What the user asked for; the names are those of the command line."""

    profile: str
    models: str | None
    workdir: pathlib.Path
    data: str
    dag_runner: str
    precision: str | None
    no_tune: bool
    beam_args: tuple[str, ...]
    node_beam_args: tuple[str, ...] = ()
    parallel_trials: int = 1
    devices: str = AUTO_DEVICES

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models to compare, in order, each once.

        Raises:
          WrongCall: there are none, or one is unknown.
        """
        return model_names(self.models)


def model_names(text: str | None) -> tuple[str, ...]:
    """Returns the names in `--models`, in order, each once; the default ones for None.

    Raises:
      WrongCall: there are none, or one is unknown.
    """
    if text is None:
        return DEFAULT_MODELS
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or any(name not in REGISTRY for name in names):
        raise WrongCall(f"expected --models with names of {', '.join(REGISTRY)}; got {text!r}")
    return names


def check(options: Options) -> None:
    """Checks the options before anything is written.

    Raises:
      WrongCall: names what was expected and what came.
    """
    model_names(options.models)
    if options.parallel_trials < 1:
        raise WrongCall(f"expected --parallel-trials of 1 or more; got {options.parallel_trials}")
    if options.data not in ("", data.PACKAGED) and not pathlib.Path(options.data).exists():
        raise WrongCall(f"expected a folder or an .npz file at --data; {options.data} is not there")
    check_machines(options.devices)
    engines.check(options.beam_args)
    of_nodes = engines.node_arguments(options.node_beam_args)
    engines.check_names(of_nodes, engines.beam_nodes(options.model_names))
    for arguments in of_nodes.values():
        engines.check([*options.beam_args, *arguments])


def check_machines(devices: str) -> None:
    """Checks that this machine is the chief of several, where these are to train.

    Raises:
      WrongCall: it is not.
    """
    if devices == MULTI_WORKER:
        try:
            config.as_chief(os.environ)
        except config.BadCluster as error:
            raise WrongCall(str(error)) from error


def check_gpus(devices: str) -> None:
    """Checks that there are GPUs to mirror over, where that is asked for; imports TensorFlow then.

    Raises:
      WrongCall: there are not.
    """
    if devices == MIRRORED:
        from components.training.devices import check_gpus, count_gpus

        try:
            check_gpus(devices, count_gpus())
        except ValueError as error:
            raise WrongCall(str(error)) from error
