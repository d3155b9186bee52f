"""What the chief of a training says to its workers, over the strategy's own connections.

All of it is a sum over the replicas to which the chief's first one alone adds anything, so that the
sum is what the chief said. Chief and workers must say and hear in the same order.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

END, BEGIN, STEP = range(3)
Order = tuple[int, int, int]  # what to do; for BEGIN the epoch, and its first step
SUM = tf.distribute.ReduceOp.SUM


class Channel:
    """The connections of a `MultiWorkerMirroredStrategy`, as the chief or as a worker."""

    def __init__(self, strategy: tf.distribute.Strategy, is_chief: bool) -> None:
        """Takes the strategy of this process."""
        self.strategy, self.is_chief = strategy, is_chief
        self._said = tf.function(lambda value: self._sum(value, of_the_chief=True))
        self._counted = tf.function(lambda value: self._sum(value, of_the_chief=False))

    def tell(self, what: int, epoch: int = 0, step: int = 0) -> None:
        """Says, as the chief, what is done next; waits until all workers listen."""
        self._heard(np.array([what, epoch, step]))

    def hear(self) -> Order:
        """Waits, as a worker, for what is done next."""
        what, epoch, step = self._heard(np.zeros(3, np.int64)).tolist()
        return what, epoch, step

    def end(self) -> None:
        """Says the end, and as the chief waits until all workers heard of it, as a worker too.

        What the chief says is fetched from it: it must not be gone before.
        """
        for _ in range(2 if self.is_chief else 1):
            self.tell(END)

    def send(self, content: bytes) -> None:
        """Sends bytes to all workers."""
        self._heard(np.array([len(content)]))
        self._heard(np.frombuffer(content + bytes(-len(content) % 8), np.int64))

    def receive(self) -> bytes:
        """Returns what the chief sends."""
        (length,) = self._heard(np.zeros(1, np.int64)).tolist()
        return self._heard(np.zeros(-(-length // 8), np.int64)).tobytes()[:length]

    def agree(self, yes: bool) -> bool:
        """Returns, on all machines alike, whether all of them say yes."""
        against = self._counted(tf.constant(0 if yes else 1))
        first, *_ = self.strategy.experimental_local_results(against)
        return int(first) == 0

    def level(self, variables: Iterable[Any]) -> None:
        """Gives the variables of all workers the chief's values."""
        for variable in variables:
            value = variable.numpy()
            # Collectives know neither unsigned integers nor small ones.
            wide = value.astype(np.int64) if value.dtype.kind in "iu" else value
            heard = self._heard(wide)
            if not self.is_chief:
                variable.assign(heard.astype(value.dtype))

    def _heard(self, value: np.ndarray) -> np.ndarray:
        """Returns the chief's value, of the same type and shape as those of the others."""
        heard = self._said(tf.constant(value))
        first, *_ = self.strategy.experimental_local_results(heard)
        return np.asarray(first)

    def _sum(self, value: tf.Tensor, of_the_chief: bool) -> Any:
        def of_replica() -> tf.Tensor:
            replica = tf.distribute.get_replica_context()
            if not of_the_chief:
                return replica.all_reduce(SUM, tf.identity(value))
            is_first = tf.equal(replica.replica_id_in_sync_group, 0)
            return replica.all_reduce(SUM, tf.where(is_first, value, tf.zeros_like(value)))

        return self.strategy.run(of_replica)
