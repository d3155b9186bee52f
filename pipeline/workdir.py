"""Where a run keeps things, and the lock that admits one run at a time."""

import dataclasses
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager

SERVED_NAME = "mnist"
PIPELINE_NAME = "mnist"  # in ML Metadata and on Kubeflow


class WorkdirBusy(RuntimeError):
    """Another run uses the workdir."""


class WorkdirUnusable(RuntimeError):
    """Nothing can be written there."""


@dataclasses.dataclass(frozen=True)
class Workdir:
    """The folders and files of one workdir; all paths are absolute."""

    root: pathlib.Path

    @classmethod
    def at(cls, path: str | pathlib.Path) -> "Workdir":
        """Returns the workdir at a path, which need not exist."""
        return cls(pathlib.Path(path).expanduser().resolve())

    @property
    def metadata(self) -> pathlib.Path:
        """The ML Metadata database (SQLite)."""
        return self.root / "metadata.sqlite"

    @property
    def artifacts(self) -> pathlib.Path:
        """Where the nodes write what they produce."""
        return self.root / "artifacts"

    @property
    def serving(self) -> pathlib.Path:
        """The folder of versions that a model server watches."""
        return self.root / "serving" / SERVED_NAME

    @property
    def report(self) -> pathlib.Path:
        """Where the report of the newest run is."""
        return self.root / "report"

    @property
    def logs(self) -> pathlib.Path:
        """Where the libraries' logs go, one file a run."""
        return self.root / "logs"

    @property
    def state(self) -> pathlib.Path:
        """What a killed node goes on from."""
        return self.root / "state"

    @property
    def plan(self) -> pathlib.Path:
        """The plans made so far for this machine."""
        return self.root / "plan.json"

    @property
    def pushes(self) -> pathlib.Path:
        """What each version that was pushed from here replaced."""
        return self.root / "pushes.json"

    def open(self) -> None:
        """Makes the folders of a run; raises as `make` does."""
        self.make(self.artifacts, self.serving.parent, self.report, self.logs, self.state)

    def make(self, *folders: pathlib.Path) -> None:
        """Makes folders of this workdir.

        Raises:
          WorkdirUnusable: they cannot be made.
        """
        with _written_to(self):
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def locked(workdir: Workdir) -> Iterator[None]:
    """Holds the workdir while a run uses it; the lock goes when the process does.

    Raises:
      WorkdirBusy: another run holds it.
      WorkdirUnusable: nothing can be written there.
    """
    with _written_to(workdir):
        descriptor = os.open(workdir.root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode() or "unknown"
            raise WorkdirBusy(
                f"{workdir.root} is in use by another run (process {holder}): wait until it has "
                "ended, or name another folder with --workdir"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _written_to(workdir: Workdir) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkdirUnusable(
            f"expected a folder to write to at {workdir.root}; got: {error.strerror} "
            f"({error.filename}): name another with --workdir"
        ) from error


def write_json(path: pathlib.Path, value: object) -> None:
    """Writes JSON so that a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(value, indent=1) + "\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
