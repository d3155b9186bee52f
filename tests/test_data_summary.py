"""The short form of a data set agrees with the data set."""

from pathlib import Path

import numpy as np
import pytest

from components import data
from components.data import packaged
from components.data import summary as module
from components.data.errors import DataError
from components.data.summary import PACKAGED_SUMMARY, Summary, split_sizes, summarize


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)


def test_what_is_known_of_the_installed_data_is_what_reading_it_gives() -> None:
    raw = data.load("")
    found = Summary(data.content_sha256(raw), len(raw.train_labels), len(raw.test_labels))
    assert summarize("") == PACKAGED_SUMMARY == found


def test_installed_data_with_another_digest_is_read_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = bytearray(packaged.packaged_path().read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "mnist.pkl.gz").write_bytes(changed)
    for place in (module, packaged):
        monkeypatch.setattr(place, "packaged_path", lambda: tmp_path / "mnist.pkl.gz")
    with pytest.raises(DataError, match=r"mnist\.pkl\.gz: expected"):
        summarize("")


def test_a_file_of_ones_own_is_summarized_by_its_content(tmp_path: Path) -> None:
    (x, y), (u, v) = digits(10), digits(4)
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=u, y_test=v)
    found = summarize(str(tmp_path / "own.npz"))
    assert found == Summary(data.content_sha256(data.RawData(x, y, u, v)), 10, 4)


@pytest.mark.parametrize("sizes", [(0, 0, 0), (5, 1, 3), (99, 99, 99)])
def test_the_sizes_are_those_of_the_splits(sizes: tuple[int, int, int]) -> None:
    (x, y), (u, v) = digits(10), digits(4)
    splits = data.split(data.RawData(x, y, u, v), *sizes)
    assert split_sizes(Summary("", 10, 4), *sizes) == {n: len(s[1]) for n, s in splits.items()}


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="split test: expected at least one item"):
        split_sizes(Summary("", 10, 0), 0, 0, 0)
