"""The lock of a workdir, against a real second process, and writing that is whole or nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.workdir import Workdir, WorkdirBusy, WorkdirUnusable, locked, write_json

ROOT = Path(__file__).resolve().parents[1]
HOLD = """
import sys
from pipeline.workdir import Workdir, locked
with locked(Workdir.at(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process_holding(workdir: Workdir) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(workdir.root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    return Workdir.at(tmp_path)


def test_paths_are_absolute_wherever_the_workdir_is_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Workdir.at("runs/mnist").root == tmp_path / "runs" / "mnist"
    assert Workdir.at("~/runs").root == tmp_path / "home" / "runs"
    assert Workdir.at("runs/mnist").serving == tmp_path / "runs" / "mnist" / "serving" / "mnist"


def test_opening_makes_folders_but_no_served_model(tmp_path: Path) -> None:
    workdir = Workdir.at(tmp_path / "new")
    workdir.open()
    workdir.open()
    for folder in (workdir.artifacts, workdir.report, workdir.logs, workdir.state):
        assert folder.is_dir()
    assert not workdir.serving.exists()


def test_a_workdir_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkdirUnusable) as refused:
        Workdir.at(tmp_path / "file" / "runs").open()
    assert str(refused.value) == (
        f"expected a folder to write to at {tmp_path}/file/runs; got: Not a directory "
        f"({tmp_path}/file/runs/artifacts): name another with --workdir"
    )


def test_a_workdir_that_cannot_be_locked_is_told_of(workdir: Workdir) -> None:
    (workdir.root / ".lock").mkdir()  # root may write to any folder, but not to a folder's name
    with pytest.raises(WorkdirUnusable, match=r"Is a directory \(.*/\.lock\)"), locked(workdir):
        pass


def test_a_second_process_is_refused_with_the_pid_of_the_first_and_what_to_do(
    workdir: Workdir,
) -> None:
    with another_process_holding(workdir) as holder:
        with pytest.raises(WorkdirBusy) as refused, locked(workdir):
            pass
        assert str(refused.value) == (
            f"{workdir.root} is in use by another run (process {holder.pid}): wait until it has "
            "ended, or name another folder with --workdir"
        )


def test_a_second_process_does_not_wait(workdir: Workdir) -> None:
    command = [sys.executable, "-c", HOLD, str(workdir.root)]
    with locked(workdir):
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert f"(process {os.getpid()})" in refused.stderr


def test_another_workdir_is_free_meanwhile(workdir: Workdir, tmp_path: Path) -> None:
    other = Workdir.at(tmp_path / "other")
    other.open()
    with another_process_holding(workdir), locked(other):
        assert (other.root / ".lock").read_text() == str(os.getpid())


def test_the_lock_goes_when_its_process_is_killed(workdir: Workdir) -> None:
    with another_process_holding(workdir) as holder:
        holder.kill()
        assert holder.wait() == -9
        with locked(workdir):
            assert (workdir.root / ".lock").read_text() == str(os.getpid())


def test_the_lock_goes_when_the_run_raises(workdir: Workdir) -> None:
    with pytest.raises(RuntimeError, match="a node failed"), locked(workdir):
        raise RuntimeError("a node failed")
    with locked(workdir):
        assert (workdir.root / ".lock").read_text() == str(os.getpid())


def test_the_pid_of_a_longer_number_leaves_no_digits_behind(workdir: Workdir) -> None:
    (workdir.root / ".lock").write_text("99999999999")
    with locked(workdir):
        assert (workdir.root / ".lock").read_text() == str(os.getpid())


def test_who_reads_while_json_is_replaced_sees_the_old_whole(tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    write_json(file, {"value": "old"})
    with file.open() as reader:
        write_json(file, {"value": "new"})
        assert json.load(reader) == {"value": "old"}
    assert json.loads(file.read_text()) == {"value": "new"}
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_as_json_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    write_json(file, [1])
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(file, [object()])
    assert json.loads(file.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_replace_a_file_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "some.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_json(tmp_path / "some.json", [1])
    assert [entry.name for entry in tmp_path.iterdir()] == ["some.json"]
