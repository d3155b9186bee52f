"""The Evaluator lets go of each batch when it has taken its digits apart."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tensorflow_model_analysis.extractors import unbatch_extractor
from tfx.components.evaluator import executor

from components import evaluator
from components.unbatching import unbatched

pytestmark = pytest.mark.slow

THEIRS = unbatch_extractor._extract_unbatched_inputs


def batch() -> dict[str, Any]:
    images = np.arange(3 * 4, dtype=np.float32).reshape(3, 4)
    return {
        "features": {"image": images},
        "labels": np.array([7, 2, 1]),
        "input": np.array(list("abc")),
    }


@pytest.fixture
def no_search_for_cycles() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def stays(unbatch: Callable[[Any], Any]) -> bool:
    """Returns whether a row is in memory after the last use of its batch."""
    rows = unbatch(batch())
    row = weakref.ref(rows[0]["labels"])
    assert row() is not None
    del rows
    return row() is not None


def test_the_rows_are_those_of_tfma() -> None:
    for ours, theirs in zip(unbatched(batch()), THEIRS(batch()), strict=True):
        assert repr(ours) == repr(theirs)


def test_a_batch_is_freed_without_a_search_for_cycles(no_search_for_cycles: None) -> None:
    """Where TFMA itself frees it, at the end, the module is of no use any more."""
    assert not stays(unbatched)
    assert stays(THEIRS)


def test_the_evaluator_takes_it(
    evaluated: tuple[dict[str, Any], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    monkeypatch.setattr(
        executor.Executor,
        "Do",
        lambda *_: taken.append(unbatch_extractor._extract_unbatched_inputs),
    )
    inputs, properties = evaluated
    evaluator.Executor().Do(inputs, {}, properties)
    assert taken == [unbatched]
    assert unbatch_extractor._extract_unbatched_inputs is THEIRS
