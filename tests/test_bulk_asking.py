"""Bulk prediction asks its model about two chunks at once and keeps their order."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from components.bulk.asking import AT_ONCE, CLASSES, asked
from components.bulk.pieces import NO_DIGITS, SIDE, Chunk

SECONDS = 20  # longer than any step takes


def chunk(value: int, digits: int = 1) -> Chunk:
    images = np.full((digits, SIDE, SIDE), value, np.uint8)
    return Chunk(images, np.arange(digits))


def classes(images: np.ndarray) -> np.ndarray:
    """Answers with the value of each image's pixels."""
    return np.repeat(images[:, 0, :1].astype(np.float32), CLASSES, 1)


def test_two_chunks_are_with_the_model_at_once() -> None:
    both = threading.Barrier(AT_ONCE)

    def model(images: np.ndarray) -> np.ndarray:
        both.wait(SECONDS)  # breaks where the model is asked about one after the other
        return classes(images)

    answers = [answer[0, 0] for _, answer in asked(model, iter([chunk(1), chunk(2)]))]
    assert answers == [1, 2]


def test_answers_keep_the_order_of_the_chunks() -> None:
    later = threading.Event()

    def model(images: np.ndarray) -> np.ndarray:
        if images[0, 0, 0] == 0:
            assert later.wait(SECONDS)  # the first answer comes last
        else:
            later.set()
        return classes(images)

    chunks = [chunk(value, digits=value + 1) for value in range(5)]
    found = list(asked(model, iter(chunks)))
    assert [one.images[0, 0, 0] for one, _ in found] == [0, 1, 2, 3, 4]
    for value, (one, answer) in enumerate(found):
        assert len(one.images) == value + 1
        assert (answer == np.full((value + 1, CLASSES), value, np.float32)).all()


def test_few_chunks_are_read_before_their_turn() -> None:
    taken = []

    def chunks() -> Iterator[Chunk]:
        for value in range(20):
            taken.append(value)
            yield chunk(value)

    answers = asked(classes, chunks())
    next(answers)
    assert len(taken) == AT_ONCE + 1
    answers.close()


def test_a_chunk_without_digits_is_not_asked_about() -> None:
    def model(images: np.ndarray) -> np.ndarray:
        raise AssertionError("asked about nothing")

    empty = Chunk(np.empty(NO_DIGITS, np.uint8), np.empty(0, np.int64))
    ((_, answer),) = asked(model, iter([empty]))
    assert answer.shape == (0, CLASSES)


def test_a_model_that_fails_ends_it_and_its_threads() -> None:
    def model(images: np.ndarray) -> np.ndarray:
        if images[0, 0, 0] == 1:
            raise ValueError("broken")
        return classes(images)

    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        list(asked(model, (chunk(value) for value in range(9))))
    assert threading.active_count() == before
