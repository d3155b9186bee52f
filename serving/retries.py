"""When a version that did not load is tried again although its files are the same."""

import time

RETRIES, PAUSE_SECONDS = 5, 60.0  # TF Serving's max_num_load_retries and load_retry_interval_micros


class Retries:
    """The failures of a model's versions: memory or a disk may be there again a minute later."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._failures: dict[int, tuple[int, float]] = {}

    def failed(self, number: int) -> None:
        """Counts a failure of a version."""
        before = self._failures[number][0] if number in self._failures else 0
        self._failures[number] = before + 1, time.monotonic()

    def forget(self, number: int) -> None:
        """Begins to count anew: the version has loaded, or its files have changed."""
        self._failures.pop(number, None)

    def due(self, number: int) -> bool:
        """Returns whether a version that failed is to be tried again now."""
        count, last = self._failures.get(number, (0, 0.0))
        return 0 < count <= RETRIES and time.monotonic() - last >= PAUSE_SECONDS
