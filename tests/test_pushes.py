"""Whether a change of the served folder is told from this pipeline's own push."""

import shutil
from pathlib import Path

import pytest

from components import versions
from pipeline import pushes
from pipeline.workdir import Workdir
from pipeline.wrong_call import WrongCall
from serving import model_config
from serving.server_state import Server
from serving.version_commands import promote_version, roll_back

SILENT = Server("http://127.0.0.1:9")  # discard: nothing answers


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    return Workdir.at(tmp_path)


def put(workdir: Workdir, version: int) -> None:
    """Puts a complete version where a server would find it."""
    folder = workdir.serving / str(version)
    folder.mkdir(parents=True)
    (folder / versions.SAVED_MODEL).write_text(str(version))


def run(workdir: Workdir, version: int) -> str:
    """Does what a run does that pushes: looks, pushes, remembers; returns what it saw."""
    state = pushes.served_state(workdir)
    put(workdir, version)
    pushes.remember(workdir, version, state)
    return state


def test_nothing_is_served_before_the_first_run(workdir: Workdir) -> None:
    assert pushes.served_state(workdir) == "0"


def test_our_own_push_leaves_the_state_of_the_run_that_pushed(workdir: Workdir) -> None:
    first = run(workdir, 100)
    assert pushes.served_state(workdir) == first
    assert run(workdir, 200) == first
    assert pushes.served_state(workdir) == first


def test_a_run_that_pushes_nothing_leaves_the_state(workdir: Workdir) -> None:
    put(workdir, 50)
    assert pushes.served_state(workdir) == pushes.served_state(workdir) == "50"


def test_a_foreign_version_changes_the_state(workdir: Workdir) -> None:
    first = run(workdir, 100)
    put(workdir, 150)
    assert pushes.served_state(workdir) == "150" != first


def test_our_push_over_a_foreign_version_keeps_the_state_that_it_saw(workdir: Workdir) -> None:
    run(workdir, 100)
    put(workdir, 150)
    assert run(workdir, 200) == "150"
    assert pushes.served_state(workdir) == "150"


def test_an_incomplete_folder_does_not_change_the_state(workdir: Workdir) -> None:
    first = run(workdir, 100)
    (workdir.serving / "150").mkdir()
    assert pushes.served_state(workdir) == first


def test_an_emptied_folder_changes_the_state_until_the_next_push(workdir: Workdir) -> None:
    first = run(workdir, 100)
    shutil.rmtree(workdir.serving)
    emptied = run(workdir, 200)
    assert emptied != first
    assert pushes.served_state(workdir) == emptied


def test_a_folder_emptied_twice_changes_the_state_twice(workdir: Workdir) -> None:
    states = [run(workdir, 100)]
    for version in (200, 300):
        shutil.rmtree(workdir.serving)
        states.append(run(workdir, version))
    assert len(set(states)) == 3


def test_a_newest_version_that_was_removed_changes_the_state(workdir: Workdir) -> None:
    first = run(workdir, 100)
    run(workdir, 200)
    shutil.rmtree(workdir.serving / "200")
    assert pushes.served_state(workdir) != first


def test_an_old_version_that_was_removed_does_not_change_the_state(workdir: Workdir) -> None:
    run(workdir, 100)
    second = run(workdir, 200)
    shutil.rmtree(workdir.serving / "100")
    assert pushes.served_state(workdir) == second


def test_versions_are_remembered_by_number_not_by_word(workdir: Workdir) -> None:
    run(workdir, 99)
    run(workdir, 100)
    shutil.rmtree(workdir.serving)
    assert "100" in pushes.served_state(workdir)


def test_a_folder_that_follows_what_is_pushed_is_not_pinned(workdir: Workdir) -> None:
    assert pushes.pinned(workdir.serving) == ""
    run(workdir, 100)
    promote_version(workdir.serving, "latest", server=SILENT)
    assert pushes.pinned(workdir.serving) == ""


def test_a_push_after_a_rollback_neither_serves_nor_changes_the_state(workdir: Workdir) -> None:
    first = run(workdir, 100)
    run(workdir, 200)
    assert roll_back(workdir.serving, SILENT) == 0
    assert pushes.pinned(workdir.serving) == "100"
    run(workdir, 300)
    assert (pushes.served_state(workdir), pushes.pinned(workdir.serving)) == (first, "100")
    assert model_config.served_version(workdir.serving) == 100


def test_a_pinned_version_that_was_removed_is_none(workdir: Workdir) -> None:
    put(workdir, 100)
    put(workdir, 200)
    promote_version(workdir.serving, "100", server=SILENT)
    shutil.rmtree(workdir.serving / "100")
    assert pushes.pinned(workdir.serving) == "0"


def test_a_wrong_configuration_is_a_wrong_call(workdir: Workdir) -> None:
    put(workdir, 100)
    model_config.file_of(workdir.serving).write_text("nonsense")
    with pytest.raises(WrongCall, match="expected a ModelServerConfig.*mend it or remove it"):
        pushes.pinned(workdir.serving)


def test_the_words_after_a_push_name_what_serves(workdir: Workdir) -> None:
    run(workdir, 100)
    assert pushes.words_on_serving(workdir, 100) == [f"served:  {workdir.serving}/100"]


def test_the_words_after_a_push_over_a_later_one_name_both(workdir: Workdir) -> None:
    run(workdir, 100)
    run(workdir, 200)
    assert pushes.words_on_serving(workdir, 100) == [
        f"pushed:  {workdir.serving}/100",
        f"served:  {workdir.serving}/200",
    ]


def test_the_words_after_a_push_into_a_pinned_folder_say_how_to_serve_it(workdir: Workdir) -> None:
    run(workdir, 100)
    promote_version(workdir.serving, "100", server=SILENT)
    run(workdir, 200)
    pushed, served, pinned = pushes.words_on_serving(workdir, 200)
    assert (pushed[-3:], served[-3:]) == ("200", "100")
    assert "does not serve: `mnist-tfx promote 200 --workdir" in pinned
