"""One model through the graph: a push that fails, a version that is lost, data that changes."""

import dataclasses
import gzip
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from components import data, versions
from tests.graph.runs import comparison, smoke, states

pytestmark = pytest.mark.slow


def idx_folder(folder: pathlib.Path, raw: data.RawData) -> pathlib.Path:
    """Writes a data set as the four IDX files, one of them as gzip."""
    folder.mkdir()
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    arrays = (raw.train_images, raw.train_labels, raw.test_images, raw.test_labels)
    for name, array in zip(names, arrays, strict=True):
        (folder / f"{name}-ubyte").write_bytes(data.to_idx_bytes(array))
    packed = folder / "t10k-labels-idx1-ubyte"
    packed.with_name(packed.name + ".gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    return folder


def cut(raw: data.RawData, train: int, test: int) -> data.RawData:
    return data.RawData(
        raw.train_images[:train].copy(),
        raw.train_labels[:train].copy(),
        raw.test_images[:test].copy(),
        raw.test_labels[:test].copy(),
    )


@dataclasses.dataclass(frozen=True)
class Story:
    """A run whose push failed, since a file was in its way, and the next, when it was gone."""

    workdir: pathlib.Path
    folder: pathlib.Path
    raw: data.RawData
    failed: subprocess.CompletedProcess[str]
    compared: bool
    mended: subprocess.CompletedProcess[str]

    @property
    def serving(self) -> pathlib.Path:
        return self.workdir / "serving" / "mnist"

    def run(self) -> subprocess.CompletedProcess[str]:
        return smoke(self.workdir, "--data", str(self.folder))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    workdir = tmp_path_factory.mktemp("story")
    raw = cut(data.load(""), 800, 200)
    folder = idx_folder(tmp_path_factory.mktemp("data") / "idx", raw)
    serving = workdir / "serving" / "mnist"
    serving.parent.mkdir()
    serving.write_text("in the way")
    failed = smoke(workdir, "--data", str(folder))
    compared = (workdir / "report" / "comparison.json").exists()
    serving.unlink()
    return Story(workdir, folder, raw, failed, compared, smoke(workdir, "--data", str(folder)))


def test_a_failed_node_is_named(story: Story) -> None:
    assert story.failed.returncode == 1, story.failed.stdout
    assert states(story.failed.stdout)["VersionPusher"] == "failed"
    assert "VersionPusher failed: " in story.failed.stdout
    log = min((story.workdir / "logs").iterdir())
    assert str(log) in story.failed.stdout
    assert "FileExistsError" in log.read_text()
    assert not story.compared


def test_the_next_run_goes_on_from_the_node_that_failed(story: Story) -> None:
    assert story.mended.returncode == 0, story.mended.stdout
    done = {n for n, s in states(story.mended.stdout).items() if s == "done"}
    assert done == {"VersionPusher", "Report"}


def test_a_lost_version_is_pushed_again_data_decides_what_runs_and_a_bad_model_is_not_pushed(
    story: Story,
) -> None:
    (first,) = versions.versions(story.serving)
    shutil.rmtree(story.serving / str(first))
    again = story.run()
    assert again.returncode == 0, again.stdout
    assert states(again.stdout)["Trainer.sequential"] == "cached"
    pushed = comparison(story.workdir)["pushed_version"]
    assert pushed >= first
    assert versions.versions(story.serving) == [pushed]

    for file in story.folder.iterdir():
        os.utime(file, (1, 1))
    touched = story.run()
    assert set(states(touched.stdout).values()) == {"cached"}

    raw = story.raw
    shuffled = np.random.default_rng(1).permutation(raw.train_labels)
    mixed_up = data.RawData(raw.train_images, shuffled, raw.test_images, raw.test_labels)
    shutil.rmtree(story.folder)
    idx_folder(story.folder, mixed_up)
    changed = story.run()
    assert changed.returncode == 3, changed.stdout
    assert states(changed.stdout)["CommittedSchema"] == "cached"
    assert states(changed.stdout)["MnistExampleGen"] == "done"
    assert comparison(story.workdir)["pushed_version"] is None
    assert "below the floor" in comparison(story.workdir)["reason"]
    assert versions.versions(story.serving) == [pushed]
