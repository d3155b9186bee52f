"""What a model does with changed digits is measured, and judged by what was expected."""

import pathlib

import numpy as np
import pytest

from components.behaviour.changes import CHANGES, Change
from components.behaviour.judge import Behaviour, judge, read_behaviour, write_behaviour

BY_NAME = {change.name: change for change in CHANGES}


@pytest.fixture
def digits() -> np.ndarray:
    """Two images: a dot in the middle, and a bar to the left of it."""
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 14, 14] = 200
    images[1, 8:20, 6:9] = 100
    return images


def changed(name: str, images: np.ndarray) -> np.ndarray:
    return BY_NAME[name].apply(images)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_gives_images_of_the_same_form_each_time(
    change: Change, digits: np.ndarray
) -> None:
    before = digits.copy()
    found = change.apply(digits)
    assert found.dtype == np.uint8
    assert found.shape[1:] == (28, 28)
    np.testing.assert_array_equal(found, change.apply(digits))
    np.testing.assert_array_equal(digits, before)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("one pixel up", (13, 14)),
        ("one pixel down", (15, 14)),
        ("one pixel left", (14, 13)),
        ("one pixel right", (14, 15)),
    ],
)
def test_a_shift_moves_by_one_pixel(name: str, place: tuple[int, int], digits: np.ndarray) -> None:
    found = changed(name, digits)[0]
    assert found[place] == 200
    assert found.sum() == 200


def test_a_turn_to_the_left_moves_what_is_on_the_left_downwards(digits: np.ndarray) -> None:
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[0, 13:15, 2:8] = 255

    def height(images: np.ndarray) -> float:
        return float((images[0].sum(1) * np.arange(28)).sum() / images[0].sum())

    assert height(changed("turned by 15 degrees", bar)) > height(bar) + 1
    assert height(changed("turned by -5 degrees", bar)) < height(bar)


def test_brightness_is_scaled_and_bounded(digits: np.ndarray) -> None:
    assert changed("half as bright", digits).max() == 100
    assert changed("twice as bright", digits).max() == 255
    assert changed("twice as bright", digits)[1].max() == 200


def test_inverted_blank_and_white_images(digits: np.ndarray) -> None:
    np.testing.assert_array_equal(changed("inverted", changed("inverted", digits)), digits)
    assert changed("blank", digits).tolist() == np.zeros((1, 28, 28)).tolist()
    assert set(changed("all white", digits).ravel()) == {255}


def test_noise_grows(digits: np.ndarray) -> None:
    def far(name: str) -> float:
        return float(np.abs(changed(name, digits).astype(int) - digits).mean())

    assert 5 < far("slight noise") < far("strong noise")


def answers(digits: list[int], sure: float = 0.91) -> np.ndarray:
    rest = (1 - sure) / 9
    rows = np.full((len(digits), 10), rest, np.float32)
    rows[np.arange(len(digits)), digits] = sure
    return rows


def brightest_row(images: np.ndarray) -> np.ndarray:
    """A model that knows a digit by its brightest row, and is sure of it."""
    return answers([int(row) % 10 for row in images.sum(2).argmax(1)])


def test_a_model_is_judged_by_what_it_loses() -> None:
    images = np.zeros((10, 28, 28), np.uint8)
    images[np.arange(10), np.arange(10) + 10] = 100
    labels = np.arange(10)
    found = {b.name: b for b in judge(brightest_row, images, labels)}
    sure = found["unchanged"].confidence
    assert sure == pytest.approx(0.91)
    assert found["unchanged"] == Behaviour("unchanged", "the digit", 10, 1.0, 1.0, sure, True)
    assert (found["one pixel left"].accuracy, found["one pixel left"].as_expected) == (1.0, True)
    assert (found["one pixel up"].accuracy, found["one pixel up"].as_expected) == (0.0, False)
    assert found["one pixel up"].unchanged == 0.0
    assert found["blank"].accuracy is None
    assert found["blank"].digits == 1
    assert not found["blank"].as_expected


def test_a_model_that_is_unsure_of_a_blank_page_is_as_expected() -> None:
    def unsure(images: np.ndarray) -> np.ndarray:
        return answers([0] * len(images), sure=0.2)

    found = {b.name: b for b in judge(unsure, np.zeros((4, 28, 28), np.uint8), np.zeros(4))}
    assert found["blank"].as_expected
    assert found["blank"].confidence == pytest.approx(0.2)


def test_what_was_seen_is_read_back_and_nothing_where_nothing_was(tmp_path: pathlib.Path) -> None:
    assert read_behaviour(tmp_path) == []
    found = judge(brightest_row, np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.int64))
    write_behaviour(tmp_path, found)
    assert read_behaviour(tmp_path) == found
    assert len(found) == len(CHANGES) + 1
