"""Where versions are served from: a folder that a model server watches, or a bucket."""

import pathlib
import shutil
from typing import Protocol

from components import saved_model, versions

S3 = "s3://"


class UnknownPlace(ValueError):
    """Versions can neither be read from nor pushed to a place."""


class Served(Protocol):
    """Versions, numbered, each complete or absent."""

    def latest(self) -> int:
        """Returns the newest complete version, or 0 where there is none."""

    def digest(self, version: int) -> str:
        """Returns `saved_model.digest` of a version."""

    def fetch(self, version: int, target: pathlib.Path) -> None:
        """Copies a version into a folder, which is made."""

    def push(self, model: pathlib.Path) -> int:
        """Adds a SavedModel as a new version and returns its number, which only grows."""


def served_at(place: str) -> Served:
    """Returns the versions at a path or at `s3://bucket/prefix`.

    Raises:
      UnknownPlace: another scheme.
    """
    if place.startswith(S3):
        from components.s3_versions import S3Versions

        return S3Versions(place)
    if "://" in place:
        raise UnknownPlace(f"expected a folder, or s3://bucket/prefix, to push to; got {place}")
    return ServedFolder(pathlib.Path(place))


class ServedFolder:
    """A folder; see `versions` for how it is kept."""

    def __init__(self, base: pathlib.Path) -> None:
        """Takes the folder, which need not exist."""
        self._base = base

    def latest(self) -> int:
        """See `Served`."""
        return versions.latest(self._base)

    def digest(self, version: int) -> str:
        """See `Served`."""
        return saved_model.digest(self._base / str(version))

    def fetch(self, version: int, target: pathlib.Path) -> None:
        """See `Served`."""
        shutil.copytree(self._base / str(version), target, dirs_exist_ok=True)

    def push(self, model: pathlib.Path) -> int:
        """See `Served`."""
        return versions.push(model, self._base)
