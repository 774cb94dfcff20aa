"""A clock that tests move."""

from __future__ import annotations


class MonotonicClock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self._now = 1000.0

    def __call__(self) -> float:
        """The seconds now."""
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._now += seconds
