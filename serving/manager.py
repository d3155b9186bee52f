"""All models of the server: reads the configuration, looks at the folders, finds versions."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from serving import model_config
from serving.engine import LoadedModel
from serving.errors import not_found
from serving.metrics import Metrics
from serving.model_config import ConfigError, ModelConfig
from serving.options import Options
from serving.servable import Servable
from serving.signatures import DIGIT_CONTRACT
from serving.two_precisions import TwoPrecisions
from serving.version import Version

LOG = logging.getLogger(__name__)


class Manager:
    """The models by name."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        """Takes the operator's options; nothing is loaded yet.

        Raises:
          ConfigError: the configuration file is wrong.
        """
        self._options, self._metrics = options, metrics
        self._loader = ThreadPoolExecutor(1, "loader")
        self._threads = ThreadPoolExecutor(options.batching.num_batch_threads, "model")
        self._stamp: tuple[int, int, int] | None = None
        self._configs = {s.name: ModelConfig(s.name, s.base_path) for s in options.models}
        self._read_config()
        self._unreadable: set[str] = set()
        self.models: dict[str, Servable] = {}

    def find(self, name: str, number: int | None = None, label: str | None = None) -> Version:
        """Returns the version that is to answer a request.

        Raises:
          ServingError: there is none.
        """
        if name not in self.models:
            which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise not_found(f"Servable not found for request: {which}")
        return self.models[name].find(number, label)

    async def refresh(self) -> None:
        """Brings what is served in line with the configuration and the folders."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._loader, self._read_config)
        except ConfigError as error:
            if isinstance(error.__cause__, OSError):
                self._stamp = None  # it may be read the next time
            LOG.error("the configuration is wrong; the one before stays: %s", error)
        for name, config in self._configs.items():
            if name not in self.models:
                self.models[name] = Servable(
                    config,
                    self._loader,
                    self._threads,
                    self._options.batching,
                    DIGIT_CONTRACT if self._options.contract else {},
                    TwoPrecisions if self._options.bfloat16_batches else LoadedModel,
                    self._metrics,
                )
            self.models[name].config = config
            await self._refresh(self.models[name])
        for name in set(self.models) - set(self._configs):
            await self.models.pop(name).close()

    async def watch(self) -> None:
        """Refreshes for ever."""
        while True:
            await asyncio.sleep(self._options.poll_seconds)
            try:
                await self.refresh()
            except Exception:  # else no version would ever be loaded again
                LOG.exception("the folders could not be looked at; what serves stays")

    async def _refresh(self, servable: Servable) -> None:
        """Refreshes one model; a folder that cannot be read, told of once, hurts no other."""
        try:
            await servable.refresh()
        except OSError as error:
            if servable.name not in self._unreadable:
                LOG.error("%s: what serves stays: %s", servable.name, error)
            self._unreadable.add(servable.name)
        else:
            self._unreadable.discard(servable.name)

    async def close(self) -> None:
        """Unloads all models, after the requests under way."""
        for servable in self.models.values():
            await servable.close()
        self._loader.shutdown()
        self._threads.shutdown()

    def _read_config(self) -> None:
        """Reads the file if it changed; a file that is not there names nothing."""
        file = self._options.config_file
        if file is None:
            return
        stamp = None
        with suppress(FileNotFoundError):
            stat = file.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if stamp == self._stamp:
            return
        self._stamp = stamp  # also of a wrong file, which is told of once
        given = {s.name: ModelConfig(s.name, s.base_path) for s in self._options.models}
        named = {c.name: c for c in model_config.read(file)} if stamp else {}
        self._configs = {**given, **named}
