"""Which batch sizes fit into the memory of a GPU, found by one step of each before a search."""

import dataclasses
import logging
from collections.abc import Callable, Sequence

from components.training.dataset import PREDICT_BATCH
from components.training.fit import FitJob, OutOfMemory, fit

LOGGER = logging.getLogger(__name__)


def fitting(sizes: Sequence[int], one_step: Callable[[int], None]) -> tuple[int, ...]:
    """Returns the sizes up to the largest that fits, in their order.

    Args:
      sizes: at least one.
      one_step: trains one step with a batch of that size.

    Raises:
      OutOfMemory: not even the smallest fits.
    """
    for size in sorted(sizes, reverse=True):
        try:
            one_step(size)
        except OutOfMemory as error:
            if size == min(sizes):
                raise
            LOGGER.warning("a batch of %d is not tried: %s", size, error)
        else:
            break
    return tuple(other for other in sizes if other <= size)


def one_step_of(job: FitJob) -> Callable[[int], None]:
    """Returns a function that trains one step of a job with another batch size."""

    def one_step(size: int) -> None:
        fit(
            dataclasses.replace(
                job,
                batch_size=size,
                epochs=1,
                train=job.train.first(size),
                eval_=job.eval_.first(PREDICT_BATCH),
                doctor=None,
            )
        )

    return one_step
