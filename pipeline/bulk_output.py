"""The output folder of a bulk prediction: whose it is, and that one run at a time has it."""

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.workdir import write_json
from pipeline.wrong_call import WrongCall

MANIFEST, SUMMARY, LOCK, LOG = "manifest.json", "summary.json", ".lock", "log.txt"
ANOTHER = "name another --output, or remove this one"


@contextlib.contextmanager
def claimed(folder: pathlib.Path) -> Iterator[None]:
    """Holds a folder, which is made, while a run writes to it; it goes again if nothing came.

    Raises:
      WrongCall: it holds something else, or another run has it.
      OSError: it cannot be made.
    """
    _check_content(folder)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor, folder)
        try:
            yield
        finally:
            _leave(folder)
    finally:
        os.close(descriptor)


def _check_content(folder: pathlib.Path) -> None:
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    torn = {name for name in names if name.startswith(f".{MANIFEST}.")}  # of a run that was killed
    if MANIFEST not in names and (strange := sorted(names - torn - {LOCK, LOG})):
        raise WrongCall(
            f"expected a new folder, or one of `mnist-tfx bulk`, at --output; {folder} holds "
            f"{strange[0]} and no {MANIFEST}: name another --output"
        )


def _lock(descriptor: int, folder: pathlib.Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = os.fstat(descriptor).st_nlink > 0  # the file may have gone with a run just ended
    except BlockingIOError:
        free = False
    if not free:
        raise WrongCall(
            f"{folder} is in use by another run: wait until it has ended, or name another --output"
        )


def _leave(folder: pathlib.Path) -> None:
    """Removes a folder in which nothing was begun."""
    if {entry.name for entry in folder.iterdir()} <= {LOCK, LOG}:
        for name in (LOG, LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def version_of(folder: pathlib.Path, base: pathlib.Path) -> int | None:
    """Returns which version of those in `base` a folder was begun with, None if with none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        model = pathlib.Path(json.loads((folder / MANIFEST).read_text())["model"])
        if model.parent == base and model.is_dir():
            return int(model.name)
    return None


def agree(folder: pathlib.Path, wanted: Mapping[str, Any]) -> bool:
    """Tells whether a folder was begun with the same input, model and options.

    Returns:
      False for a new folder.

    Raises:
      WrongCall: it was begun with others; says which.
    """
    file = folder / MANIFEST
    if not file.exists():
        return False
    try:
        kept = json.loads(file.read_text())
        differences = [_words(key, kept, wanted) for key in wanted if kept[key] != wanted[key]]
    except (ValueError, KeyError, TypeError) as error:
        raise WrongCall(f"expected a whole {file}; it is damaged: {ANOTHER}") from error
    if found := [words for words in differences if words]:
        raise WrongCall(
            f"expected in {folder} predictions for the same input, model and options; it has those "
            f"{' and '.join(found)}: {ANOTHER}"
        )
    return True


def _words(key: str, kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Returns how a difference reads, "" for one that does not count."""
    if key == "input_sha256":
        moved = kept["input"] != wanted["input"]
        return f"of another input, {kept['input']}" + ("" if moved else " as it was before")
    if key == "model_sha256":
        return f"by another model, version {kept['model_version']}"
    options = ("format", "shard_size", "batch_size", "prepare", "model_version")
    return f"with {key.replace('_', ' ')} {kept[key]}" if key in options else ""


def begin(folder: pathlib.Path, wanted: Mapping[str, Any]) -> None:
    """Notes for whom a new folder is."""
    write_json(folder / MANIFEST, wanted)
