"""Which SavedModel a bulk prediction uses; it is not loaded."""

import dataclasses
import pathlib

from pipeline.wrong_call import WrongCall


@dataclasses.dataclass(frozen=True)
class ChosenModel:
    """A SavedModel's folder, which is named by its version where it was pushed."""

    folder: pathlib.Path

    @property
    def version(self) -> str:
        """What the rows of the output call it."""
        return self.folder.name


def choose(base: pathlib.Path, version: int | None) -> ChosenModel:
    """Returns the model at `base`: a SavedModel, or one of a folder of versions.

    Args:
      version: of those; None for the one that is served: the promoted, else the newest one.

    Raises:
      WrongCall: there is none, or not this one.
    """
    from serving import model_config, version_folder

    if not version_folder.missing(base):
        if version is not None:
            raise WrongCall(
                f"expected no --model-version, since {base} is one model; got {version}"
            )
        return ChosenModel(base)
    complete = version_folder.complete_versions(base)
    if not complete:
        raise WrongCall(
            f"expected a pushed version in {base}; there is none: `mnist-tfx run` pushes one, or "
            "name another folder with --workdir or --model-dir"
        )
    try:
        wanted = model_config.served_version(base) if version is None else version
    except model_config.ConfigError as error:
        raise WrongCall(f"{error}: mend it or remove it") from error
    if wanted not in complete:
        there = ", ".join(map(str, complete))
        raise WrongCall(f"expected --model-version of {there} in {base}; got {wanted or 'none'}")
    return ChosenModel(base / str(wanted))
