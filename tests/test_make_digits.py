"""The larger sets of the benchmarks: the same for the same seed, whole, and digits of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components import data

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "make_digits.py"
IMAGES, TRAIN = 2_870, 2_460  # more than one block of training digits


def make(folder: Path, *options: str) -> data.RawData:
    command = [sys.executable, str(PROGRAM), str(folder), "--images", str(IMAGES), *options]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return data.load(str(folder))


def test_a_seed_gives_a_set_and_another_seed_another_one(tmp_path: Path) -> None:
    made = make(tmp_path / "a")
    assert (len(made.train_labels), len(made.test_labels)) == (TRAIN, IMAGES - TRAIN)
    assert np.bincount(made.train_labels, minlength=10).min() > TRAIN / 20
    again = make(tmp_path / "b")
    assert data.content_sha256(again) == data.content_sha256(made)
    assert data.content_sha256(make(tmp_path / "c", "--seed", "1")) != data.content_sha256(made)


def test_the_images_are_changed_and_none_like_another(tmp_path: Path) -> None:
    made = make(tmp_path)
    flat = made.train_images.reshape(TRAIN, -1)
    assert len(np.unique(flat, axis=0)) == TRAIN
    originals = {image.tobytes() for image in data.load("").train_images}
    assert not {image.tobytes() for image in made.train_images} & originals
    ink = flat.mean(1)
    assert ink.min() > 1
    assert 20 < ink.mean() < 40  # MNIST's mean is 33


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), str(tmp_path / "a"), "--images", "13"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "expected --images of 14 to 4,294,967,295; got 13" in done.stderr
    assert not (tmp_path / "a").exists()
