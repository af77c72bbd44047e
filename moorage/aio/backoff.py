"""Exponential delay as a pure value."""

from typing import NamedTuple


class Backoff(NamedTuple):
    """Delays in seconds that start at `first`, grow by `factor` and stop growing at `most`."""

    first: float
    most: float
    factor: float = 2.0

    def delay(self, failures: int) -> float:
        """Return the delay in seconds after `failures` failures in a row (0 means none so far)."""
        if failures <= 0:
            return 0.0
        return min(self.most, self.first * self.factor ** min(failures - 1, 64))
