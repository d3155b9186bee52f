"""What the user of `run` asked for, and whether it can be followed; no work is done here."""

import dataclasses
import pathlib

from components import data
from components.models import DEFAULT_MODELS, REGISTRY


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

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models to compare, in order, each once."""
        if self.models is None:
            return DEFAULT_MODELS
        return tuple(dict.fromkeys(name.strip() for name in self.models.split(",") if name.strip()))


class WrongCall(ValueError):
    """The options cannot be followed."""


def check(options: Options) -> None:
    """Checks the options before anything is written.

    Raises:
      WrongCall: names what was expected and what came.
    """
    unknown = [name for name in options.model_names if name not in REGISTRY]
    if unknown or not options.model_names:
        raise WrongCall(
            f"expected --models with names of {', '.join(REGISTRY)}; got {options.models!r}"
        )
    if options.data not in ("", data.PACKAGED) and not pathlib.Path(options.data).exists():
        raise WrongCall(f"expected a folder or an .npz file at --data; {options.data} is not there")
