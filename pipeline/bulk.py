"""The command `bulk`, from the user's options to an exit code."""

import dataclasses
import logging
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from components import data, saved_model
from components.bulk import inputs, parts
from components.bulk.faults import BulkFailed, WrongInput, words_of
from components.bulk.inputs import Input
from components.bulk.parts import Output
from components.bulk.pieces import PNG, Piece
from pipeline import bulk_output, bulk_screen, bulk_summary, engines
from pipeline.beam_arguments import beam_arguments
from pipeline.bulk_model import ChosenModel, choose
from pipeline.interrupts import interrupted_by_sigterm
from pipeline.log_file import libraries_logged, logs_in
from pipeline.workdir import Workdir
from pipeline.wrong_call import WrongCall

DONE, FAILED, WRONG_CALL, STOPPED = 0, 1, 2, 130
WRONG_CALLS = (WrongCall, WrongInput)


@dataclasses.dataclass(frozen=True)
class Options:
    """What the user asked for; the names are those of the command line."""

    given: pathlib.Path
    output: pathlib.Path
    form: str
    workdir: pathlib.Path
    model_dir: pathlib.Path | None
    model_version: int | None
    prepare: bool
    max_bad: float
    shard_size: int
    batch_size: int
    beam_args: tuple[str, ...]


def predict_in_bulk(options: Options) -> int:
    """Predicts, shows, and returns the exit code."""
    folder = options.output.expanduser().resolve()
    with interrupted_by_sigterm():
        return _told(lambda: _begin(options, folder), options, folder, sys.stderr)


def _begin(options: Options, folder: pathlib.Path) -> int:
    engines.check(options.beam_args)
    given = _input(options, folder)
    base = (options.model_dir or Workdir.at(options.workdir).serving).expanduser().resolve()
    begun_with = bulk_output.version_of(folder, base)  # another may be served since
    model = choose(base, options.model_version or begun_with)
    with (
        bulk_output.claimed(folder),
        logs_in(folder / bulk_output.LOG) as real,
        libraries_logged(),
    ):
        run = _Run(options, folder, given, model, real.output)
        return _told(run.go, options, folder, real.errors)


def _told(work: Callable[[], int], options: Options, folder: pathlib.Path, errors: TextIO) -> int:
    """Does the work; says what stops it, and returns the exit code."""
    try:
        return work()
    except (*WRONG_CALLS, data.DataError, BulkFailed) as error:
        print(error, file=errors)
        return WRONG_CALL if isinstance(error, WRONG_CALLS) else FAILED
    except OSError as error:
        words = f"expected to read {options.given} and to write {folder}; {error}"
        print(f"{words}: see to it, then run the same command again", file=errors)
        return FAILED
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from what is done.", file=errors)
        return STOPPED


def _input(options: Options, folder: pathlib.Path) -> Input:
    path = options.given.expanduser().resolve()
    if folder == path or path in folder.parents or folder in path.parents:
        raise WrongCall(
            f"expected --output beside the input; {folder} and {path} are one in the other"
        )
    given = inputs.look_at(path)
    if options.prepare and given.kind != PNG:
        raise WrongCall(f"expected PNGs to --prepare in {path}; found files of {given.kind}")
    return given


class _Run:
    """One run, whose output folder nobody else writes to."""

    def __init__(
        self,
        options: Options,
        folder: pathlib.Path,
        given: Input,
        model: ChosenModel,
        real: TextIO,
    ) -> None:
        self._options, self._folder, self._given = options, folder, given
        self._model, self._real = model, real
        self._begun = time.time()

    def go(self) -> int:
        """Predicts what is not done yet; returns the exit code."""
        stamps = self._given.stamps()
        pieces = inputs.pieces(self._given, self._options.shard_size)
        manifest = self._manifest(pieces)
        output = Output(self._folder, self._options.form, len(pieces), self._model.version)
        resumed = bulk_output.agree(self._folder, manifest)
        waiting = [piece for piece in pieces if parts.done(output, piece.number) is None]
        if waiting:
            self._predict(waiting, output, manifest, resumed)
        if self._given.stamps() != stamps:
            raise BulkFailed(
                f"{self._options.given} changed while it was read: name another --output and start "
                "again"
            )
        made = bulk_summary.summarize(self._folder, manifest, output, waiting, self._begun)
        bulk_screen.show(made, self._folder, self._real)
        return self._judge(made)

    def _manifest(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        """Returns all that the output depends on."""
        given, options = self._given, self._options
        return {
            "input": str(options.given.expanduser().resolve()),
            "kind": given.kind,
            "input_sha256": inputs.digest(given),
            "records": sum(piece.records for piece in pieces),
            "parts": len(pieces),
            "model": str(self._model.folder),
            "model_version": self._model.version,
            "model_sha256": saved_model.digest(self._model.folder),
            "format": options.form,
            "shard_size": options.shard_size,
            "batch_size": options.batch_size,
            "prepare": options.prepare,
        }

    def _predict(
        self, waiting: list[Piece], output: Output, manifest: dict[str, Any], resumed: bool
    ) -> None:
        from components.bulk import job

        made = job.Job(
            self._given.root,
            output,
            self._model.folder,
            manifest["model_sha256"],
            self._options.batch_size,
            _preparing() if self._options.prepare else None,
        )
        # In the runner of this process the model is then loaded; in any, it is known to be good.
        job.load_worker(made)
        if not resumed:
            bulk_output.begin(self._folder, manifest)
        parts.sweep(self._folder)
        try:
            with bulk_screen.progress(output, waiting, self._real):
                job.run(made, waiting, engines.complete(beam_arguments(self._options.beam_args)))
        except Exception as error:
            logging.getLogger(__name__).exception("the Beam job failed")
            if str(error).startswith(KeyboardInterrupt.__name__):  # of a step of this process
                raise KeyboardInterrupt from error
            words = words_of(error) or f"{type(error).__name__}: {error}".split("\n")[0]
            raise BulkFailed(
                f"{words}\nThe libraries' log: {self._folder / bulk_output.LOG}"
            ) from error

    def _judge(self, made: dict[str, Any]) -> int:
        share = made["bad"] / made["records"]
        if share <= self._options.max_bad:
            return DONE
        advice = "" if self._options.prepare else "; --prepare takes pictures of other sizes"
        print(
            f"expected at most {self._options.max_bad:.1%} bad records; got {share:.1%}: look at "
            f"them, or allow more with --max-bad{advice if self._given.kind == PNG else ''}",
            file=self._real,
        )
        return FAILED


def _preparing() -> Any:
    from serving.client.picture import read_digit

    return read_digit
