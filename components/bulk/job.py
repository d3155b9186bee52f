"""The Beam job: pieces through RunInference into parts; what a piece is, is decided before.

An element is a piece, a few names and numbers: Beam packs what a job carries with bz2, and engines
bound a job's size, so digits are read where they are needed. RunInference holds one model a
process.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference import base
from apache_beam.options.pipeline_options import PipelineOptions

from components.bulk import model, parts, reading
from components.bulk.asking import asked
from components.bulk.faults import BulkFailed
from components.bulk.parts import CLASSES, Outcome, Output
from components.bulk.pieces import SIDE, Bad, Piece
from components.bulk.png import Prepare
from components.bulk.streams import Streams


class Job(NamedTuple):
    """What all pieces share.

    Attributes:
      root: the folder that the pieces' files are relative to.
      model: the SavedModel's folder, and the digest that it must have.
      batch: digits that the model is asked about at once.
    """

    root: Path
    output: Output
    model: Path
    model_digest: str
    batch: int
    prepare: Prepare | None


class Worker(NamedTuple):
    """What a process keeps between pieces."""

    model: model.Model
    streams: Streams


class PieceHandler(base.ModelHandler[Piece, Outcome, Any]):
    """Tells RunInference how to predict a piece."""

    def __init__(self, job: Job) -> None:
        """Takes the job."""
        super().__init__(min_batch_size=1, max_batch_size=1)
        self._job = job

    def load_model(self) -> Any:
        """Returns what a process keeps; raises as `model.load`."""
        return _Kept(load_worker(self._job))

    def run_inference(
        self, batch: Sequence[Piece], kept: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Outcome]:
        """Returns what became of the pieces."""
        return [predict(piece, self._job, kept.worker) for piece in batch]

    def get_num_bytes(self, batch: Sequence[Piece]) -> int:
        """Returns the bytes of the digits, for Beam's counters."""
        return sum(piece.records for piece in batch) * SIDE * SIDE


class _Kept:
    """RunInference refers to it weakly, which a tuple does not allow."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker


def load_worker(job: Job) -> Worker:
    """Returns what a process keeps; raises as `model.load`."""
    return Worker(model.load(job.model, job.model_digest, job.batch), Streams())


def run(job: Job, pieces: Sequence[Piece], beam_args: Sequence[str]) -> None:
    """Predicts the pieces that are not done yet.

    Raises:
      Exception: whatever the runner makes of a failure; see `faults.words_of`.
    """
    root = beam.Pipeline(options=PipelineOptions(list(beam_args)))
    waiting = root | "Pieces" >> beam.Create(pieces) | beam.Reshuffle()
    waiting |= "NotDone" >> beam.Filter(is_waiting, job.output)
    outcomes = waiting | "Predict" >> base.RunInference(PieceHandler(job))
    _ = outcomes | "Write" >> beam.Map(write, job.output)
    running = root.run()
    try:
        running.wait_until_finish()
    except KeyboardInterrupt:
        running.cancel()  # on a cluster it would go on
        raise


def is_waiting(piece: Piece, output: Output) -> bool:
    """Tells whether a piece is to be predicted: a runner may try a bundle again."""
    return parts.done(output, piece.number) is None


def predict(piece: Piece, job: Job, worker: Worker) -> Outcome:
    """Reads a piece, and asks the model about its digits.

    Raises:
      BulkFailed: the input changed, or the model fails.
    """
    begun = time.time()
    bad: list[Bad] = []
    positions, answers = [np.empty(0, np.int64)], [np.empty((0, CLASSES), np.float32)]
    source = reading.chunks(job.root, piece, job.batch, worker.streams, job.prepare)
    for chunk, probabilities in asked(worker.model, reading.ahead(source)):
        answers.append(probabilities)
        positions.append(chunk.positions)
        bad.extend(chunk.bad)
    answered = np.concatenate(positions), np.concatenate(answers)
    return Outcome(piece, *answered, tuple(bad), begun)


def write(outcome: Outcome, output: Output) -> None:
    """Writes a part.

    Raises:
      BulkFailed: the disk refused.
    """
    try:
        parts.write(outcome, output)
    except OSError as error:
        raise BulkFailed(
            f"expected to write {output.part(outcome.piece.number)}; {error.strerror or error}: "
            "make room or see to the folder, then run the same command again, it goes on from here"
        ) from error
