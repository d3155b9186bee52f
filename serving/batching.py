"""Lets concurrent requests share a call of the model.

An idle server answers at once; what arrives during a call waits for its end, or for as long as the
settings say where another thread is free. One asyncio loop; the calls run in threads.
"""

import asyncio
import collections
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor

from serving.errors import Code, ServingError, full
from serving.options import Batching
from serving.rows import check_rows, cut, joined, padded, split
from serving.signatures import Arrays, Signature

LOG = logging.getLogger(__name__)
FULL = "The batch scheduling queue to which this task was submitted is full"

Run = Callable[[str, Arrays], Arrays]
Key = tuple[object, ...]


@dataclasses.dataclass
class Task:
    """One request, or a part of one, that waits for its rows' answers."""

    signature: Signature
    inputs: Arrays
    rows: int
    answer: asyncio.Future[Arrays]
    arrived: float = dataclasses.field(default_factory=time.monotonic)


class Batcher:
    """Gathers the requests of one version; `rows_seen` is called with the rows of each call."""

    def __init__(
        self, run: Run, threads: Executor, settings: Batching, rows_seen: Callable[[int], None]
    ) -> None:
        """Takes the model's call and the threads that it may use."""
        self._run, self._threads, self._settings = run, threads, settings
        self._rows_seen = rows_seen
        self._lines: dict[Key, collections.deque[Task]] = {}
        self._waiting_rows = 0
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._alarm: asyncio.TimerHandle | None = None

    async def ask(self, signature: Signature, inputs: Arrays) -> Arrays:
        """Returns the answer to one request.

        Args:
          signature: of the model.
          inputs: arrays of the dtypes and shapes of the signature; where it is batched, all with
            the same number of rows, at least one.

        Raises:
          ServingError: the queue is full, or the model refuses the values.
        """
        size = self._settings.max_batch_size
        rows = len(next(iter(inputs.values()))) if signature.batched else 1
        self._admit(rows)
        if rows <= size:
            return await self._enqueue(signature, inputs)
        parts = split(inputs, rows, size)
        answer = joined(await asyncio.gather(*(self._enqueue(signature, part) for part in parts)))
        check_rows(answer, rows)
        return answer

    async def settled(self) -> None:
        """Returns once no call is under way, not even one whose clients have all left."""
        await self._idle.wait()

    def _admit(self, rows: int) -> None:
        room = self._settings.max_batch_size * self._settings.max_enqueued_batches
        if self._waiting_rows and self._waiting_rows + rows > room:
            raise full(FULL)

    def _enqueue(self, signature: Signature, inputs: Arrays) -> asyncio.Future[Arrays]:
        loop = asyncio.get_running_loop()
        rows = len(next(iter(inputs.values()))) if signature.batched else 1
        task = Task(signature, inputs, rows, loop.create_future())
        key: Key = (id(task),)
        if signature.batched:
            key = (signature.name, *(array.shape[1:] for array in inputs.values()))
        self._lines.setdefault(key, collections.deque()).append(task)
        self._waiting_rows += rows
        self._dispatch()
        return task.answer

    def _dispatch(self) -> None:
        """Starts as many calls as may start now."""
        while self._lines and self._running < self._settings.num_batch_threads:
            key, line = min(self._lines.items(), key=lambda item: item[1][0].arrived)
            wait = self._still_to_wait(line)
            if wait > 0:
                self._wake_after(wait)
                return
            batch = list(self._take(key, line))
            if batch:
                self._start(batch)

    def _still_to_wait(self, line: collections.deque[Task]) -> float:
        """Returns the seconds that the oldest line has to wait for more rows."""
        rows = sum(task.rows for task in line)
        if not self._running or rows >= self._settings.max_batch_size:
            return 0.0
        waited = time.monotonic() - line[0].arrived
        return self._settings.batch_timeout_micros / 1e6 - waited

    def _wake_after(self, seconds: float) -> None:
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._dispatch()

    def _take(self, key: Key, line: collections.deque[Task]) -> Iterator[Task]:
        """Yields tasks of a line until a batch is full; those whose client is gone are left out."""
        rows = 0
        while line and (not rows or rows + line[0].rows <= self._settings.max_batch_size):
            task = line.popleft()
            self._waiting_rows -= task.rows
            if not task.answer.cancelled():
                rows += task.rows
                yield task
        if not line:
            del self._lines[key]

    def _start(self, batch: list[Task]) -> None:
        self._running += 1
        self._idle.clear()
        self._rows_seen(sum(task.rows for task in batch))
        loop = asyncio.get_running_loop()
        self._threads.submit(self._work, loop, batch)

    def _work(self, loop: asyncio.AbstractEventLoop, batch: list[Task]) -> None:
        """Answers a batch; runs in a thread."""
        answers = self._answers(batch)
        loop.call_soon_threadsafe(self._finish, batch, answers)

    def _answers(self, batch: list[Task]) -> list[Arrays | ServingError]:
        try:
            return list(self._call(batch))
        except ServingError as error:
            if len(batch) == 1:
                return [error]
            # One bad row must not hurt the others: each request is asked alone.
            return [answer for task in batch for answer in self._answers([task])]
        except Exception:
            LOG.exception("a call of the model failed")
            return [ServingError(Code.INTERNAL, "the model failed; see the server's log")] * len(
                batch
            )

    def _call(self, batch: list[Task]) -> Iterator[Arrays]:
        signature = batch[0].signature
        if not signature.batched:
            yield self._run(signature.name, batch[0].inputs)
            return
        rows = sum(task.rows for task in batch)
        size = self._size_for(rows)
        inputs = joined([task.inputs for task in batch])
        outputs = self._run(signature.name, padded(inputs, rows, size))
        if len(batch) == 1 and size == rows:
            yield outputs
            return
        check_rows(outputs, size)
        start = 0
        for task in batch:
            yield cut(outputs, start, task.rows)
            start += task.rows

    def _size_for(self, rows: int) -> int:
        return min((s for s in self._settings.allowed_batch_sizes if s >= rows), default=rows)

    def _finish(self, batch: list[Task], answers: list[Arrays | ServingError]) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()
        for task, answer in zip(batch, answers, strict=True):
            if task.answer.done():
                continue
            if isinstance(answer, ServingError):
                task.answer.set_exception(answer)
            else:
                task.answer.set_result(answer)
        self._dispatch()
