"""Asks the model about a piece's chunks, two at once; the answers come in the chunks' order."""

import collections
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from components.bulk.parts import CLASSES
from components.bulk.pieces import Chunk

# A layer is cut into as many parts as there are cores, and waits for the last one. While a core
# decodes PNGs the other one waited for it: 0.81 of the in-process rate, with two chunks 0.97.
AT_ONCE = 2

Probabilities = NDArray[np.float32]
Ask = Callable[[NDArray[np.uint8]], Probabilities]


def asked(model: Ask, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Probabilities]]:
    """Yields each chunk with its probabilities, float32 [n, 10]; raises what the model does.

    Args:
      model: is called from threads, and not about a chunk without digits.
    """
    waiting: collections.deque[tuple[Chunk, Future[Probabilities]]] = collections.deque()
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_answer, model, chunk)))
            if len(waiting) > AT_ONCE:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _first(
    waiting: "collections.deque[tuple[Chunk, Future[Probabilities]]]",
) -> tuple[Chunk, Probabilities]:
    chunk, future = waiting.popleft()
    return chunk, future.result()


def _answer(model: Ask, chunk: Chunk) -> Probabilities:
    return model(chunk.images) if len(chunk.images) else np.empty((0, CLASSES), np.float32)
