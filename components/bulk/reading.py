"""Reads a piece ahead of the model, in a thread of its own; how is a matter of each kind."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

from components.bulk import idx, png, tfrecord
from components.bulk.pieces import IDX, PNG, Chunk, Piece
from components.bulk.png import Prepare
from components.bulk.streams import Streams

AHEAD = 4  # batches that wait at most

_Item = Chunk | BaseException | None


def chunks(
    root: Path, piece: Piece, batch: int, streams: Streams, prepare: Prepare | None
) -> Iterator[Chunk]:
    """Yields a piece's records in order; raises what its kind does."""
    if piece.kind == PNG:
        return png.chunks(root, piece, batch, prepare)
    return (idx if piece.kind == IDX else tfrecord).chunks(root, piece, batch, streams)


def ahead(source: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yields what `source` does; it goes on while what came is worked on."""
    waiting: queue.Queue[_Item] = queue.Queue(AHEAD)
    given_up = threading.Event()
    thread = threading.Thread(target=_fill, args=(source, waiting, given_up), daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        given_up.set()
        while thread.is_alive():
            _drain(waiting)
            thread.join(0.01)


def _fill(
    source: Iterator[Chunk], waiting: "queue.Queue[_Item]", given_up: threading.Event
) -> None:
    try:
        for chunk in source:
            waiting.put(chunk)
            if given_up.is_set():
                return
        waiting.put(None)
    except BaseException as error:
        waiting.put(error)


def _drain(waiting: "queue.Queue[_Item]") -> None:
    try:
        while True:
            waiting.get_nowait()
    except queue.Empty:
        return
