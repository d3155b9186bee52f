"""One version of a model on its way from the disk to the requests and away again."""

import asyncio
import pathlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

import tensorflow as tf

from serving import checking, warmup
from serving.batching import Batcher
from serving.engine import LoadedModel
from serving.errors import Code
from serving.options import Batching
from serving.signatures import Arrays, Signature

START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50  # ModelVersionStatus.State
Contract = dict[str, Signature]
CODES = {
    tf.errors.NotFoundError: Code.NOT_FOUND,
    tf.errors.ResourceExhaustedError: Code.RESOURCE_EXHAUSTED,
}


class Version:
    """A numbered folder; `state`, `code` and `message` are what the status API tells."""

    def __init__(self, number: int, folder: pathlib.Path) -> None:
        """Takes the number and the folder; nothing is read yet."""
        self.number, self.folder = number, folder
        self.state = START
        self.code: Code | None = None
        self.message = ""
        self.fingerprint: tuple[object, ...] = ()
        self.model: LoadedModel | None = None
        self._batcher: Batcher | None = None
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def signatures(self) -> dict[str, Signature]:
        """Those of the model, which must be loaded."""
        assert self.model is not None
        return self.model.signatures

    async def load(
        self,
        loader: Executor,
        threads: Executor,
        batching: Batching,
        contract: Contract,
        kind: type[LoadedModel],
        rows_seen: Callable[[int], None],
    ) -> bool:
        """Loads, checks and warms up the model; returns whether it may serve."""
        self.state = LOADING
        loop = asyncio.get_running_loop()
        self.fingerprint = await loop.run_in_executor(loader, fingerprint, self.folder)
        try:
            self.model = await loop.run_in_executor(loader, _open, kind, self.folder, contract)
        except Exception as error:
            # Whatever is wrong with the files of a version, the server goes on with the others.
            self.state, self.code = END, CODES.get(type(error), Code.INTERNAL)
            self.message = str(error) or type(error).__name__
            return False
        self._batcher = Batcher(self.model.run, threads, batching, rows_seen)
        self.state, self.code, self.message = AVAILABLE, None, ""
        return True

    async def ask(self, signature: Signature, inputs: Arrays) -> Arrays:
        """Returns the model's answer, while the version is `used`; see `Batcher.ask`."""
        assert self._batcher is not None
        return await self._batcher.ask(signature, inputs)

    async def unload(self, loader: Executor) -> None:
        """Waits for the requests under way, then frees the model."""
        self.state = UNLOADING
        await self._idle.wait()
        if self._batcher:
            await self._batcher.settled()
        model, self.model, self._batcher = self.model, None, None
        if model:
            await asyncio.get_running_loop().run_in_executor(loader, model.close)
        self.state = END

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keeps the model in memory; to be entered before the loop has another turn."""
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()


def fingerprint(folder: pathlib.Path) -> tuple[object, ...]:
    """Returns what changes when a file below `folder` does."""
    try:
        stats = [(str(file), file.stat()) for file in sorted(folder.rglob("*"))]
    except OSError:
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _open(kind: type[LoadedModel], folder: pathlib.Path, contract: Contract) -> LoadedModel:
    checking.check_files(folder)
    model = kind(folder)
    try:
        checking.check_contract(contract, model.signatures)
        warmup.warm_up(model, folder)
    except BaseException:
        model.close()
        raise
    return model
