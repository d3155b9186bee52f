"""One model by name: its versions, which of them serve, and the names they go by."""

import asyncio
import logging
import pathlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from serving.engine import LoadedModel
from serving.errors import invalid, not_found
from serving.metrics import Metrics
from serving.model_config import ModelConfig
from serving.options import Batching
from serving.retries import Retries
from serving.version import AVAILABLE, END, UNLOADING, Contract, Version, fingerprint

LOG = logging.getLogger(__name__)
LARGEST_VERSION = 2**63 - 1  # that the protocol can tell


class Servable:
    """A model; `refresh` is called again and again, the rest by requests, all on one loop."""

    def __init__(
        self,
        config: ModelConfig,
        loader: Executor,
        threads: Executor,
        batching: Batching,
        contract: Contract,
        kind: type[LoadedModel],
        metrics: Metrics,
    ) -> None:
        """Takes the configuration, a thread for loading, threads for calls; loads nothing yet."""
        self.config = config
        self._loader, self._threads, self._batching = loader, threads, batching
        self._contract, self._kind, self._metrics = contract, kind, metrics
        self.versions: dict[int, Version] = {}
        self._unloading: set[asyncio.Task[None]] = set()
        self._retries = Retries()
        self._labels: dict[str, int] = {}  # to versions that served when a label moved there

    @property
    def name(self) -> str:
        """Of the model."""
        return self.config.name

    @property
    def serves(self) -> bool:
        """Whether any version does."""
        return any(version.state == AVAILABLE for version in self.versions.values())

    def find(self, number: int | None = None, label: str | None = None) -> Version:
        """Returns the version that is to answer: the newest, or that of a number or label.

        Raises:
          ServingError: none does.
        """
        if label is not None:
            if label not in self.config.labels:
                raise invalid(f"Unrecognized servable version label: {label}")
            number = self._labels.get(label, self.config.labels[label])
        serving = [v for v in self.versions.values() if v.state == AVAILABLE]
        if number is not None:
            serving = [version for version in serving if version.number == number]
        if not serving:
            which = f"Latest({self.name})" if number is None else f"Specific({self.name}, {number})"
            raise not_found(f"Servable not found for request: {which}")
        return max(serving, key=lambda version: version.number)

    async def refresh(self) -> None:
        """Loads the versions that are wanted, then lets go of those that are not."""
        failed = {n: v.fingerprint for n, v in self.versions.items() if self._failed(n)}
        available, changed = await asyncio.get_running_loop().run_in_executor(
            self._loader, _look, self.config.base_path, failed
        )
        for number in changed:
            self._retries.forget(number)
        for number in {*changed, *filter(self._retries.due, failed)} & set(available):
            del self.versions[number]  # it is tried again
        while missing := self._missing(available):
            await self._load(missing[0], available[missing[0]])
        self._move_labels()
        wanted = self._wanted(available)
        if any(self._serves(number) for number in wanted):
            for version in list(self.versions.values()):
                if version.state == AVAILABLE and version.number not in wanted:
                    self._unload(version)

    async def close(self) -> None:
        """Unloads everything, after the requests under way."""
        for version in self.versions.values():
            if version.state == AVAILABLE:
                self._unload(version)
        await asyncio.gather(*self._unloading)

    def _wanted(self, available: Mapping[int, pathlib.Path]) -> list[int]:
        """Returns the wanted versions, newest first; one that failed is as if it were not there."""
        return self.config.policy.wanted([n for n in available if not self._failed(n)])

    def _missing(self, available: Mapping[int, pathlib.Path]) -> list[int]:
        return [number for number in self._wanted(available) if not self._serves(number)]

    def _serves(self, number: int) -> bool:
        return number in self.versions and self.versions[number].state == AVAILABLE

    def _failed(self, number: int) -> bool:
        version = self.versions.get(number)
        return version is not None and version.state == END and version.code is not None

    def _move_labels(self) -> None:
        """Moves each label to its version if that serves; until then it stays where it was."""
        wanted = self.config.labels
        kept = {name: number for name, number in self._labels.items() if name in wanted}
        self._labels = kept | {name: n for name, n in wanted.items() if self._serves(n)}

    async def _load(self, number: int, folder: pathlib.Path) -> None:
        version = self.versions[number] = Version(number, folder)
        seen: Callable[[float], None] = self._metrics.batch_rows.labels(self.name).observe
        good = await version.load(
            self._loader, self._threads, self._batching, self._contract, self._kind, seen
        )
        self._metrics.loads.add(self.name, "success" if good else "fail")
        if good:
            self._retries.forget(number)
            LOG.info("%s: version %d serves", self.name, number)
        else:
            self._retries.failed(number)
            LOG.error("%s: version %d does not serve: %s", self.name, number, version.message)

    def _unload(self, version: Version) -> None:
        version.state = UNLOADING
        LOG.info("%s: version %d is let go", self.name, version.number)
        task = asyncio.create_task(version.unload(self._loader))
        self._unloading.add(task)
        task.add_done_callback(self._unloading.discard)


def _look(
    base: pathlib.Path, failed: Mapping[int, tuple[object, ...]]
) -> tuple[dict[int, pathlib.Path], list[int]]:
    """Returns what `numbered` does, and which of those that failed have other files since."""
    available = numbered(base)
    return available, [
        n for n, seen in failed.items() if n in available and fingerprint(available[n]) != seen
    ]


def numbered(base: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the folders below `base` that are named by a number.

    Raises:
      OSError: `base` may not be read.
    """
    if not base.is_dir():
        return {}
    entries = (entry for entry in base.iterdir() if entry.name.isdecimal())
    folders = {int(entry.name): entry for entry in entries if entry.is_dir()}
    return {number: folder for number, folder in folders.items() if number <= LARGEST_VERSION}
