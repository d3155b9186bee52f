"""What the doctor may spend: its clock, and whether a look fits. Nothing is looked at here."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from components.training.doctor.thresholds import Thresholds


class Budget:
    """The time that has passed since a training began, and the part of it that the doctor took.

    What a look costs is taken to be what the last one did. Before the first it is taken to be a
    step's time, or `Thresholds.first_look` where steps are faster.
    """

    def __init__(self, limits: Thresholds, clock: Callable[[], float] = time.perf_counter) -> None:
        """Starts the clock, which gives seconds."""
        self._limits, self._clock = limits, clock
        self._began, self._running = clock(), False
        self._waited = 0.0  # when the steps that are being executed began
        self._step = 0.0  # seconds of the fastest step
        self._look = 0.0  # seconds of the last look
        self.spent = 0.0

    def begin(self) -> None:
        """Starts the clock again, the first time; a training may begin twice after a kill."""
        if not self._running:
            self._running, self._began, self.spent = True, self._clock(), 0.0
        self.wait()

    def wait(self) -> None:
        """Notes that steps are executed from now on."""
        self._waited = self._clock()

    def stepped(self, steps: int) -> None:
        """Notes that so many were, by now; the first time takes longer, as a graph is built."""
        step = (self._clock() - self._waited) / steps
        self._step = min(self._step or step, step)

    @contextmanager
    def pay(self, look: bool = False) -> Iterator[None]:
        """Counts the time inside as spent, and, of a look, as what the next one will cost."""
        begun = self._clock()
        try:
            yield
        finally:
            cost = self._clock() - begun
            self.spent += cost
            self._look = cost if look else self._look

    def has_room(self) -> bool:
        """Whether a look fits into the share that goes into looks during the training."""
        return self.spent + self._expected <= self._allowed(self._limits.most_share)

    def is_within(self) -> bool:
        """Whether no more was spent than that, so that one look may come before its turn."""
        return self.spent <= self._allowed(self._limits.most_share)

    def has_room_at_the_end(self) -> bool:
        """Whether a last look fits into all that was promised."""
        return self.spent + self._expected <= self._allowed(self._limits.promised_share)

    @property
    def _expected(self) -> float:
        return self._look or max(self._step, self._limits.first_look)

    def _allowed(self, share: float) -> float:
        return share * (self._clock() - self._began)
