"""The folder that a model server watches: numbered versions, each complete or absent.

A version is a folder named by a number. It is written under a name that servers ignore and then
renamed, which is atomic; numbers only grow.
"""

import itertools
import os
import pathlib
import shutil
import time
import uuid

SAVED_MODEL = "saved_model.pb"
PREFIX = ".incoming-"


def versions(base: pathlib.Path) -> list[int]:
    """Returns the complete versions below `base`, oldest first."""
    if not base.is_dir():
        return []
    numbers = (int(entry.name) for entry in base.iterdir() if entry.name.isdecimal())
    return sorted(n for n in numbers if (base / str(n) / SAVED_MODEL).is_file())


def latest(base: pathlib.Path) -> int:
    """Returns the newest complete version, or 0 where there is none."""
    return max(versions(base), default=0)


def push(model: pathlib.Path, base: pathlib.Path) -> int:
    """Copies a SavedModel into `base` as a new version and returns its number.

    The number is the time in seconds, as TFX counts, or one more than the newest where that is
    not greater; of two pushes at the same moment both arrive.

    Raises:
      FileNotFoundError: `model` is not a SavedModel.
    """
    if not (model / SAVED_MODEL).is_file():
        raise FileNotFoundError(f"expected a SavedModel in {model}; found no {SAVED_MODEL}")
    base.mkdir(parents=True, exist_ok=True)
    incoming = base / f"{PREFIX}{uuid.uuid4().hex}"
    try:
        shutil.copytree(model, incoming)
        _flush(incoming)
        return _publish(incoming, base)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _publish(incoming: pathlib.Path, base: pathlib.Path) -> int:
    numbers = [int(entry.name) for entry in base.iterdir() if entry.name.isdecimal()]
    for number in itertools.count(max(int(time.time()), max(numbers, default=0) + 1)):
        try:
            os.rename(incoming, base / str(number))
        except OSError as error:
            if not (base / str(number)).exists():
                raise error
        else:
            return number
    raise AssertionError("unreachable")


def _flush(folder: pathlib.Path) -> None:
    """Makes sure that the files are on the disk before their folder gets its name."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
