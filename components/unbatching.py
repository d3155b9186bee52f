"""TFMA's digits of a batch, one by one, without what it leaves behind."""

import contextlib
from collections.abc import Iterator
from unittest import mock

from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.extractors import unbatch_extractor

_EXTRACT = "_extract_unbatched_inputs"
_extract = getattr(unbatch_extractor, _EXTRACT)


def unbatched(batch: types.Extracts) -> list[types.Extracts]:
    """Returns what TFMA's own function does, in a list of its own; TFMA's is emptied.

    TFMA's list is part of a cycle of references (`util.split_extracts` has a function within that
    calls itself), so that all rows of each batch, with their images, would stay until Python looks
    for cycles among all objects, which it does the more seldom the more there are.
    """
    rows = _extract(batch)
    kept = list(rows)
    rows.clear()
    return kept


@contextlib.contextmanager
def freed_batches() -> Iterator[None]:
    """Has TFMA take `unbatched` in pipelines made in the block; it has no option for it."""
    with mock.patch.object(unbatch_extractor, _EXTRACT, unbatched):
        yield
