"""The folder of versions on a real disk: what counts as a version, and that a push is atomic."""

import errno
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components import versions

PUSHES, THREADS = 24, 8


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a SavedModel."""
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / versions.SAVED_MODEL).write_text("graph")
    (folder / "variables" / "variables.index").write_text("weights")
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The folder that is served, which nobody made yet."""
    return tmp_path / "serving" / "mnist"


def stop_the_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(time, "time", lambda: seconds)


def before_rename(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None]) -> None:
    """Calls `act` with the destination before each rename."""
    rename = os.rename

    def acting(source: Path, destination: Path) -> None:
        act(destination)
        rename(source, destination)

    monkeypatch.setattr(os, "rename", acting)


def test_a_push_copies_every_file_under_the_time_in_seconds(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch, 1000.9)
    assert versions.push(model, base) == 1000
    assert [entry.name for entry in base.iterdir()] == ["1000"]
    assert (base / "1000" / versions.SAVED_MODEL).read_text() == "graph"
    assert (base / "1000" / "variables" / "variables.index").read_text() == "weights"
    assert versions.versions(base) == [1000]


def test_a_folder_that_does_not_exist_holds_no_version(base: Path) -> None:
    assert versions.versions(base) == []
    assert versions.latest(base) == 0


def test_versions_are_ordered_as_numbers_not_as_words(model: Path, base: Path) -> None:
    for name in ("100", "9", "20"):
        shutil.copytree(model, base / name)
    assert versions.versions(base) == [9, 20, 100]
    assert versions.latest(base) == 100


def test_incomplete_and_hidden_folders_are_no_versions(model: Path, base: Path) -> None:
    shutil.copytree(model, base / "7")
    shutil.copytree(model, base / f"{versions.PREFIX}8")
    shutil.copytree(model, base / "notes")
    shutil.copytree(model, base / "9" / "model")
    (base / "10").write_text("a file")
    assert versions.versions(base) == [7]
    assert versions.latest(base) == 7


def test_what_is_no_saved_model_is_refused_by_words(tmp_path: Path, base: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    words = f"expected a SavedModel in {empty}; found no saved_model.pb"
    with pytest.raises(FileNotFoundError, match=words):
        versions.push(empty, base)
    assert not base.exists()


def test_a_copy_that_fails_leaves_nothing_and_raises(model: Path, base: Path) -> None:
    (model / "variables" / "variables.data").symlink_to("nowhere")
    with pytest.raises(shutil.Error, match="variables.data"):
        versions.push(model, base)
    assert list(base.iterdir()) == []


def test_a_full_disk_leaves_the_old_version_alone(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = versions.push(model, base)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        versions.push(model, base)
    assert [entry.name for entry in base.iterdir()] == [str(old)]


def test_a_copy_under_way_is_no_version(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    before_rename(monkeypatch, lambda destination: seen.append(versions.versions(base)))
    number = versions.push(model, base)
    assert seen == [[]]
    assert versions.versions(base) == [number]


def test_every_file_is_on_the_disk_before_the_version_has_its_name(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    before_rename(monkeypatch, lambda destination: flushed.append("rename"))
    versions.push(model, base)
    assert sorted(flushed[:-1]) == [versions.SAVED_MODEL, "variables.index"]
    assert flushed[-1] == "rename"


def test_two_pushes_in_one_second_both_arrive_and_grow(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch, 1000.0)
    assert [versions.push(model, base), versions.push(model, base)] == [1000, 1001]
    assert versions.versions(base) == [1000, 1001]


def test_versions_grow_when_the_clock_goes_back(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch, 1000.0)
    versions.push(model, base)
    stop_the_clock(monkeypatch, 10.0)
    assert versions.push(model, base) == 1001


def test_the_number_of_an_incomplete_folder_is_not_taken_again(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch, 1000.0)
    (base / "2000").mkdir(parents=True)
    assert versions.push(model, base) == 2001


def test_a_number_that_another_push_took_meanwhile_is_passed_over(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock(monkeypatch, 1000.0)

    def take(destination: Path) -> None:
        if destination.name == "1000":
            shutil.copytree(model, destination)

    before_rename(monkeypatch, take)
    assert versions.push(model, base) == 1001
    assert versions.versions(base) == [1000, 1001]


def test_a_rename_that_fails_for_another_reason_leaves_nothing_and_raises(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(destination: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    before_rename(monkeypatch, refuse)
    with pytest.raises(PermissionError, match="Operation not permitted"):
        versions.push(model, base)
    assert list(base.iterdir()) == []


def test_concurrent_pushes_all_arrive_with_numbers_of_their_own(model: Path, base: Path) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        pushes = [threads.submit(versions.push, model, base) for _ in range(PUSHES)]
    numbers = sorted(push.result() for push in pushes)
    assert len(set(numbers)) == PUSHES
    assert versions.versions(base) == numbers
    assert sorted(entry.name for entry in base.iterdir()) == [str(n) for n in numbers]
