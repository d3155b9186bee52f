"""The command `drift`: whether the digits that were asked about differ from the training's."""

import contextlib
import datetime
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from pipeline.log_file import logs_in
from pipeline.workdir import SERVED_NAME, Workdir

NO_DRIFT, WRONG_CALL, DRIFT = 0, 2, 3
LOG_FOLDER = "requests"
KEPT_FOLDER = "drift"  # answers of served versions on `test`
LEAST_DIGITS = 50
MOST_DIGITS = 2_000  # the newest: more tell of ever smaller differences, until all differ


class CannotCompare(Exception):
    """Something that the comparison needs is missing; the message says what to do."""


def show_drift(path: pathlib.Path, log: pathlib.Path | None) -> int:
    """Prints what differs; returns 0 for no drift, 3 for drift, 2 where it cannot be told.

    Args:
      path: the workdir, for the training's data and the served versions.
      log: the folder that the server's `--log-requests` names; default: `<workdir>/requests`.
    """
    workdir = Workdir.at(path)
    folder = log or workdir.root / LOG_FOLDER
    try:
        _check(workdir, folder)
        with _quiet(workdir) as output:
            return _compare(workdir, folder, output)
    except CannotCompare as error:
        print(error, file=sys.stderr)
        return WRONG_CALL
    except OSError as error:
        print(f"expected to read {folder} and to write to {workdir.root}; {error}", file=sys.stderr)
        return WRONG_CALL


def _check(workdir: Workdir, folder: pathlib.Path) -> None:
    """Checks what can be checked before anything heavy is imported."""
    if not workdir.metadata.is_file():
        raise CannotCompare(
            f"expected a finished run in {workdir.root}; there is none: run `mnist-tfx run` "
            "first, or name another folder with --workdir"
        )
    if not folder.is_dir() or not any(folder.iterdir()):
        raise CannotCompare(
            f"expected a log of requests in {folder}; there is none: serve with --log-requests "
            f"{folder}, or name another folder with --log"
        )


@contextlib.contextmanager
def _quiet(workdir: Workdir) -> Iterator[TextIO]:
    """Sends what the libraries say to a log; yields the real output."""
    workdir.logs.mkdir(exist_ok=True)
    with logs_in(workdir.logs / "drift.log") as real:
        yield real.output


def _compare(workdir: Workdir, folder: pathlib.Path, output: TextIO) -> int:
    from components.drift.asked import newest_digits
    from serving.request_records import read

    asked = newest_digits(read(folder), SERVED_NAME, MOST_DIGITS)
    if asked.unread:
        print(
            f"{asked.unread:,} requests were left out: they are of other models, or not of digits",
            file=output,
        )
    if len(asked.images) < LEAST_DIGITS:
        raise CannotCompare(
            f"expected at least {LEAST_DIGITS} digits in {folder}; found {len(asked.images)}: "
            "fewer differ by chance too much to tell anything; serve more, then come again"
        )
    data = _Data(workdir)
    differs = _report_pictures(asked, data, output)
    differs |= _report_answers(asked, data, workdir, output)
    return DRIFT if differs else NO_DRIFT


class _Data:
    """What the last run trained and tested with."""

    def __init__(self, workdir: Workdir) -> None:
        """Reads the splits.

        Raises:
          CannotCompare: no run got so far.
        """
        from components.drift import statistics
        from components.training.dataset import read_split
        from pipeline import store

        try:
            metadata = store.connect_to_read(workdir.metadata)
            examples = store.outputs_of(metadata, "MnistExampleGen").get("examples")
            found = store.outputs_of(metadata, "StatisticsGen").get("statistics")
        except store.UNREADABLE as error:
            raise CannotCompare(
                f"expected a run's ML Metadata at {workdir.metadata}; it cannot be read: {error}"
            ) from error
        if examples is None or found is None:
            raise CannotCompare(
                f"expected a run in {workdir.root} that read its data; none did: run "
                "`mnist-tfx run` first"
            )
        self.training, self.held_out, self.test = (
            read_split(f"{examples.uri}/Split-{name}/*") for name in ("train", "eval", "test")
        )
        self.pixels = statistics.load(pathlib.Path(found.uri, "Split-train", "FeatureStats.pb"))
        self.name = f"examples-{examples.id}"


def _report_pictures(asked: Any, data: _Data, output: TextIO) -> bool:
    """Says how the pictures differ; returns whether they do."""
    from components.drift import words
    from components.drift.comparison import compare_pictures

    findings = compare_pictures(
        asked.images, data.training.images, data.held_out.images, data.pixels
    )
    sentences = words.of_pictures(findings)
    verdict = "differ from" if sentences else "look like"
    print(
        f"{len(asked.images):,} digits, asked about {_when(asked.seconds)}, {verdict} the "
        f"{len(data.training.labels):,} of the training{':' if sentences else '.'}",
        file=output,
    )
    for sentence in sentences:
        print(f"  - {sentence}", file=output)
    return bool(sentences)


def _when(seconds: Any) -> str:
    first, last = (
        datetime.datetime.fromtimestamp(int(edge)).strftime("%Y-%m-%d %H:%M")
        for edge in (seconds.min(), seconds.max())
    )
    return f"at {first}" if first == last else f"from {first} to {last}"


def _report_answers(asked: Any, data: _Data, workdir: Workdir, output: TextIO) -> bool:
    """Says how the newest version's answers differ from those on `test`; returns if they do."""
    from components import versions
    from components.drift import words
    from components.drift.comparison import compare_answers
    from components.drift.confidence import kept_answers

    version = int(asked.versions[0])
    answers = asked.of_version(version)
    count = len(answers.digits)
    if version not in versions.versions(workdir.serving) or count < LEAST_DIGITS:
        why = f"it answered {count}" if count < LEAST_DIGITS else f"not in {workdir.serving}"
        print(f"The answers of version {version} are not compared: {why}.", file=output)
        return False
    model = workdir.serving / str(version)
    on_test = kept_answers(model, data.test.images, data.name, workdir.root / KEPT_FOLDER)
    finding = compare_answers(answers, on_test)
    print(f"The answers of version {version}:", file=output)
    print(f"  - {words.of_confidence(finding)}", file=output)
    print(f"  - {words.of_digits(finding, data.training.labels)}", file=output)
    return finding.confidence_fell or finding.digits.drifted
