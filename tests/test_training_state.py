"""The folders of trainings' checkpoints: one for each, gone when it is no longer needed."""

import dataclasses
from pathlib import Path

from components.settings import ModelSettings, TrainSettings
from components.training.state import release, remove_finished, state_folder

MODEL = ModelSettings("tiny", "module", (28, 28, 1), "float32", "constant", seed=5)
POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


def folder_of(tmp_path: Path, inputs: str = "inputs", **changes: str) -> Path:
    """Returns the folder of a training of a model with these changes."""
    model = dataclasses.replace(MODEL, **changes)
    settings = TrainSettings(model, 8, 0, 2, 2, {}, "1", str(tmp_path), "")
    return state_folder(settings, inputs)


def made(folder: Path) -> Path:
    folder.mkdir()
    (folder / "checkpoint").touch()
    return folder


def test_a_training_goes_on_from_checkpoints_of_its_precision_alone_on_any_devices(
    tmp_path: Path,
) -> None:
    precisions = {folder_of(tmp_path, precision=name) for name in POLICIES}
    assert len(precisions) == len(POLICIES)
    devices = ("auto", "one", "mirrored")
    assert len({folder_of(tmp_path, devices=name) for name in devices}) == 1


def test_a_folder_goes_with_the_training_unless_it_is_kept(tmp_path: Path) -> None:
    kept, gone = made(folder_of(tmp_path)), made(folder_of(tmp_path, inputs="others"))
    release(kept, keep=True)
    release(gone, keep=False)
    assert list(tmp_path.iterdir()) == [kept]
    assert (kept / "checkpoint").exists()


def test_a_training_removes_what_finished_ones_of_its_model_kept(tmp_path: Path) -> None:
    mine, finished, underway = (made(folder_of(tmp_path, inputs=name)) for name in "abc")
    other_model = made(folder_of(tmp_path, name="tiny-book"))
    for folder in (mine, finished, other_model):
        release(folder, keep=True)
    remove_finished(mine)
    assert set(tmp_path.iterdir()) == {mine, underway, other_model}


def test_a_first_training_finds_nothing_to_remove(tmp_path: Path) -> None:
    remove_finished(folder_of(tmp_path / "not there yet"))
