"""Installed versions against the wanted ones, by metadata alone; imports no package it checks."""

from collections.abc import Mapping
from functools import partial
from importlib import metadata
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.doctor.check import REINSTALL, Check, guarded

_PACKAGES: Final = (
    *("tfx", "tensorflow", "keras", "apache-beam", "keras-tuner", "ml-metadata"),
    *("tensorflow-data-validation", "tensorflow-model-analysis", "tensorflow-serving-api"),
    *("protobuf", "numpy"),
)

# What [tool.uv] in pyproject.toml sets against TFX's own word; no installed metadata says it.
_OLD_GLIBC: Final = "the last with wheels for glibc below 2.39"
OVERRIDDEN: Final[Mapping[str, tuple[str, str]]] = {
    "ml-metadata": ("==1.17.1", _OLD_GLIBC),
    "tensorflow-data-validation": ("==1.16.1", _OLD_GLIBC),
}


def software_checks() -> list[Check]:
    """The packages that a run stands or falls with, one line each."""
    return [guarded(name, partial(installed_check, name)) for name in _PACKAGES]


def installed_check(name: str) -> Check:
    """The installed version of `name` against what the project, or else TFX, asks for."""
    try:
        return version_check(name, metadata.version(name), *required(name))
    except metadata.PackageNotFoundError as missing:
        return Check(name, "fail", f"{missing.name} is not installed", REINSTALL)


def version_check(name: str, installed: str, wanted: str, reason: str = "") -> Check:
    """`wanted` is a specifier such as ">=2.21,<2.22"; `reason` is why it differs from TFX's."""
    found = f"{installed}, wants {wanted}" + (f" ({reason})" if reason else "")
    if Requirement(f"{name}{wanted}").specifier.contains(installed, prereleases=True):
        return Check(name, "ok", found)
    return Check(name, "fail", found, REINSTALL)


def required(name: str) -> tuple[str, str]:
    """The specifier for `name` and its reason: OVERRIDDEN's, else the project's, else TFX's."""
    if name in OVERRIDDEN:
        return OVERRIDDEN[name]
    for owner in ("mnist-tfx", "tfx"):
        for requirement in map(Requirement, metadata.requires(owner) or ()):
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(requirement.name) == name:
                return str(requirement.specifier), ""
    raise LookupError(f"neither mnist-tfx nor tfx asks for {name}")
