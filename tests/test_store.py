"""How a run tidies up ML Metadata and the artifacts before it begins."""

from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import store
from pipeline.workdir import Workdir
from pipeline.wrong_call import WrongCall
from tests.metadata import CACHED, FAILED, Recorder

RUNNING = mlmd.Execution.RUNNING


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    made = Workdir.at(tmp_path)
    made.open()
    return made


def output(workdir: Workdir, node: str, execution: int) -> Path:
    """Writes an output of an execution of a node, and returns its file."""
    file = workdir.artifacts / node / "examples" / str(execution) / "data.gz"
    file.parent.mkdir(parents=True)
    file.write_text(node)
    return file


def ran(workdir: Workdir, node: str, *states: int) -> None:
    recorder = Recorder(workdir)
    for state in states:
        recorder.ran(node, {}, {}, state)


def test_what_a_killed_run_left_half_written_is_removed(workdir: Workdir) -> None:
    ran(workdir, "MnistExampleGen", CACHED, FAILED, RUNNING)
    done, failed, killed = (output(workdir, "MnistExampleGen", number) for number in (1, 2, 3))
    metadata = store.connect(workdir.metadata)
    assert store.abandon_unfinished(metadata, workdir.artifacts) == 1
    assert done.exists()
    assert failed.exists()
    assert not killed.parent.exists()
    assert [e.last_known_state for e in metadata.get_executions()] == [CACHED, FAILED, FAILED]
    assert store.abandon_unfinished(metadata, workdir.artifacts) == 0


def test_outputs_of_known_executions_stay(workdir: Workdir) -> None:
    ran(workdir, "MnistExampleGen", CACHED)
    file = output(workdir, "MnistExampleGen", 1)
    assert store.set_aside_unknown(store.connect(workdir.metadata), workdir.artifacts) is None
    assert file.exists()


def test_outputs_that_the_database_does_not_know_are_moved_and_not_lost(workdir: Workdir) -> None:
    """As after the database was replaced by an older one: its next execution would be the 2nd."""
    ran(workdir, "MnistExampleGen", CACHED)
    known, unknown = (output(workdir, "MnistExampleGen", number) for number in (1, 2))
    aside = store.set_aside_unknown(store.connect(workdir.metadata), workdir.artifacts)
    assert known.exists()
    assert not unknown.parent.exists()
    assert aside is not None
    assert (aside / unknown.relative_to(workdir.artifacts)).read_text() == "MnistExampleGen"


def test_an_empty_workdir_has_nothing_to_tidy(workdir: Workdir) -> None:
    metadata = store.connect(workdir.metadata)
    assert store.abandon_unfinished(metadata, workdir.artifacts) == 0
    assert store.set_aside_unknown(metadata, workdir.artifacts) is None
    assert sorted(path.name for path in workdir.root.iterdir()) == sorted(
        ["artifacts", "serving", "report", "logs", "state", "metadata.sqlite"]
    )


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(workdir: Workdir) -> None:
    workdir.metadata.write_bytes(b"no database" * 500)
    with pytest.raises(WrongCall) as refused:
        store.connect(workdir.metadata)
    assert str(refused.value) == (
        f"expected ML Metadata of this version in {workdir.metadata}; it cannot be used (Error "
        "when executing query: file is not a database): move the file away, and the next run "
        "begins anew, or name another --workdir"
    )
    assert workdir.metadata.read_bytes() == b"no database" * 500
