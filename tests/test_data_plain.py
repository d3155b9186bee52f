"""Plain IDX files read in parts: the same content, digest and refusals as of a whole set."""

import gzip
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components import data
from components.data import DataError, RawData, Stretch
from components.data.errors import MAX_ITEMS
from components.data.plain import PlainSet
from components.data.sources import TEST_FILE, TRAIN_FILE
from components.data.stored import MemorySet

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
NAMES += tuple(name.replace("train", "t10k") for name in NAMES)


def raw_data(train: int = 10, test: int = 4) -> RawData:
    random = np.random.default_rng(0)
    arrays = []
    for count in (train, test):
        arrays.append(random.integers(0, 256, (count, 28, 28), np.uint8))
        arrays.append(random.integers(0, 10, count, np.uint8))
    return RawData(*arrays)


def write(folder: Path, raw: RawData) -> Path:
    for name, array in zip(NAMES, vars(raw).values(), strict=True):
        (folder / name).write_bytes(data.to_idx_bytes(array))
    return folder


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


def test_a_plain_folder_is_the_set_that_is_read_whole(tmp_path: Path) -> None:
    raw = raw_data()
    found = data.open_set(str(write(tmp_path, raw)))
    assert isinstance(found, PlainSet)
    assert (found.train, found.test) == (10, 4)
    assert found.sha256() == data.content_sha256(raw)
    for stretch in (
        Stretch(TRAIN_FILE, 0, 10),
        Stretch(TRAIN_FILE, 3, 7),
        Stretch(TEST_FILE, 1, 4),
    ):
        for part, expected in zip(found.part(stretch), raw.part(stretch), strict=True):
            np.testing.assert_array_equal(part, expected)


def test_a_folder_with_a_file_in_gzip_is_read_into_memory(tmp_path: Path) -> None:
    file = write(tmp_path, raw_data()) / NAMES[1]
    file.write_bytes(gzip.compress(file.read_bytes()))
    found = data.open_set(str(tmp_path))
    assert isinstance(found, MemorySet)
    assert found.stamps == ()
    assert found.sha256() == data.content_sha256(raw_data())
    images, labels = found.part(Stretch(TEST_FILE, 1, 2))
    np.testing.assert_array_equal(images, raw_data().test_images[1:2])
    np.testing.assert_array_equal(labels, raw_data().test_labels[1:2])


def test_a_part_takes_its_own_memory_alone(tmp_path: Path) -> None:
    write(tmp_path, raw_data(train=20_000))
    tracemalloc.start()
    found = data.open_set(str(tmp_path))
    found.sha256()
    found.part(Stretch(TRAIN_FILE, 19_000, 19_010))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20  # the images have 15.7 MB; a MiB at a time is hashed


def test_more_items_than_memory_is_given_to_are_read_in_parts(tmp_path: Path) -> None:
    write(tmp_path, raw_data())
    count = MAX_ITEMS + 1
    with (tmp_path / NAMES[0]).open("wb") as images:  # sparse: zeros take no space
        images.write(struct.pack(">4I", 2051, count, 28, 28))
        images.truncate(16 + count * 784)
    with (tmp_path / NAMES[1]).open("wb") as labels:
        labels.write(struct.pack(">2I", 2049, count))
        labels.truncate(8 + count)
    found = data.open_set(str(tmp_path))
    assert found.train == count
    images_of_part, labels_of_part = found.part(Stretch(TRAIN_FILE, count - 1, count))
    assert (images_of_part.sum(), labels_of_part.tolist()) == (0, [0])


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_not_whole_are_refused_as_by_reading_all(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, raw_data()) / name
    content = file.read_bytes()
    for changed in (content[:-1], content + b"\0", content[:5], b"", b"text" * 9):
        file.write_bytes(changed)
        words = refusal(lambda: data.load(str(tmp_path)))
        assert refusal(lambda: data.open_set(str(tmp_path))) == words


def test_what_does_not_fit_together_is_refused_as_by_reading_all(tmp_path: Path) -> None:
    raw = raw_data()
    wrong = raw.test_labels.copy()
    wrong[2] = 12
    for changed in (
        RawData(raw.train_images, raw.train_labels[:-1], raw.test_images, raw.test_labels),
        RawData(raw.train_images, raw.train_labels, raw.test_images, wrong),
        RawData(raw.train_images[:, :27], raw.train_labels, raw.test_images, raw.test_labels),
    ):
        write(tmp_path, changed)
        words = refusal(lambda: data.load(str(tmp_path)))
        assert refusal(lambda: data.open_set(str(tmp_path))) == words
    (tmp_path / NAMES[0]).unlink()
    assert "found none for train-images-idx3-ubyte" in refusal(lambda: data.open_set(str(tmp_path)))


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_file_that_changes_after_it_was_looked_at_is_refused(tmp_path: Path, name: str) -> None:
    found = data.open_set(str(write(tmp_path, raw_data())))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1] + b"\0")
    os.utime(tmp_path / name, ns=(1, 1))
    words = refusal(lambda: found.part(Stretch(TRAIN_FILE, 0, 1)))
    assert words == f"{tmp_path / name}: expected the file as it was; it changed. Start again."
    (tmp_path / name).unlink()
    assert refusal(lambda: found.part(Stretch(TRAIN_FILE, 0, 1))) == words
